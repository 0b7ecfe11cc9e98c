"""Segments that were removed on purpose: gone, and nothing else is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kestrel_lab.recording import Recording, RecordingWriter, follow, open_recording, pack, repair, unpack, verify
from kestrel_lab.schema.epoch import Epoch, Gap
from kestrel_lab.schema.errors import DamagedError, LimitError
from tests.recording.support import LEDGER, assert_all_same, small
from tests.support.epochs import INFO

STORED = small(10, 2).stored  # five segments of two epochs of four events


def sealed(writer: RecordingWriter, count: int) -> None:
    """Wait until so many segments are sealed: another thread does that."""
    while len(writer.sealed) < count:
        time.sleep(0.001)


def recording(path: Path, *gone: int) -> Recording:
    writer = RecordingWriter(path, INFO)
    for epoch in STORED:
        writer.commit(epoch)
    sealed(writer, 4)
    for index in gone:
        assert writer.expire(index, "keep")
    writer.close(LEDGER)
    return open_recording(path)


def left(*gone: int) -> list[Epoch]:
    return [epoch for epoch in STORED if epoch.segment.index not in gone]


def gap(count: int, event_id: int, first: Epoch, last: Epoch) -> Gap:
    return Gap("expired", "recording", -1, count, event_id, first.ts_min_ns, last.ts_max_ns)


@pytest.mark.parametrize("gone", [(0,), (0, 1), (1,), (0, 2), (2, 1), (0, 1, 2, 3)])
def test_what_is_left_is_whole_and_says_what_is_gone(tmp_path: Path, gone: tuple[int, ...]) -> None:
    found = recording(tmp_path / "a.krec", *gone)
    for copy in (found, open_recording(unpack(pack(found.path, tmp_path / "a.krec.tar.zst"), tmp_path / "b.krec"))):
        epochs = list(copy.epochs())
        assert [e.number for e in epochs] == [e.number for e in left(*gone)]
        assert sum(g.count for e in epochs for g in e.gaps if g.cause == "expired") == 8 * len(gone)
        assert sorted(e.segment for e in copy.expired) == sorted(gone)
        assert verify(copy.path).ok
        assert any("removed" in words for words in copy.missing)
        assert copy.complete
    assert not any((found.root / f"segments/{index:06d}").exists() for index in gone)
    assert [entry["seg"] for entry in found.manifest["expired"]] == list(gone)


def test_neighbours_make_one_gap_before_the_next_epoch(tmp_path: Path) -> None:
    found = recording(tmp_path / "a.krec", 0, 1, 3)
    gaps = [gap(16, 17, STORED[0], STORED[3]), gap(8, 33, STORED[6], STORED[7])]
    assert found.gaps == gaps
    assert [g for e in found.epochs() for g in e.gaps] == gaps
    assert [g for e in found.epochs(8) for g in e.gaps] == gaps[1:], "wherever one begins to read"
    assert found.at_id(1) == 4


def test_a_copy_says_it_too(tmp_path: Path) -> None:
    found = recording(tmp_path / "a.krec", 0, 2)
    assert repair(found.path, tmp_path / "b.krec") == []
    copy = open_recording(tmp_path / "b.krec")
    assert copy.gaps == found.gaps
    assert list(copy.expired) == list(found.expired)
    assert_all_same(copy.epochs(), list(found.epochs()))
    assert verify(copy.path).ok
    assert copy.damage == []
    repair(copy.path, tmp_path / "c.krec")
    assert open_recording(tmp_path / "c.krec").gaps == found.gaps


def test_damage_beside_it_is_still_damage(tmp_path: Path) -> None:
    found = recording(tmp_path / "a.krec", 0)
    for file in (found.root / "segments/000001").iterdir():
        file.unlink()
    assert not verify(found.path).ok
    (damage,) = repair(found.path, tmp_path / "b.krec")
    assert damage.segment == 1
    copy = open_recording(tmp_path / "b.krec")
    assert {g.cause for g in copy.gaps} == {"damaged", "expired"}
    assert verify(copy.path).ok


def test_only_what_is_sealed_can_go_and_only_once(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    for epoch in STORED[:3]:
        writer.commit(epoch)
    sealed(writer, 1)
    before = writer.bytes_written
    assert not writer.expire(1, "keep"), "it is being written"
    assert writer.expire(0, "budget")
    assert not writer.expire(0, "budget")
    assert writer.bytes_written < before
    assert writer.sealed == {}
    writer.close(LEDGER)
    assert open_recording(tmp_path / "a.krec").expired[0].why == "budget"


def test_what_cannot_be_noted_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    for epoch in STORED:
        writer.commit(epoch)
    sealed(writer, 4)

    def refuse(*_: object) -> None:
        raise LimitError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(writer._journal, "append", refuse)
        with pytest.raises(LimitError):
            writer.expire(0, "keep")
    writer.close(LEDGER)
    assert_all_same(open_recording(tmp_path / "a.krec").epochs(), STORED)


def test_room_is_made_although_the_manifest_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    for epoch in STORED:
        writer.commit(epoch)
    sealed(writer, 4)

    def refuse(*_: object) -> None:
        raise LimitError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("kestrel_lab.recording.writer.write_manifest", refuse)
        assert writer.expire(0, "budget")
    assert not (tmp_path / "a.krec/segments/000000").exists()
    writer.close(LEDGER)
    found = open_recording(tmp_path / "a.krec")
    assert [entry["seg"] for entry in found.manifest["expired"]] == [0]
    assert verify(found.path).ok


def test_a_follower_goes_on_and_one_that_came_too_late_is_told(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    for epoch in STORED[:5]:
        writer.commit(epoch)
    quick, slow = (follow(tmp_path / "a.krec", wait=lambda _: True).epochs() for _ in range(2))
    seen = [next(quick).number for _ in range(5)]
    assert next(slow).number == 0
    sealed(writer, 2)
    writer.expire(0, "keep")
    writer.expire(1, "keep")
    for epoch in STORED[5:]:
        writer.commit(epoch)
    writer.close(LEDGER)
    assert [*seen, *(e.number for e in quick)] == list(range(10))
    with pytest.raises(DamagedError, match="removed before it could be followed"):
        list(slow)
    assert [e.number for e in follow(tmp_path / "a.krec", wait=lambda _: True).epochs()] == list(range(4, 10))
