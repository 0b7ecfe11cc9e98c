"""Tailing a recording while another thread writes it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from kestrel_lab.recording import follow, open_recording
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.errors import DamagedError
from tests.recording.support import LEDGER, abandon, assert_same, small, write


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return True


@pytest.mark.parametrize("segment_epochs", [1, 3, 1000])
def test_every_epoch_as_it_comes(tmp_path: Path, segment_epochs: int) -> None:
    stored = small(60, segment_epochs).stored
    writer = write(tmp_path / "a.krec", stored[:1])
    source = follow(tmp_path / "a.krec", wait=_wait)
    committed: dict[int, float] = {}
    seen: list[tuple[Epoch, float]] = []

    def read() -> None:
        seen.extend((epoch, time.monotonic()) for epoch in source.epochs())

    thread = threading.Thread(target=read)
    thread.start()
    for epoch in stored[1:]:
        time.sleep(0.005)
        writer.commit(epoch)
        committed[epoch.number] = time.monotonic()
    assert source.end == "growing"
    writer.close(LEDGER)
    thread.join(20)
    assert source.end == "sealed"
    for (found, _), expected in zip(seen, stored, strict=True):
        assert_same(found, expected)
    delays = sorted(at - committed.get(epoch.number, at) for epoch, at in seen)
    assert delays[len(delays) // 2] < 0.1


def test_a_slow_reader_crosses_sealing(tmp_path: Path) -> None:
    stored = small(9, 3).stored
    writer = write(tmp_path / "a.krec", stored[:2])
    source = follow(tmp_path / "a.krec", wait=_wait)
    epochs = source.epochs()
    first = next(epochs)
    held = first.segment.strings("entity:name")
    entities = first.segment.entities
    for epoch in stored[2:]:
        writer.commit(epoch)
    writer.close(LEDGER)
    rest = list(epochs)
    assert rest[0].segment is first.segment
    # What was asked of the segment before it was sealed has grown with it.
    assert len(held) >= rest[1].string_counts["entity:name"]
    assert len(entities) >= rest[1].entity_count
    for found, expected in zip([first, *rest], stored, strict=True):
        assert_same(found, expected)


def test_starting_in_the_middle(tmp_path: Path) -> None:
    stored = small(9, 3).stored
    writer = write(tmp_path / "a.krec", stored[:5])
    source = follow(tmp_path / "a.krec", wait=_wait)
    assert source.newest() == 4
    epochs = source.epochs(7)
    for epoch in stored[5:]:
        writer.commit(epoch)
    assert_same(next(epochs), stored[7])
    writer.close(LEDGER)
    assert [e.number for e in epochs] == [8]


def test_a_recorder_that_is_gone(tmp_path: Path) -> None:
    stored = small(4, 2).stored
    path = abandon(tmp_path / "whole.krec", stored, tmp_path / "cut.krec")
    source = follow(path, wait=_wait)
    assert [e.number for e in source.epochs()] == [0, 1, 2, 3]
    assert source.end == "cut"


def test_stopping(tmp_path: Path) -> None:
    stored = small(2).stored
    writer = write(tmp_path / "a.krec", stored)
    waits: list[float] = []
    source = follow(tmp_path / "a.krec", wait=lambda s: waits.append(s) is not None or len(waits) < 9)
    read: list[Epoch] = list(source.epochs())
    assert len(read) == 2
    assert source.end == "growing"
    assert waits[0] < waits[-1] <= 0.02
    writer.close(LEDGER)


def test_damage_is_told(tmp_path: Path) -> None:
    path = abandon(tmp_path / "whole.krec", small(4, 9).stored, tmp_path / "cut.krec")
    (path / "open/000000/strings.arrows").write_bytes(b"")
    with pytest.raises(DamagedError, match="segment 0, events 1-16, epochs 0-3"):
        list(follow(path, wait=_wait).epochs())


def test_a_snapshot_does_not_grow(tmp_path: Path) -> None:
    stored = small(9, 3).stored
    writer = write(tmp_path / "a.krec", stored[:4])
    found = open_recording(tmp_path / "a.krec")
    for epoch in stored[4:]:
        writer.commit(epoch)
    writer.close(LEDGER)
    assert [e.number for e in found.epochs()] == [0, 1, 2, 3]
    assert len(found.index) == 4


def test_a_damaged_line_of_the_journal_is_told(tmp_path: Path) -> None:
    path = abandon(tmp_path / "whole.krec", small(4, 9).stored, tmp_path / "cut.krec")
    lines = (path / "journal").read_bytes().splitlines(keepends=True)
    (path / "journal").write_bytes(b"".join([*lines[:2], b"x" + lines[2][1:], *lines[3:]]))
    epochs = follow(path, wait=_wait).epochs()
    assert next(epochs).number == 0
    with pytest.raises(DamagedError, match="epochs are not listed"):
        next(epochs)
