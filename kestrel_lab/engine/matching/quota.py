"""Quotas of pending sequences, enforced where events have an id that is a multiple of `TICK`, just before them.

There, and nowhere else, a shard that holds more than its limit gives up the least by (last event_id, stage, key).
What an event at that time could no longer complete is not counted and not held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, KeyRing
from kestrel_lab.engine.matching.missing import per_shard

if TYPE_CHECKING:
    from kestrel_lab.engine.matching.sequence import SequenceMachine


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
    return per_shard(machine.keys.shard[np.concatenate(machine.pending_keys())])


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
    if not (_held(machine) > machine.limits.pending).any():
        return
    rows = [slots.where() for slots in machine.slots]
    rows.append(np.arange(len(machine.windows)))
    found = [*(slots.rows for slots in machine.slots), machine.windows.found]
    lasts = np.concatenate([part.last[r] for part, r in zip(found, rows, strict=True)])
    keys = np.concatenate([part.key[r] for part, r in zip(found, rows, strict=True)])
    stages = np.repeat(np.arange(len(found)), [len(r) for r in rows])
    over = _least(lasts, stages, keys, machine.keys, machine.limits.pending)
    places, doomed = np.concatenate(rows)[over], stages[over]
    for stage in np.unique(doomed).tolist():
        _give_up(machine, stage, places[doomed == stage])


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
    over = _least(ids, np.zeros(len(keys), np.int64), keys, machine.keys, machine.limits.pending)
    shards = machine.keys.shard[keys[over]]
    np.maximum.at(machine.forgotten, shards, times[over])
    machine.evicted += per_shard(shards)
    machine.lookback.drop(over)


def _least(lasts: Ints, stages: Ints, keys: Ints, ring: KeyRing, limit: int) -> Ints:
    """Return the places of the entries that are too many in their shards, the least by (last, stage, key)."""
    shards = ring.shard[keys]
    counts = per_shard(shards)
    excess = np.maximum(counts - limit, 0)
    if not excess.any():
        return np.zeros(0, np.int64)
    order = np.argsort(lasts, kind="stable")  # entries come by stage
    order = order[np.argsort(shards[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    for shard in np.flatnonzero(excess).tolist():
        begin, end = starts[shard], starts[shard] + counts[shard]
        _break_tie(order[begin:end], int(excess[shard]), lasts, stages, keys, ring)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return order[rank < np.repeat(excess, counts)]


def _break_tie(order: Ints, cut: int, lasts: Ints, stages: Ints, keys: Ints, ring: KeyRing) -> None:
    """Put the entries around the cut that share the last event and the stage in the order of their keys."""
    if cut == len(order):
        return
    last, stage = lasts[order[cut]], stages[order[cut]]
    if lasts[order[cut - 1]] != last or stages[order[cut - 1]] != stage:
        return
    tied = np.flatnonzero((lasts[order] == last) & (stages[order] == stage))
    order[tied] = sorted(order[tied].tolist(), key=lambda place: ring.key(int(keys[place])))
