"""The sequence machine against its definition, whatever the cuts, workers, checkpoints and quotas."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.hits.keys import shard_of
from kestrel_lab.engine.limits import Limits
from tests.engine.machines import order, run
from tests.engine.reference import Event, Items, Reference

_NAMES = [b"%d" % n for n in range(2_000)]
#: four keys of one shard, two of another
KEYS = [*[k for k in _NAMES if shard_of(k) == 3][:4], *[k for k in _NAMES if shard_of(k) == 40][:2]]
STAGES = range(4)
UNTIL = 9


@st.composite
def shapes(draw: st.DrawFn) -> Items:
    items = draw(st.lists(st.tuples(st.sampled_from(STAGES), st.booleans()), min_size=1, max_size=5))
    if all(missing for _, missing in items):
        items.append((0, False))
    until = draw(st.none() | st.just(UNTIL))
    return Items(tuple(items), until, draw(st.integers(1, 12)))


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    key_sets = st.lists(st.sampled_from(KEYS), max_size=3, unique=True).map(tuple)
    stages = st.dictionaries(st.sampled_from([*STAGES, UNTIL]), key_sets, max_size=4)
    rows = draw(st.lists(st.tuples(st.integers(0, 3), st.booleans(), stages), min_size=1, max_size=60))
    out, time, first = [], 5, draw(st.integers(1, 9))
    for place, (step, late, passed) in enumerate(rows):
        time += step
        out.append(Event(first + place, time - 4 * late, {s: keys for s, keys in passed.items() if keys}))
    return out


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    items=shapes(), events=streams(), pending=st.integers(1, 4), per_key=st.integers(1, 3), tick=st.integers(1, 7),
    data=st.data(),
)  # fmt: skip
def test_it_does_what_is_defined(
    items: Items, events: list[Event], pending: int, per_key: int, tick: int, data: st.DataObject
) -> None:
    limits = Limits(pending=pending, pending_per_key=per_key, tick=tick)
    reference = Reference(items, pending, per_key, tick)
    expected = sorted(reference.run(events), key=order)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events)))))
    found, evicted, state = run(items, limits, events, cuts)
    assert found == expected
    assert evicted == [reference.evicted[shard] for shard in range(64)]
    restart = data.draw(st.sampled_from([0, *cuts]))
    workers = data.draw(st.sampled_from([1, 2, 5]))
    assert run(items, limits, events, cuts, workers, restart) == (found, evicted, state)
    assert run(items, limits, events, []) == (found, evicted, state)


@pytest.mark.parametrize("seed", range(30))
def test_events_of_later_items_count_whenever_what_they_follow_came(seed: int) -> None:
    rng = random.Random(seed)
    count, limits = rng.randint(2, 4), Limits(pending=2, tick=16)
    items = [(rng.randrange(3), rng.random() < 0.2) for _ in range(count)]
    shape = Items((*items, (3, False)), rng.choice([None, UNTIL]), 40)
    stages = [0, 1, 2, 3, 0, 1, 2, UNTIL]
    events = [Event(n, n, {rng.choice(stages): (rng.choice(KEYS[:2]),)}) for n in range(1, 160)]
    expected = sorted(Reference(shape, limits.pending, limits.pending_per_key, limits.tick).run(events), key=order)
    for size in (1, 4, 30):
        assert run(shape, limits, events, range(size, len(events), size))[0] == expected
