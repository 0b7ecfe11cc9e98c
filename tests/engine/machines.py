"""Running the machine of a sequence over plain events, cut into scans in any way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching.evidence import EvidenceStore
from kestrel_lab.engine.matching.forget import forget_keys
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.remember import recall, remember
from kestrel_lab.engine.matching.sequence import SequenceMachine
from kestrel_lab.engine.matching.state import State, dump, load, merge
from kestrel_lab.eql.ir import TRUE, Program, Stage
from tests.engine.reference import Event, Found, Items

ALL = frozenset(range(64))


@dataclass
class Keys:
    """Stands for `JoinKeys`."""

    sets: list[tuple[bytes, ...]]
    origin: None = None

    def found(self) -> tuple[list[tuple[bytes, ...]], Any]:
        distinct = sorted(set(self.sets))
        return distinct, np.array([distinct.index(s) for s in self.sets], np.int64)


class NoCaptures:
    """Stands for `Captures` of rules that capture nothing."""

    source = None

    def copy(self) -> NoCaptures:
        return self

    def take(self, indexes: Sequence[int]) -> list[dict[str, Any]]:
        return [{} for _ in indexes]

    def keep(self, indexes: Sequence[int]) -> None:
        pass


def program_of(items: Items) -> Program:
    """Return a program of this shape; equal items are the same stage."""
    stages: dict[tuple[int, bool], Stage] = {}
    for item in items.items:
        stages.setdefault(item, Stage(None, TRUE, (), frozenset(), (), (), item[1]))
    until = None if items.until is None else Stage(None, TRUE, (), frozenset(), ())
    return Program("sequence", tuple(stages[item] for item in items.items), until, items.span, frozenset())


def scan_of(events: Sequence[Event], before_ns: int, items: Items, tick: int) -> Scan:
    """Return the scan of consecutive events; the hits of a stage come in two blocks, as of two tables."""
    numbers = {item: n for n, item in reversed(list(enumerate(items.items)))}
    stages = [(number, stage) for (stage, _), number in numbers.items()]
    if items.until is not None:
        stages.append((len(items.items), items.until))
    running = np.maximum.accumulate([before_ns, *(e.time for e in events)]).tolist()
    hits: list[Hits] = []
    for number, stage in stages:
        for odd in (0, 1):
            rows = [n for n, e in enumerate(events) if e.id % 2 == odd and stage in e.stages]
            if rows:
                ids, times = (
                    np.array(c, np.uint64) for c in zip(*((events[n].id, running[n + 1]) for n in rows), strict=True)
                )
                keys = Keys([events[n].stages[stage] for n in rows])
                hits.append(Hits("r", number, ids, times, times, keys, NoCaptures()))  # type: ignore[arg-type]
    ticks = tuple((e.id, running[n]) for n, e in enumerate(events) if e.id % tick == 0)
    return Scan(
        epoch=0, segment=0, first_event_id=events[0].id, last_event_id=events[-1].id, event_time_before_ns=before_ns,
        event_time_ns=running[-1], wall=((0, 0),), hits={"r": hits}, fuel={}, evaluations=0, exhausted=(), ticks=ticks,
    )  # fmt: skip


class Run:
    """One or more machines that share the keys of a rule, over scans."""

    def __init__(self, items: Items, limits: Limits, workers: int = 1) -> None:
        self.items, self.limits, self.now = items, limits, 0
        self.shards = [frozenset(range(w, 64, workers)) for w in range(workers)]
        self._new()
        self.found: list[Found] = []

    def _new(self) -> None:
        program = program_of(self.items)
        self.numberings = [Numbering(shards, spare=4_096) for shards in self.shards]
        self.machines = [SequenceMachine(program, numbering, self.limits) for numbering in self.numberings]
        self.evidence = [EvidenceStore() for _ in self.shards]

    def feed(self, events: Sequence[Event]) -> None:
        scan = scan_of(events, self.now, self.items, self.limits.tick)
        for machine, evidence in zip(self.machines, self.evidence, strict=True):
            blocks = machine.useful(scan.hits["r"])
            if blocks or not machine.rests:
                handles = [evidence.add(block.captures, len(block.event_id)) for block in blocks]
                self._keep(machine.feed(blocks, handles, scan))
                evidence.keep(machine.handles())
            forget_keys(machine.numbering, [machine], scan.event_time_ns)
        self.now = scan.event_time_ns

    def finish(self) -> None:
        for machine in self.machines:
            self._keep(machine.resolve(None))

    def evicted(self) -> list[int]:
        return sum(machine.evicted for machine in self.machines).tolist()  # type: ignore[union-attr]

    def state(self) -> bytes:
        """Return the state of all, put together."""
        pairs = zip(self.machines, self.evidence, strict=True)
        return merge([dump(State(self.now, 0, [], {"r": remember(m, self.now, e)})) for m, e in pairs])

    def restart(self) -> None:
        """Go on with new machines from the state of the old."""
        stored = load(self.state()).rules.get("r")
        self._new()
        for machine, shards, evidence in zip(self.machines, self.shards, self.evidence, strict=True):
            if stored is not None:
                recall(machine, stored, shards, evidence)

    def _keep(self, wholes: Sequence[Any]) -> None:
        self.found += [Found(w.key, w.ids, w.deadline, w.blurred) for w in wholes]


def run(
    items: Items, limits: Limits, events: Sequence[Event], cuts: Sequence[int], workers: int = 1, restart: int = -1
) -> tuple[list[Found], list[int], bytes]:
    """Return what is found, what was given up by shard, and the state before the end, over events cut at `cuts`."""
    whole = Run(items, limits, workers)
    for begin, end in pairwise([0, *cuts, len(events)]):
        if begin == restart:
            whole.restart()
        if end > begin:
            whole.feed(events[begin:end])
    state, evicted = whole.state(), whole.evicted()
    whole.finish()
    return sorted(whole.found, key=order), evicted, state


def order(found: Found) -> tuple[Any, ...]:
    return found.ids, found.key
