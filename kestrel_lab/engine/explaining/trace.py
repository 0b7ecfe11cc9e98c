"""What became of the partial matches of one rule under some keys, step by step: for `rules explain`.

A machine that has an observer tells it what it does; one that has none pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np

from kestrel_lab.engine.hits.keys import SHARDS, decode
from kestrel_lab.engine.hits.scan import Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching.forget import forget_keys
from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, KeyRing, Mask
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.partial import Partials
from kestrel_lab.engine.matching.sequence import SequenceMachine
from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.shape import Shape
from kestrel_lab.engine.scanning.scanner import Scanner
from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.values import Value

#: started: its first event; advanced: its next; alone: an event of a later item that nothing was pending for;
#: overwritten: by a newer one at the same item; too_late: rejected by maxspan; until: dropped by an `until` event;
#: missing: rejected by an event that must not stand there; evicted: for want of room; expired: nothing came in time;
#: waiting: all events are there, but one may come that must not; completed: an alert; open: undecided at the end.
Kind = Literal[
    "started", "advanced", "alone", "overwritten", "too_late", "until", "missing", "evicted", "expired", "waiting",
    "completed", "open",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a partial match.

    Attributes:
        event_id: the event that made it happen; None where that was time, or the end.
        key: values of the join key.
        item: number of the last item matched, from 0, missing events counted.
        event_ids: the partial match's events.
        first_ns, last_ns: event time of its first event, and of the event that made it happen (else of its last), ns.
        limit_ns: what `last_ns` had to keep to: the end of its maxspan, or of the time that it waits.
    """

    kind: Kind
    event_id: int | None
    key: tuple[Value, ...]
    item: int
    event_ids: tuple[int, ...]
    first_ns: int
    last_ns: int
    limit_ns: int


class Observer(Protocol):
    """What a machine tells while it runs. Everything comes in batches, and of every key."""

    def hits(self, shape: Shape, hits: Mapping[int, KeyedHits]) -> None:
        """Hits of each stage, before they are matched."""

    def ordered(self, place: int, before: Partials, reads: KeyedHits, untils: KeyedHits, order: Ints) -> None:
        """All that concerns the partial matches at a place: `order` is over reads, `before` and untils, in a row."""

    def advanced(self, place: int, found: Partials, hits: KeyedHits, in_time: Mask) -> None:
        """Partial matches at a place, and the events that took them."""

    def finished(self, found: Partials, kept: Mask) -> None:
        """Sequences that have all their events, and which pass for what stood between and before them."""

    def waiting(self, found: Partials, deadline: Ints) -> None:
        """Sequences that wait for time to pass."""

    def closed(self, found: Partials, came: Ints) -> None:
        """Sequences that an event followed that must not, and when."""

    def completed(self, found: Partials) -> None:
        """Alerts."""

    def evicted(self, place: int, found: Partials) -> None:
        """Partial matches given up for want of room."""

    def expired(self, place: int, found: Partials) -> None:
        """Partial matches that nothing can complete any more."""


