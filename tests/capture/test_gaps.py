from __future__ import annotations

import numpy as np

from kestrel_lab.capture.gaps import Loss, Recursion, Sequences
from kestrel_lab.capture.program import Counts
from kestrel_lab.capture.records import RINGS, SOURCES
from kestrel_lab.capture.ring import Records

from .support import process_record


def records(*rows: tuple[int, int, int, str]) -> Records:
    """Return records of (cpu, seq, ts, action) in ring order."""
    parts = [process_record(ts, action, seq=seq, cpu=cpu)[1] for cpu, seq, ts, action in rows]
    return RINGS["proc"].view(np.concatenate(parts))


def counters(**seq: list[int]) -> dict[str, list[Counts]]:
    return {name: [Counts(seq=n) for n in seq.get(name, [0, 0])] for name in SOURCES}


def test_unbroken_sequences_show_no_loss() -> None:
    sequences = Sequences(0)
    assert sequences.observe(records((0, 1, 5, "fork"), (1, 1, 6, "fork"), (0, 1, 7, "end"), (0, 2, 8, "fork"))) == []
    assert sequences.observe(records((1, 2, 9, "fork"), (0, 3, 10, "fork"))) == []
    assert (sequences.received["fork"], sequences.received["exit"]) == (5, 1)
    assert sequences.finish(counters(fork=[3, 2], exit=[1, 0]), 99) == []


def test_each_jump_is_a_loss_with_its_count_and_times() -> None:
    sequences = Sequences(100)
    found = sequences.observe(
        records((0, 3, 105, "fork"), (0, 4, 106, "fork"), (0, 9, 120, "fork"), (1, 2, 110, "end"))
    )
    assert found == [
        Loss("lost_ring", "fork", 0, 2, 100, 105),
        Loss("lost_ring", "fork", 0, 4, 106, 120),
        Loss("lost_ring", "exit", 1, 1, 100, 110),
    ]
    assert sequences.observe(records((0, 11, 130, "fork"))) == [Loss("lost_ring", "fork", 0, 1, 120, 130)]


def test_what_was_lost_last_is_found_in_the_counters_once() -> None:
    sequences = Sequences(100)
    sequences.observe(records((0, 1, 105, "fork")))
    last = counters(fork=[4, 2])
    assert sequences.finish(last, 200) == [
        Loss("lost_ring", "fork", 0, 3, 105, 200),
        Loss("lost_ring", "fork", 1, 2, 100, 200),
    ]
    assert sequences.finish(last, 300) == []


def test_recursion_is_counted_from_where_it_stood() -> None:
    recursion = Recursion({"a": 5, "b": 0}, 10)
    assert recursion.observe({"a": 5, "b": 0}, 20) == []
    assert recursion.observe({"a": 7, "b": 1}, 30) == [
        Loss("recursion", "a", -1, 2, 20, 30),
        Loss("recursion", "b", -1, 1, 20, 30),
    ]
    assert recursion.by_hook() == {"a": 2, "b": 1}


def test_a_loss_becomes_a_row_of_the_gap_map() -> None:
    gap = Loss("lost_ring", "exec0", 1, 3, 10, 20).gap(77)
    assert (gap.cause, gap.source, gap.cpu, gap.count, gap.event_id) == ("lost_ring", "exec0", 1, 3, 77)
    assert (gap.ts_from_ns, gap.ts_to_ns) == (10, 20)
