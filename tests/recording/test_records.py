"""The journal's records as data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.recording.records import from_runs, runs


@given(st.lists(st.integers(0, 3) | st.integers(0, 2**40)))
def test_runs_give_the_numbers_back_and_are_never_longer(numbers: list[int]) -> None:
    assert from_runs(runs(numbers)) == tuple(numbers)
    assert len(runs(numbers)) <= len(numbers)


def test_runs() -> None:
    assert runs([1, 1, 1, 2, 1, 0, 0]) == [1, -2, 2, 1, 0, -1]
    assert from_runs([5, 5, 5]) == (5, 5, 5), "as version 1.0 wrote it"
