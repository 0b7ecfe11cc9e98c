"""Quotas of pending sequences, enforced where events have an id that is a multiple of `TICK`, just before them.

There, and nowhere else, a shard that holds more than its limit gives up the least by (last event_id, stage, key).
What an event at that time could no longer complete is not counted and not held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, KeyRing, per_shard
from kestrel_lab.engine.matching.partial import Partials

if TYPE_CHECKING:
    from kestrel_lab.engine.matching.sequence import SequenceMachine

#: Gives the rows of the oldest sequences of a stage, so many if there are.
_Oldest: TypeAlias = Callable[[int], Ints]


def may_exceed(machine: SequenceMachine, hits: Mapping[int, KeyedHits]) -> bool:
    """Return whether these hits could bring a shard over a limit, so that where quotas are enforced matters.

    It may say so wrongly, which costs only time.
    """
    shape, limits = machine.shape, machine.limits
    first = hits[shape.events[0]].key if hits else np.zeros(0, np.int64)
    opens = len(hits[shape.events[-1]]) if hits and shape.trail else 0
    leads = sum(len(hits[number]) for number in shape.lead) if hits else 0
    if len(machine.windows) + opens > min(limits.pending, limits.pending_per_key):
        return True
    if len(machine.lookback) + leads > limits.pending:
        return True
    if machine.held + len(first) + opens <= limits.pending:
        return False
    keys = first[machine.keys.last(first)]  # of one key no more are pending than there are stages
    more = per_shard(machine.keys.shard[keys]) * max(len(machine.slots), 1)
    return bool((_held(machine) + opens + more > limits.pending).any())


def _held(machine: SequenceMachine) -> Ints:
    """Return how many sequences are pending, by shard."""
    waiting = per_shard(machine.keys.shard[machine.windows.keys])
    return sum((slots.by_shard for slots in machine.slots), waiting)


def enforce(machine: SequenceMachine, now: int) -> None:
    """Give up what is too much, at a tick whose event time before it is `now`."""
    machine.expire(now)
    _crowded_keys(machine)
    _crowded_shards(machine)
    _crowded_lookback(machine)


def _crowded_keys(machine: SequenceMachine) -> None:
    """Of the sequences of one key that wait for time to pass, give up the oldest beyond the limit."""
    keys, limit = machine.windows.found.key, machine.limits.pending_per_key
    if len(keys) <= limit:
        return
    newest_first = np.argsort(keys[::-1], kind="stable")
    ordered = keys[::-1][newest_first]
    begins = np.searchsorted(ordered, ordered, "left")
    over = len(keys) - 1 - newest_first[np.arange(len(keys)) - begins >= limit]
    _give_up(machine, len(machine.slots), over)


def _crowded_shards(machine: SequenceMachine) -> None:
    if machine.held <= machine.limits.pending:
        return
    excess = np.maximum(_held(machine) - machine.limits.pending, 0)
    if not excess.any():
        return
    windows = np.arange(len(machine.windows))
    found: list[tuple[Partials, _Oldest]] = [(slots.rows, slots.oldest) for slots in machine.slots]
    found.append((machine.windows.found, lambda count: windows[:count]))
    lasts, stages, keys, places = _oldest(found, excess, machine.keys)
    over = _least(lasts, stages, keys, machine.keys, excess)
    places, doomed = places[over], stages[over]
    for stage in np.unique(doomed).tolist():
        _give_up(machine, stage, places[doomed == stage])


def _oldest(found: Sequence[tuple[Partials, _Oldest]], excess: Ints, ring: KeyRing) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the last event, stage, key and row of the oldest sequences: as few as hold what is too much of each shard.

    Args:
        found: of each stage the columns, and what gives the first rows of what is pending in the order of last events.
    """
    count = 2 * int(excess.sum())
    while True:
        rows = [oldest(count + 1) for _, oldest in found]
        lasts = [part.last[own] for (part, _), own in zip(found, rows, strict=True)]
        more = [own[count] for own in lasts if len(own) > count]
        if more:  # all those of one last event, or none: the stage and the key decide among them
            ends = [np.searchsorted(own, min(more)) for own in lasts]
            rows, lasts = ([c[:end] for c, end in zip(columns, ends, strict=True)] for columns in (rows, lasts))
        keys = np.concatenate([part.key[own] for (part, _), own in zip(found, rows, strict=True)])
        if not more or (per_shard(ring.shard[keys]) >= excess).all():
            stages = np.repeat(np.arange(len(found)), [len(own) for own in rows])
            return np.concatenate(lasts), stages, keys, np.concatenate(rows)
        count *= 4


def _give_up(machine: SequenceMachine, stage: int, places: Ints) -> None:
    windows = stage == len(machine.slots)
    found = machine.windows.found.pick(places) if windows else machine.slots[stage].at(places)
    machine.evicted += per_shard(machine.keys.shard[found.key])
    if machine.observer:
        machine.observer.evicted(stage, found)
    if windows:
        machine.windows.drop(places)
    else:
        machine.slots[stage].strike(places)


def _crowded_lookback(machine: SequenceMachine) -> None:
    """Forget the oldest events that must not come before a sequence, and remember up to when that was."""
    if len(machine.lookback) <= machine.limits.pending:
        return
    keys = machine.lookback.keys
    times, _, ids = machine.lookback.at()
    excess = np.maximum(per_shard(machine.keys.shard[keys]) - machine.limits.pending, 0)
    over = _least(ids, np.zeros(len(keys), np.int64), keys, machine.keys, excess)
    shards = machine.keys.shard[keys[over]]
    np.maximum.at(machine.forgotten, shards, times[over])
    machine.evicted += per_shard(shards)
    machine.lookback.drop(over)


def _least(lasts: Ints, stages: Ints, keys: Ints, ring: KeyRing, excess: Ints) -> Ints:
    """Return the places of as many entries as are too many in each shard, the least by (last, stage, key)."""
    shards = ring.shard[keys]
    counts = per_shard(shards)
    order = np.argsort(lasts, kind="stable")  # entries come by stage
    order = order[np.argsort(shards[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    inside = np.flatnonzero((excess > 0) & (excess < counts))
    cuts = starts[inside] + excess[inside]
    low, high = order[cuts - 1], order[cuts]
    tied = (lasts[low] == lasts[high]) & (stages[low] == stages[high])
    for shard in inside[tied].tolist():
        begin, end = starts[shard], starts[shard] + counts[shard]
        _break_tie(order[begin:end], int(excess[shard]), lasts, stages, keys, ring)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return order[rank < np.repeat(excess, counts)]


def _break_tie(order: Ints, cut: int, lasts: Ints, stages: Ints, keys: Ints, ring: KeyRing) -> None:
    """Put the entries around the cut, which share the last event and the stage, in the order of their keys."""
    last, stage = lasts[order[cut]], stages[order[cut]]
    tied = np.flatnonzero((lasts[order] == last) & (stages[order] == stage))
    order[tied] = sorted(order[tied].tolist(), key=lambda place: ring.key(int(keys[place])))
