"""Copies of damaged and cut recordings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kestrel_lab.recording import AlertLog, RecordingWriter, open_recording, pack, repair, verify
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.epoch import Gap
from kestrel_lab.schema.errors import UsageError
from tests.recording.support import LEDGER, abandon, assert_all_same, assert_same, record, small, write
from tests.recording.test_live import alert
from tests.support.epochs import INFO


def _bytes(root: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_cut_recording(tmp_path: Path) -> None:
    stored = small(5, 2).stored
    cut = abandon(tmp_path / "whole.krec", stored, tmp_path / "cut.krec")
    with open(cut / "journal", "ab") as journal:
        journal.write(b"torn")
    before = _bytes(cut)
    assert repair(cut, tmp_path / "b.krec") == []
    assert _bytes(cut) == before
    found = open_recording(tmp_path / "b.krec")
    assert found.end == "cut"
    assert not found.complete
    assert found.ledger is None
    assert found.manifest["repaired"]["end"] == "cut"
    assert_all_same(found.epochs(), stored)
    assert verify(tmp_path / "b.krec").ok
    assert sorted(p.name for p in (tmp_path / "b.krec/segments").iterdir()) == ["000000", "000001", "000002"]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_segment_becomes_a_gap(tmp_path: Path, lost: int) -> None:
    stored = small(6, 2).stored
    record(tmp_path / "a.krec", stored)
    shutil.rmtree(tmp_path / f"a.krec/segments/{lost:06d}")
    (damage,) = repair(tmp_path / "a.krec", tmp_path / "b.krec")
    assert damage.segment == lost
    found = open_recording(tmp_path / "b.krec")
    left = [e for e in stored if e.segment.index != lost]
    assert_all_same(found.epochs(), left)
    assert_all_same(found.epochs(3), [e for e in left if e.number >= 3])
    (gap,) = found.gaps
    assert gap.cause == "damaged"
    assert gap.count == 8
    assert gap.event_id == damage.last_event_id + 1
    assert found.ledger == LEDGER
    assert verify(tmp_path / "b.krec").ok
    assert found.at_id(1) == left[0].number


def test_a_line_lost_from_the_journal(tmp_path: Path) -> None:
    stored = small(6, 2).stored
    record(tmp_path / "a.krec", stored)
    lines = (tmp_path / "a.krec/journal").read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if b'"n":2,' in line)
    (tmp_path / "a.krec/journal").write_bytes(b"".join([*lines[:at], b"x" + lines[at][1:], *lines[at + 1 :]]))
    *other, damage = repair(tmp_path / "a.krec", tmp_path / "b.krec")
    assert damage.epochs == (2,)
    assert all("journal is damaged at byte" in d.reason for d in other)  # if a seal was written right after that line
    for epoch in open_recording(tmp_path / "b.krec").epochs():
        assert_same(epoch, stored[epoch.number])
    assert verify(tmp_path / "b.krec").ok


def test_all_else_is_copied(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO, {"kernel": "6.18"})
    writer.add_pack(PackUse(0, "ab", (1,)), {"a.toml": b"x"})
    writer.add_pack(PackUse(3, "cd"), {"b.toml": b"y"})
    for epoch in small(4, 2).stored:
        writer.commit(epoch)
    gap = Gap("recursion", "exec", 0, 1, 2, 3, 4)
    writer.add_gaps([gap])
    log = AlertLog(tmp_path / "a.krec")
    log.append([alert(1)])
    log.close()
    writer.close(LEDGER)
    (tmp_path / "a.krec/packs/cd/b.toml").unlink()
    (damage,) = repair(pack(tmp_path / "a.krec", tmp_path / "a.krec.tar.zst"), tmp_path / "b.krec")
    assert "b.toml" in damage.reason
    found = open_recording(tmp_path / "b.krec")
    assert found.packs == [(PackUse(0, "ab", (1,)), {"a.toml": b"x"})]
    assert found.gaps == [gap]
    assert found.live_alerts == [alert(1)]
    assert found.info == INFO
    assert found.manifest["facts"] == {"kernel": "6.18"}
    assert found.complete


def test_not_while_it_grows_nor_over_another(tmp_path: Path) -> None:
    writer = write(tmp_path / "a.krec", small().stored)
    with pytest.raises(UsageError, match="growing"):
        repair(tmp_path / "a.krec", tmp_path / "b.krec")
    writer.close(LEDGER)
    with pytest.raises(UsageError, match="exists"):
        repair(tmp_path / "a.krec", tmp_path / "a.krec")
