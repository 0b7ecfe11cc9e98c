"""The sequence machine against its definition, whatever the cuts, workers, checkpoints and quotas."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.keys import shard_of
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
