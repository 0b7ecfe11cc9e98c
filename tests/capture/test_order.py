from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.order import Order, Piece
from kestrel_lab.capture.records import KINDS
from kestrel_lab.schema.columns import FLAG_LATE

from .support import file_record, process_record

MS = 1_000_000


def order(ns: int = 50 * MS, rows: int = 65_536, size: int = 32 << 20) -> Order:
    return Order(ns, rows, size)


def add(target: Order, *stamps: int, cpu: int = 0, seq: int = 1, ring: str = "file") -> None:
    for ts in stamps:
        made = (
            file_record(ts, "open", b"/p", cpu=cpu, seq=seq)
            if ring == "file"
            else process_record(ts, "end", cpu=cpu, seq=seq)
        )
        target.add(*made)


def stamps(pieces: list[Piece]) -> list[int]:
    return [int(ts) for p in pieces for ts in p.run.ts[p.start : p.stop]]


def late(pieces: list[Piece]) -> list[bool]:
    out = []
    for p in pieces:
        for block, row in zip(p.run.block[p.start : p.stop], p.run.row[p.start : p.stop], strict=True):
            part = p.run.blocks[block]
            out.append(bool(KINDS[part.ring].view(part.words)["head"]["flags"][row] & FLAG_LATE))
    return out


def test_nothing_is_final_before_its_watermark() -> None:
    target = order()
    add(target, 10, 30)
    target.advance(20)
    assert stamps(target.cut(flush=True)) == [10]
    assert target.cut(flush=True) == []
    add(target, 25, ring="proc")
    target.advance(40)
    pieces = target.cut(flush=True)
    assert stamps(pieces) == [25, 30]
    assert late(pieces) == [False, False]


def test_what_comes_after_its_place_was_given_away_is_late() -> None:
    target = order()
    add(target, 10, 30)
    target.advance(100)
    add(target, 20, 30, 40)
    target.advance(200)
    pieces = target.cut(flush=True)
    assert stamps(pieces) == [10, 30, 20, 30, 40]
    assert late(pieces) == [False, False, True, False, False]


def test_equal_times_are_ordered_by_cpu_and_sequence() -> None:
    target = order()
    for cpu, seq in ((1, 4), (0, 9), (1, 3), (0, 8)):
        add(target, 10, cpu=cpu, seq=seq, ring="file" if seq % 2 else "proc")
    target.advance(10)
    (piece,) = target.cut(flush=True)
    heads = [
        KINDS[piece.run.blocks[b].ring].view(piece.run.blocks[b].words)["head"][r]
        for b, r in zip(piece.run.block, piece.run.row, strict=True)
    ]
    assert [(int(h["cpu"]), int(h["seq"])) for h in heads] == [(0, 8), (0, 9), (1, 3), (1, 4)]


def test_an_epoch_closes_fifty_milliseconds_after_its_first_event() -> None:
    target = order()
    add(target, 5 * MS, 54 * MS, 55 * MS)
    target.advance(54 * MS)
    assert target.cut() == []
    target.advance(55 * MS)
    assert stamps(target.cut()) == [5 * MS, 54 * MS]
    assert target.cut() == []
    assert stamps(target.cut(flush=True)) == [55 * MS]


def test_an_epoch_closes_when_time_has_passed_without_another_event() -> None:
    target = order()
    add(target, 5 * MS)
    target.advance(54 * MS)
    assert target.cut() == []
    target.advance(56 * MS)
    assert stamps(target.cut()) == [5 * MS]


def test_an_epoch_closes_at_its_rows_and_at_its_bytes() -> None:
    target = order(rows=3)
    add(target, *range(1, 8))
    target.advance(7)
    assert [stamps(target.cut()) for _ in range(3)] == [[1, 2, 3], [4, 5, 6], []]
    size = file_record(1, "open", b"/p")[1].nbytes
    target = order(size=2 * size)
    add(target, *range(1, 6))
    target.advance(5)
    assert [stamps(target.cut()) for _ in range(3)] == [[1, 2], [3, 4], []]
    target = order(size=1)
    add(target, 1, 2)
    target.advance(2)
    assert stamps(target.cut()) == [1]  # never empty


@given(
    st.lists(st.lists(st.integers(1, 400), max_size=12), max_size=10),
    st.integers(1, 9),
    st.integers(20, 100),
)
def test_every_event_comes_out_once_in_order_whatever_the_drains(
    drains: list[list[int]], rows: int, span: int
) -> None:  # fmt: skip
    target = order(ns=span, rows=rows)
    out, epochs, watermark = [], [], 0
    for drain in drains:
        add(target, *drain)
        watermark += 40
        target.advance(watermark)
        while pieces := target.cut():
            epochs.append(stamps(pieces))
    target.advance(2**62)
    while pieces := target.cut(flush=True):
        epochs.append(stamps(pieces))
        out += late(pieces)
    flat = [ts for epoch in epochs for ts in epoch]
    assert sorted(flat) == sorted(ts for drain in drains for ts in drain)
    assert all(1 <= len(epoch) <= rows for epoch in epochs)
    assert all(max(epoch) < epoch[0] + span for epoch in epochs)
    assert np.all(np.array([len(e) for e in epochs]) > 0)
