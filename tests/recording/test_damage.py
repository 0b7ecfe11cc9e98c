"""Any one changed byte is found, and laid to a segment, its events and its epochs."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from kestrel_lab.recording import Damage, open_recording, verify
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.errors import DamagedError
from tests.recording.support import LEDGER, abandon, assert_same, events, record, small, write
from tests.support.epochs import source


def flip(path: Path, at: int) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x41
    path.write_bytes(data)


def read(path: Path) -> tuple[dict[int, Epoch], list[Damage]]:
    """What can be read, and what cannot."""
    found = open_recording(path)
    return {e.number: e for e in found.epochs(on_damage="skip")}, found.damage


@pytest.fixture
def batched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Epoch]]:
    """Two segments of 30 epochs, about five record batches a table each."""
    monkeypatch.setattr("kestrel_lab.recording.seal.BATCH_ROWS", 8)
    stored = source(events(240), epoch_rows=4, segment_epochs=30).stored
    record(tmp_path / "a.krec", stored)
    return tmp_path / "a.krec", stored


def test_one_changed_byte_costs_one_batch(batched: tuple[Path, list[Epoch]]) -> None:
    path, stored = batched
    seal = json.loads((path / "segments/000001/seal.json").read_bytes())
    file = path / "segments/000001/file.arrow"
    original = file.read_bytes()
    batches = seal["files"]["file"]["batches"]
    assert len(batches) > 3
    for number, (offset, length, _, _) in enumerate(batches):
        for at in (offset, offset + length // 2, offset + length - 1):
            flip(file, at)
            epochs, (damage,) = read(path)
            assert damage.segment == 1
            assert damage.reason == f"file.arrow: its record batch {number} is damaged"
            assert set(epochs) == set(range(60)) - set(damage.epochs)
            assert 1 < len(damage.epochs) < 12
            lost = [stored[n] for n in damage.epochs]
            assert damage.first_event_id == lost[0].first_event_id
            assert damage.last_event_id == lost[-1].last_event_id
            for epoch in epochs.values():
                assert_same(epoch, stored[epoch.number])
            assert verify(path).damage == (damage,)
            with pytest.raises(DamagedError, match=f"segment 1, events {damage.first_event_id}-") as error:
                list(open_recording(path).epochs())
            assert error.value.exit_code == 3
            file.write_bytes(original)


@pytest.mark.slow
def test_any_byte_of_any_file_of_a_segment(batched: tuple[Path, list[Epoch]]) -> None:
    path, stored = batched
    chance = random.Random(1)
    for file in sorted((path / "segments/000000").iterdir()):
        original = file.read_bytes()
        for at in [0, len(original) - 1, *(chance.randrange(len(original)) for _ in range(25))]:
            flip(file, at)
            report = verify(path)
            assert any(d.segment == 0 and d.epochs and d.first_event_id >= 1 for d in report.damage), (file, at)
            epochs, damage = read(path)
            assert damage, (file, at)
            for epoch in epochs.values():
                assert_same(epoch, stored[epoch.number])
            assert set(range(30, 60)) <= set(epochs)
            file.write_bytes(original)
    assert verify(path).ok


@pytest.mark.slow
def test_any_byte_of_the_streams(tmp_path: Path) -> None:
    stored = small(4, 100).stored
    path = abandon(tmp_path / "whole.krec", stored, tmp_path / "cut.krec")
    for file in sorted((path / "open/000000").iterdir()):
        original = file.read_bytes()
        for at in range(0, len(original), 41):
            flip(file, at)
            epochs, damage = read(path)
            assert damage
            assert damage[0].segment == 0
            assert {n for d in damage for n in d.epochs} | set(epochs) == set(range(4))
            assert set(verify(path).damage) == set(damage)
            for epoch in epochs.values():
                assert_same(epoch, stored[epoch.number])
            file.write_bytes(original)


@pytest.mark.slow
def test_any_byte_of_the_journal(batched: tuple[Path, list[Epoch]]) -> None:
    path, stored = batched
    journal = path / "journal"
    original = journal.read_bytes()
    for at in range(0, len(original) - 1, 173):
        flip(journal, at)
        report = verify(path)
        assert not (report.ok and report.complete), at
        epochs, _ = read(path)
        assert len(epochs) >= 58, at
        for epoch in epochs.values():
            assert_same(epoch, stored[epoch.number])
        journal.write_bytes(original)


def test_a_line_taken_out_of_the_journal(batched: tuple[Path, list[Epoch]]) -> None:
    path, stored = batched
    lines = (path / "journal").read_bytes().splitlines(keepends=True)
    (path / "journal").write_bytes(b"".join(lines[:5] + lines[6:]))
    (hole,) = (d for d in verify(path).damage if d.epochs)
    assert hole.epochs == (4,)
    assert (hole.first_event_id, hole.last_event_id) == (stored[4].first_event_id, stored[4].last_event_id)
    with pytest.raises(DamagedError, match="epochs are not listed"):
        list(open_recording(path).epochs())
    assert [e.number for e in open_recording(path).epochs(5)] == list(range(5, 60))


@pytest.mark.parametrize("first", [0, 1])
def test_a_missing_segment(tmp_path: Path, first: int) -> None:
    stored = small(4, 2).stored
    record(tmp_path / "a.krec", stored)
    shutil.rmtree(tmp_path / f"a.krec/segments/{first:06d}")
    epochs, (damage,) = read(tmp_path / "a.krec")
    assert damage.epochs == (2 * first, 2 * first + 1)
    assert "missing" in damage.reason
    assert set(epochs) == {0, 1, 2, 3} - set(damage.epochs)
    with pytest.raises(DamagedError, match=f"segment {first}, events"):
        list(open_recording(tmp_path / "a.krec").epochs())
    assert [d for d in verify(tmp_path / "a.krec").damage if d.epochs] == [damage]


@pytest.mark.parametrize("name", ["file.arrow", "entity.arrow", "seal.json"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    record(tmp_path / "a.krec", small(4, 2).stored)
    (tmp_path / "a.krec/segments/000001" / name).unlink()
    epochs, damage = read(tmp_path / "a.krec")
    assert set(epochs) == {0, 1}
    assert damage[0].segment == 1
    assert "missing" in damage[0].reason
    assert verify(tmp_path / "a.krec").damage == (damage[0],)


def test_a_cut_sealed_file(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small(4, 2).stored)
    file = tmp_path / "a.krec/segments/000000/process.arrow"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=r"process\.arrow has \d+ bytes, not \d+"):
        list(open_recording(tmp_path / "a.krec").epochs())


def test_swapped_segments_break_the_chain(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small(4, 2).stored)
    record(tmp_path / "b.krec", small(4, 2).stored[:2] + small(4, 2).stored[2:], {"another": "recording"})
    shutil.rmtree(tmp_path / "a.krec/segments/000000")
    shutil.copytree(tmp_path / "b.krec/segments/000000", tmp_path / "a.krec/segments/000000")
    assert [d.segment for d in verify(tmp_path / "a.krec").damage] == [0]


def test_the_schema_file(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small().stored)
    flip(tmp_path / "a.krec/schema.json", 100)
    assert [d.reason for d in verify(tmp_path / "a.krec").damage] == ["schema.json is missing or damaged"]


def test_a_whole_recording_is_ok(tmp_path: Path) -> None:
    stored = small().stored
    head = record(tmp_path / "a.krec", stored)
    report = verify(tmp_path / "a.krec")
    assert report.ok
    assert report.complete
    assert report.head == head
    assert (report.segments, report.epochs, report.events) == (3, 6, 24)


def test_a_growing_recording_is_ok_so_far(tmp_path: Path) -> None:
    writer = write(tmp_path / "a.krec", small().stored)
    report = verify(tmp_path / "a.krec")
    assert report.ok
    assert report.end == "growing"
    writer.close(LEDGER)