class Tracer:
    """An observer that keeps the steps of some keys. Satisfies `Observer`.

    Args:
        keys: canonical keys to keep the steps of.
        ring, shape, span_ns: of the machine.
    """

    def __init__(self, keys: Iterable[bytes], ring: KeyRing, shape: Shape, span_ns: int) -> None:
        self._keys, self._ring, self._shape, self._span = tuple(keys), ring, shape, span_ns
        self._items = [item for item, place in enumerate(shape.places) if place is not None]
        self._steps: list[tuple[tuple[bool, int, bool, int, int], Step]] = []
        self._later: dict[tuple[bytes, int, int], int] = {}  # (key, place, id) of events of later items: event time
        self._missing: list[tuple[bytes, int, int]] = []  # key, event time, id of events that must not stand somewhere

    def steps(self) -> list[Step]:
        """Return the steps so far, in the order of the events that made them happen."""
        for (key, place, event_id), time in self._later.items():
            self._add("alone", event_id, key, place, (), time, time)
        self._later.clear()
        return [step for _, step in sorted(self._steps, key=lambda item: item[0])]

    def hits(self, shape: Shape, hits: Mapping[int, KeyedHits]) -> None:
        """Keep which events began something, could continue something, and must not stand somewhere."""
        for key, event_id, time in self._rows(hits[shape.events[0]]):
            self._add("started", event_id, key, 0, (event_id,), time, time)
        for place, number in list(enumerate(shape.events))[1:]:
            self._later |= {(key, place, event_id): time for key, event_id, time in self._rows(hits[number])}
        for number in dict.fromkeys((*shape.lead, *(n for gap in shape.gaps for n in gap), *shape.trail)):
            self._missing += [(key, time, event_id) for key, event_id, time in self._rows(hits[number])]

    def ordered(self, place: int, before: Partials, reads: KeyedHits, untils: KeyedHits, order: Ints) -> None:
        """Keep what was overwritten and what was dropped by `until`."""
        keys = np.concatenate([reads.key, before.key, untils.key])[order]
        wanted = np.flatnonzero(np.isin(keys, self._numbers()))
        for at, after in pairwise(wanted.tolist()):
            pending, new = order[at] - len(reads), order[after] - len(reads)
            if after != at + 1 or keys[at] != keys[after] or not 0 <= pending < len(before) or new < 0:
                continue  # nothing was pending there, or an event of the next item took it
            if new < len(before):
                self._partials("overwritten", before, pending, int(before.last[new]), int(before.times[new, -1]))
            else:
                until = new - len(before)
                self._partials("until", before, pending, int(untils.id[until]), int(untils.time[until]))

    def advanced(self, place: int, found: Partials, hits: KeyedHits, in_time: Mask) -> None:
        """Keep what went on, and what was rejected by maxspan."""
        for at in self._own(found):
            event_id, time, key = int(hits.id[at]), int(hits.time[at]), self._ring.key(int(found.key[at]))
            ids, first = found.ids[at].tolist(), int(found.times[at, 0])
            self._later.pop((key, place + 1, event_id), None)
            if in_time[at]:
                self._add("advanced", event_id, key, place + 1, (*ids, event_id), first, time)
            else:
                self._add("too_late", event_id, key, place, tuple(ids), first, time)

    def finished(self, found: Partials, kept: Mask) -> None:
        """Keep what an event between or before its events rejects."""
        for at in self._own(found, ~kept):
            key, times = self._ring.key(int(found.key[at])), found.times[at].tolist()
            windows = [(a, b) for a, b, gap in zip(times, times[1:], self._shape.gaps, strict=False) if gap]
            windows += [(times[-1] - self._span - 1, times[0])] if self._shape.lead else []
            stood = (i for k, t, i in self._missing if k == key and any(a < t < b for a, b in windows))
            self._partials("missing", found, at, next(stood, None), at_event=int(found.last[at]))

    def waiting(self, found: Partials, deadline: Ints) -> None:
        """Keep what waits."""
        for at in self._own(found):
            self._partials("waiting", found, at, int(found.last[at]), limit=int(deadline[at]))

    def closed(self, found: Partials, came: Ints) -> None:
        """Keep what an event after its events rejects."""
        for at in self._own(found):
            key, time = self._ring.key(int(found.key[at])), int(came[at])
            by = next((i for k, t, i in self._missing if k == key and t == time), None)
            self._partials("missing", found, at, by, time)

    def completed(self, found: Partials) -> None:
        """Keep alerts."""
        for at in self._own(found):
            self._partials("completed", found, at, int(found.last[at]))

    def evicted(self, place: int, found: Partials) -> None:
        """Keep what was given up."""
        self._all("evicted", found)

    def expired(self, place: int, found: Partials) -> None:
        """Keep what nothing can complete any more."""
        self._all("expired", found)

    def left(self, found: Partials) -> None:
        """Keep what is undecided at the end."""
        self._all("open", found)

    def _all(self, kind: Kind, found: Partials) -> None:
        for at in self._own(found):
            self._partials(kind, found, at, None)

    def _own(self, found: Partials, which: Mask | None = None) -> list[int]:
        own = np.isin(found.key, self._numbers())
        places: list[int] = np.flatnonzero(own if which is None else own & which).tolist()
        return places

    def _partials(
        self, kind: Kind, found: Partials, at: int, by: int | None, time: int | None = None, limit: int | None = None,
        at_event: int | None = None,
    ) -> None:  # fmt: skip
        ids, times = found.ids[at].tolist(), found.times[at].tolist()
        last = times[-1] if time is None else time
        self._add(
            kind, by, self._ring.key(int(found.key[at])), len(ids) - 1, tuple(ids), times[0], last, limit, at_event
        )

    def _add(
        self, kind: Kind, by: int | None, key: bytes, place: int, ids: tuple[int, ...], first: int, last: int,
        limit: int | None = None, at_event: int | None = None,
    ) -> None:  # fmt: skip
        step = Step(kind, by, decode(key), self._items[place], ids, first, last,
                    first + self._span if limit is None else limit)  # fmt: skip
        at = next(i for i in (at_event, by, *ids[-1:], 0) if i is not None)
        self._steps.append(((by is None and at_event is None, at, kind == "until", -step.item, _RANKS[kind]), step))

    def _numbers(self) -> Ints:
        return self._ring.find(self._keys)

    def _rows(self, hits: KeyedHits) -> list[tuple[bytes, int, int]]:
        own = hits.pick(np.isin(hits.key, self._numbers()))
        columns = (column.tolist() for column in (own.key, own.id, own.time))
        return [(self._ring.key(key), event_id, time) for key, event_id, time in zip(*columns, strict=True)]


