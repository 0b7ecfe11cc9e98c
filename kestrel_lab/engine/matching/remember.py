"""Between the machines of rules and their stored state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np

from kestrel_lab.engine.hits.captures import Capture
from kestrel_lab.engine.hits.keys import shard_of
from kestrel_lab.engine.matching.evidence import EvidenceStore
from kestrel_lab.engine.matching.keyring import Ints
from kestrel_lab.engine.matching.partial import LONG_AGO, Partials
from kestrel_lab.engine.matching.sample import Gathered, SampleMachine
from kestrel_lab.engine.matching.sequence import SequenceMachine
from kestrel_lab.engine.matching.state import RuleState, Stored, StoredSample

Machine = SequenceMachine | SampleMachine


def remember(machine: Machine, now: int, evidence: EvidenceStore) -> RuleState:
    """Return what a machine remembers at an event time (ns), without what can no longer matter."""
    out = RuleState(evicted=_by_shard(machine.evicted, 0))
    captures = evidence.take(machine.handles())
    if isinstance(machine, SampleMachine):
        for key, g in machine.gathered.items():
            items = tuple(tuple((i, boot, captures[handle]) for i, boot, handle in item) for item in g.items)
            out.samples.append(StoredSample(key, g.first_ns, g.last, g.done, items))
        return out
    machine.expire(now)
    for slots in machine.slots:
        out.pending += _stored(machine, slots.at(slots.where()), captures)
    windows = machine.windows
    times = zip(windows.deadline.tolist(), windows.wall.tolist(), strict=True)
    out.pending += _stored(machine, windows.found, captures, list(times))
    columns = (column.tolist() for column in machine.lookback.at())
    out.lookback = [
        (machine.keys.key(n), *row)
        for n, row in zip(machine.lookback.keys.tolist(), zip(*columns, strict=True), strict=True)
    ]
    out.forgotten = _by_shard(machine.forgotten, LONG_AGO)
    return out


def recall(machine: Machine, state: RuleState, shards: frozenset[int], evidence: EvidenceStore) -> None:
    """Put back what an empty machine remembered, as far as it owns the shards."""
    for shard in shards:
        machine.evicted[shard] = state.evicted.get(shard, 0)
    if isinstance(machine, SampleMachine):
        for sample in sorted(state.samples, key=lambda s: (s.last, s.key)):
            if shard_of(sample.key) in shards:
                machine.gathered[sample.key] = _gathered(sample, evidence)
        return
    for shard in shards:
        machine.forgotten[shard] = state.forgotten.get(shard, LONG_AGO)
    own = sorted((s for s in state.pending if shard_of(s.key) in shards), key=lambda s: s.order)
    for place, slots in enumerate(machine.slots):
        slots.put(_partials(machine, [s for s in own if s.deadline is None and len(s.ids) == place + 1], evidence))
    waiting = [s for s in own if s.deadline is not None]
    if waiting:
        times = np.array([(s.deadline, s.wall) for s in waiting], np.int64)
        machine.windows.add(_partials(machine, waiting, evidence), times[:, 0], times[:, 1])
    lookback = [entry for entry in state.lookback if shard_of(entry[0]) in shards]
    if lookback:
        keys = machine.keys.intern([key for key, *_ in lookback])
        machine.lookback.put(keys, *np.array([rest for _, *rest in lookback], np.int64).T)


def _stored(
    machine: SequenceMachine,
    found: Partials,
    captures: dict[int, Capture],
    waits: Sequence[tuple[int, int] | tuple[None, None]] = (),
) -> list[Stored]:
    columns = (column.tolist() for column in found.columns())
    rows = zip(*columns, waits or [(None, None)] * len(found), strict=True)
    return [
        Stored(machine.keys.key(key), tuple(ids), tuple(times), boot, gap, bad, lead, blur,
               tuple(captures[h] for h in handles), *wait)
        for key, ids, times, handles, boot, gap, bad, lead, blur, wait in rows
    ]  # fmt: skip


def _partials(machine: SequenceMachine, stored: Sequence[Stored], evidence: EvidenceStore) -> Partials:
    """Return stored sequences of one length as columns."""
    base = evidence.add_rows(list(chain.from_iterable(s.captures for s in stored)))
    width = len(stored[0].ids) if stored else 1
    handles = base + np.arange(len(stored) * width).reshape(-1, width)
    return Partials(
        key=machine.keys.intern([s.key for s in stored]),
        ids=np.array([s.ids for s in stored], np.int64).reshape(-1, width),
        times=np.array([s.times for s in stored], np.int64).reshape(-1, width),
        handles=handles,
        boot=np.array([s.boot for s in stored], np.int64),
        gap=np.array([s.gap for s in stored], np.int64),
        bad=np.array([s.bad for s in stored], np.bool_),
        lead=np.array([s.lead for s in stored], np.int64),
        blur=np.array([s.blur for s in stored], np.int64),
    )


def _gathered(sample: StoredSample, evidence: EvidenceStore) -> Gathered:
    base = evidence.add_rows([capture for item in sample.items for _, _, capture in item])
    ends = np.cumsum([0, *map(len, sample.items)]).tolist()
    items = [
        [(i, boot, base + begin + n) for n, (i, boot, _) in enumerate(item)]
        for item, (begin, _) in zip(sample.items, pairwise(ends), strict=True)
    ]
    return Gathered(sample.first_ns, sample.last, sample.done, items)


def _by_shard(values: Ints, nothing: int) -> dict[int, int]:
    return {shard: value for shard, value in enumerate(values.tolist()) if value != nothing}
