"""A full disk: what fits is recorded, sealed and readable, and the error says so."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kestrel_lab.recording import AlertLog, RecordingWriter, open_recording, pack, unpack, verify
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.errors import LimitError
from tests.recording.support import LEDGER, assert_all_same, record, small, write
from tests.support.epochs import INFO


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root; the injected errors below cover the same code")
    folder = tmp_path / "tiny"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _storm(rows: int, epochs: int, segment_epochs: int, noise: int) -> Iterator[Epoch]:
    chance = np.random.default_rng(1)
    segment, event_id = GrowingSegment(0), 1
    for number in range(epochs):
        if number and number % segment_epochs == 0:
            segment = GrowingSegment(segment.index + 1)
        ids = np.arange(event_id, event_id + rows, dtype="u8")
        columns = {"event_id": ids, "ts_boot_ns": ids * 1000, "action": np.full(rows, 11, "u1"),
                   "file.inode": chance.integers(0, noise, rows).astype("u8")}  # fmt: skip
        yield Epoch(number, segment, event_id, rows, event_id * 1000, (event_id + rows - 1) * 1000, 0, 0, 0,
                    {"file": ArrayRows("file", rows, columns)}, {}, 1)  # fmt: skip
        event_id += rows


def _commit_until_full(writer: RecordingWriter, epochs: Iterable[Epoch]) -> tuple[list[Epoch], LimitError]:
    kept: list[Epoch] = []
    for epoch in epochs:
        try:
            writer.commit(epoch)
        except LimitError as error:
            return kept, error
        kept.append(epoch)
    raise AssertionError("the disk never filled")


def _progress_for_ever(log: AlertLog) -> None:
    for number in itertools.count():
        log.progress(number)


@pytest.mark.parametrize(("noise", "segment_epochs"), [(2**62, 10_000), (2**62, 20), (1000, 50)])
def test_record_what_fits(tiny: Path, noise: int, segment_epochs: int) -> None:
    path = tiny / "a.krec"
    writer = RecordingWriter(path, INFO)
    kept, full = _commit_until_full(writer, _storm(2000, 10_000, segment_epochs, noise))
    assert full.exit_code == 5
    assert "disk is full" in str(full)
    with pytest.raises(LimitError):
        writer.commit(next(_storm(1, 1, 1, 2)))
    assert_all_same(open_recording(path).epochs(), kept)
    head = writer.close(LEDGER)
    assert writer.unsealed == []
    found = open_recording(path)
    assert found.complete
    assert found.head == head
    assert_all_same(found.epochs(), kept)
    assert verify(path).ok
    assert len(kept) * 2000 > 100_000


def test_no_room_to_begin(tiny: Path) -> None:
    (tiny / "ballast").write_bytes(bytes((4 << 20) - 65536))
    with pytest.raises(LimitError):
        RecordingWriter(tiny / "a.krec", INFO)
    assert not (tiny / "a.krec").exists()


def test_no_room_for_one_file(tiny: Path, tmp_path: Path) -> None:
    (tiny / "ballast").write_bytes(bytes((4 << 20) - 16384))
    record(tmp_path / "a.krec", _storm(5000, 3, 2, 2**62))
    with pytest.raises(LimitError):
        pack(tmp_path / "a.krec", tiny / "a.krec.tar.zst")
    pack(tmp_path / "a.krec", tmp_path / "a.krec.tar.zst")
    with pytest.raises(LimitError):
        unpack(tmp_path / "a.krec.tar.zst", tiny / "b.krec")
    assert [p.name for p in tiny.iterdir()] == ["ballast"]


def test_a_disk_that_stays_full_costs_the_seal_only(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else takes the space that was held back."""
    stored = list(_storm(2000, 40, 1000, 2**62))
    writer = write(tiny / "a.krec", stored)
    real = type(writer._reserve).remove

    def taken(self: object) -> None:
        real(self)  # type: ignore[arg-type]
        free = os.statvfs(tiny)
        (tiny / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - 32768))

    monkeypatch.setattr("kestrel_lab.recording.reserve.Reserve.remove", taken)
    monkeypatch.setattr("kestrel_lab.recording.sealer.Sealer._seal", _failing_first(writer))
    writer.close(LEDGER)
    assert [index for index, _ in writer.unsealed] == [0]
    assert not (tiny / "a.krec/segments/000000").exists()
    found = open_recording(tiny / "a.krec")
    assert found.complete
    assert_all_same(found.epochs(), stored)
    assert verify(tiny / "a.krec").ok


def _failing_first(writer: RecordingWriter) -> object:
    real, calls = type(writer._sealer)._seal, []

    def seal(self: object, segment: object) -> None:
        calls.append(segment)
        if len(calls) == 1:
            writer._sealer.failed.append((segment, "full"))  # type: ignore[arg-type]
        else:
            real(self, segment)  # type: ignore[arg-type]

    return seal


@pytest.mark.parametrize("after", range(12))
def test_any_write_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The same without root: the n-th write of an epoch fails, half done."""
    stored = small(4, 2).stored
    writer = write(tmp_path / "a.krec", stored[:1])
    real, left = os.pwrite, [after]

    def pwrite(fd: int, data: memoryview, at: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            real(fd, data[: len(data) // 2], at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    kept = stored[:1] + _commit_until_full(writer, stored[1:])[0]
    monkeypatch.setattr(os, "pwrite", real)
    assert_all_same(open_recording(tmp_path / "a.krec").epochs(), kept)
    writer.close(LEDGER)
    assert writer.unsealed == []
    assert_all_same(open_recording(tmp_path / "a.krec").epochs(), kept)
    assert verify(tmp_path / "a.krec").ok


def test_other_writers_say_it_too(tiny: Path) -> None:
    writer = write(tiny / "a.krec", small(4, 100).stored)
    log = AlertLog(tiny / "a.krec")
    free = os.statvfs(tiny)
    (tiny / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize))
    with pytest.raises(LimitError):
        writer.add_pack(PackUse(0, "ab"), {"a": bytes(100_000)})
    with pytest.raises(LimitError):
        _progress_for_ever(log)
    (tiny / "ballast").unlink()
    log.close()
    writer.close(LEDGER)
    assert verify(tiny / "a.krec").ok