#: What is told first where one event makes several things happen; what time or the end did comes last.
_ORDER: tuple[Kind, ...] = (
    "alone", "too_late", "advanced", "overwritten", "started", "missing", "waiting", "completed", "until", "evicted",
    "expired", "open",
)  # fmt: skip
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER)}


def trace(
    rule: Rule, epochs: Iterable[Epoch], info: SourceInfo, at: Epoch, event_id: int, limits: Limits | None = None
) -> list[Step]:
    """Return what became of the partial matches of a sequence rule under the keys that an event has in it.

    Args:
        rule: compiled against the schema of the source.
        epochs: those of the source, from the first: what is pending depends on all before. One is held at a time.
        at: the one that holds the event.

    Returns:
        The steps under those keys, of all events; empty if no item of the rule matches the event.

    Raises:
        UsageError: if the rule is no sequence.
    """
    if rule.program.kind != "sequence":
        raise UsageError(f"{rule.id} is no sequence", do="Explain its condition at the event instead.")
    limits = limits or Limits()
    pack = Pack((rule,), {}, "", schema=info.schema)
    scanner = Scanner(pack, info, "live", limits, every=True)
    numbering = Numbering(frozenset(range(SHARDS)))
    machine = SequenceMachine(rule.program, numbering, limits)
    keys = _keys_of(scanner.scan(at), rule.id, event_id)
    tracer = Tracer(keys, machine.keys, machine.shape, machine.span)
    machine.observer = tracer
    now = 0
    for scan in map(scanner.scan, epochs):
        blocks = scan.hits.get(rule.id, ())
        machine.keys.intern(keys)  # so that events are told of under which nothing is pending
        machine.feed(blocks, [np.zeros(len(block.event_id), np.int64) for block in blocks], scan)
        now = scan.event_time_ns
        forget_keys(numbering, [machine], now)
    machine.expire(now)
    for found in (*(slots.at(slots.where()) for slots in machine.slots), machine.windows.found):
        tracer.left(found)
    return tracer.steps()


def _keys_of(scan: Scan, rule_id: str, event_id: int) -> list[bytes]:
    """Return the distinct keys that an event has in any item of a rule."""
    keys: dict[bytes, None] = {}
    for block in scan.hits.get(rule_id, ()):
        for row in np.flatnonzero(block.event_id == event_id).tolist():
            sets, index = block.keys.found()
            keys.update(dict.fromkeys(sets[index[row]]))
    return list(keys)
