"""Samples against their definition: every choice of different events, and the least of them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine import Engine, Limits
from kestrel_lab.engine.matching.sample import least_sample
from tests.engine.support import pack_of
from tests.support.epochs import INFO, source

QUERY = (
    'sample by file.path [file where event.action == "creation"] [file where event.action in ("creation", "open")] '
    '[file where event.action in ("open", "deletion")]'
)
PASSES = ({"creation"}, {"creation", "open"}, {"open", "deletion"})
EVENTS = st.lists(st.tuples(st.sampled_from(["creation", "open", "deletion"]), st.sampled_from("ab")), max_size=25)


def expected(events: list[tuple[str, str]]) -> list[tuple[int, ...]]:
    out: list[tuple[int, ...]] = []
    for key in "ab":
        for end in range(1, len(events) + 1):
            seen = [n for n in range(end) if events[n][1] == key]
            items = [[n + 1 for n in seen if events[n][0] in passes] for passes in PASSES]
            samples = [sample for sample in product(*items) if len(set(sample)) == len(sample)]
            if samples:
                out.append(min(samples))
                break
    return sorted(out)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from([1, 4, 100]))
def test_a_sample_is_the_least_when_one_first_exists(events: list[tuple[str, str]], rows: int) -> None:
    engine = Engine(PACK, INFO, "live", Limits(tick=8))
    stored = source([{"table": "file", "action": a, "file.path": f"/{k}", "pid": 2} for a, k in events], rows)
    found = [a.event_ids for epoch in stored.epochs() for a in engine.process(epoch).alerts]
    assert sorted(found) == expected(events)


@given(st.lists(st.sets(st.integers(0, 6), max_size=4), min_size=1, max_size=4))
def test_the_least_choice_of_different_events(sets: list[set[int]]) -> None:
    items = [[(n, 0, 0) for n in sorted(s)] for s in sets]
    choices = [c for c in product(*(sorted(s) for s in sets)) if len(set(c)) == len(c)]
    found = least_sample(items)
    assert (None if found is None else tuple(n for n, _, _ in found)) == min(choices, default=None)


PACK = pack_of({"r": QUERY})
