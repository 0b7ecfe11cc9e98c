"""A recorder may die at any byte: every epoch it had committed is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kestrel_lab.recording import open_recording, verify
from kestrel_lab.schema.errors import DamagedError, KestrelError
from tests.recording.support import LEDGER, abandon, assert_all_same, assert_same, record, small, write
from tests.support.epochs import MemorySource

_REPOSITORY = Path(__file__).parents[2]

#: a recorder that commits as fast as it can, rolling segments, and says how many epochs are committed
_STORM = """
import sys
from pathlib import Path
from tests.recording.support import small, write
stored = small(400, 7).stored
writer = write(Path(sys.argv[1]), [])
for epoch in stored:
    writer.commit(epoch)
    print(epoch.number, flush=True)
"""


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, MemorySource]:
    """A recording nothing of which was sealed."""
    stored = small(4, 100)
    return abandon(tmp_path / "whole.krec", stored.stored, tmp_path / "cut.krec"), stored


def test_the_journal_cut_at_every_byte(killed: tuple[Path, MemorySource]) -> None:
    path, source = killed
    journal = path / "journal"
    data = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for size in range(len(data) - 1, -1, -1):
        os.truncate(journal, size)
        found = open_recording(path)
        committed = max(sum(end <= size for end in ends) - 1, 0)  # the first line opens the recording
        assert len(found.index) == committed
        assert found.end == "cut"
        assert not found.complete
        if size in (*ends, 7) or size % 97 == 0:
            assert_all_same(found.epochs(), source.stored[:committed])
            assert f"(epoch {committed - 1})" in found.missing[0] or not committed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["file", "process", "network", "entity", "strings"])
def test_a_stream_cut_at_any_byte(killed: tuple[Path, MemorySource], name: str) -> None:
    path, source = killed
    stream = path / "open" / "000000" / f"{name}.arrows"
    whole = open_recording(path)
    ends = [place for r in whole.index if (e := r.extents.get(name)) for place in (e.start, e.start + e.length)]
    for size in range(stream.stat().st_size - 1, -1, -1):
        if name != "file" and size % 13 and all(abs(size - end) > 9 for end in ends):
            continue  # one table shows every byte; the others what is around the ends of messages, and a part
        os.truncate(stream, size)
        found = open_recording(path)
        read = {epoch.number: epoch for epoch in found.epochs(on_damage="skip")}
        for record_ in whole.index:
            extent = record_.extents.get(name)
            inside = extent is None or extent.start + extent.length <= size
            if name in ("entity", "strings"):
                # Codes and refs mean nothing without what stood before them.
                before = [r.extents[name] for r in whole.index[: record_.number + 1] if name in r.extents]
                inside = all(e.start + e.length <= size for e in before)
            assert (record_.number in read) == inside
        if size % 221 == 0:
            for epoch in read.values():
                assert_same(epoch, source.stored[epoch.number])
        lost = {n for damage in found.damage for n in damage.epochs}
        assert lost | set(read) == set(range(4))
        assert all(f"{name}.arrows" in damage.reason and damage.segment == 0 for damage in found.damage)


def test_a_cut_stream_is_named(killed: tuple[Path, MemorySource]) -> None:
    path, source = killed
    stream = path / "open/000000/file.arrows"
    os.truncate(stream, stream.stat().st_size - 1)
    last = source.stored[-1]
    with pytest.raises(DamagedError, match=rf"segment 0, events {last.first_event_id}-{last.last_event_id}, epoch 3"):
        list(open_recording(path).epochs())
    shutil.rmtree(path / "open")
    with pytest.raises(DamagedError, match="the segment is missing: it has neither streams nor a seal"):
        list(open_recording(path).epochs())


def test_a_crash_while_sealing_leaves_the_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = small(4, 2).stored
    monkeypatch.setattr("kestrel_lab.recording.sealer.Sealer._commit", lambda self, record: 1 / 0)
    writer = write(tmp_path / "a.krec", stored)
    writer.close(LEDGER)
    assert [index for index, _ in writer.unsealed] == [0, 1]
    found = open_recording(tmp_path / "a.krec")
    # The sealed files are there, but no line of the journal makes them count.
    assert (tmp_path / "a.krec/segments/000000/seal.json").exists()
    assert found.complete
    assert_all_same(found.epochs(), stored)
    assert verify(tmp_path / "a.krec").ok


@pytest.mark.slow
def test_kill_9_in_a_storm(tmp_path: Path) -> None:
    stored = small(400, 7).stored
    for attempt in range(5):
        path = tmp_path / f"{attempt}.krec"
        with subprocess.Popen(
            [sys.executable, "-c", _STORM, str(path)], stdout=subprocess.PIPE, cwd=_REPOSITORY
        ) as run:
            assert run.stdout is not None
            for _ in range(20 + 30 * attempt):
                run.stdout.readline()
            run.send_signal(signal.SIGKILL)
            told = 20 + 30 * attempt + len(run.stdout.readlines())
        found = open_recording(path)
        assert found.end == "cut"
        assert len(found.index) >= told
        assert_all_same(found.epochs(), stored[: len(found.index)])
        report = verify(path)
        assert report.ok, report.damage
        assert report.missing


def test_a_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from tests.recording.support import small, write\n"
        "w = write(Path(sys.argv[1]), small().stored)\n"
        "pid = os.fork()\n"
        "if pid: print(pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    path = tmp_path / "a.krec"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, cwd=_REPOSITORY) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        time.sleep(0.1)
        assert open_recording(path).end == "growing"
        run.kill()
        run.wait()
        try:
            assert open_recording(path).end == "cut"
        finally:
            os.kill(child, signal.SIGKILL)


def test_no_journal(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small().stored)
    (tmp_path / "a.krec/journal").unlink()
    with pytest.raises(KestrelError, match="journal is missing") as found:
        open_recording(tmp_path / "a.krec")
    assert found.value.exit_code == 3
