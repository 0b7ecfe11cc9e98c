"""What became of the partial matches of one rule under some keys, step by step: for `rules explain`.

A machine that has an observer tells it what it does; one that has none pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from kestrel_lab.engine.keyring import Ints, KeyedHits, KeyRing, Mask
from kestrel_lab.engine.keys import decode
from kestrel_lab.engine.partial import Partials
from kestrel_lab.engine.shape import Shape
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
        self._steps: list[Step] = []
        self._missing: list[tuple[bytes, int, int]] = []  # key, event time, id of events that must not stand somewhere

    def steps(self) -> list[Step]:
        """Return the steps so far, in the order of the events that made them happen."""
        return sorted(self._steps, key=_order)

    def hits(self, shape: Shape, hits: Mapping[int, KeyedHits]) -> None:
        """Keep which events began something, and which must not stand somewhere."""
        for key, event_id, time in self._rows(hits[shape.events[0]]):
            self._add("started", event_id, key, 0, (event_id,), time, time)
        for number in dict.fromkeys((*shape.lead, *(n for gap in shape.gaps for n in gap), *shape.trail)):
            self._missing += [(key, time, event_id) for key, event_id, time in self._rows(hits[number])]

    def ordered(self, place: int, before: Partials, reads: KeyedHits, untils: KeyedHits, order: Ints) -> None:
        """Keep what was overwritten, dropped by `until`, and which events found nothing."""
        keys = np.concatenate([reads.key, before.key, untils.key])[order]
        wanted = np.flatnonzero(np.isin(keys, self._numbers()))
        previous = -1
        for at in wanted.tolist():
            same = previous == at - 1 and keys[previous] == keys[at]
            entry, last = order[at], order[previous] if same else -1
            pending = last - len(reads) if same and 0 <= last - len(reads) < len(before) else -1
            if entry < len(reads):
                if pending < 0:
                    hit = reads.pick(np.array([entry]))
                    for key, event_id, time in self._rows(hit):
                        self._add("alone", event_id, key, place + 1, (), time, time)
            elif pending >= 0:
                new, until = entry - len(reads), entry - len(reads) - len(before)
                by, time = (
                    (int(before.last[new]), int(before.times[new, -1]))
                    if until < 0
                    else (int(untils.id[until]), int(untils.time[until]))
                )
                self._partials("overwritten" if until < 0 else "until", before.pick(np.array([pending])), by, time)
            previous = at

    def advanced(self, place: int, found: Partials, hits: KeyedHits, in_time: Mask) -> None:
        """Keep what went on, and what was rejected by maxspan."""
        for at in np.flatnonzero(np.isin(found.key, self._numbers())).tolist():
            event_id, time, key = int(hits.id[at]), int(hits.time[at]), self._ring.key(int(found.key[at]))
            ids, first = found.ids[at].tolist(), int(found.times[at, 0])
            if in_time[at]:
                self._add("advanced", event_id, key, place + 1, (*ids, event_id), first, time)
            else:
                self._add("too_late", event_id, key, place, tuple(ids), first, time)

    def finished(self, found: Partials, kept: Mask) -> None:
        """Keep what an event between or before its events rejects."""
        for at in np.flatnonzero(np.isin(found.key, self._numbers()) & ~kept).tolist():
            key, times = self._ring.key(int(found.key[at])), found.times[at].tolist()
            windows = [(a, b) for a, b, gap in zip(times, times[1:], self._shape.gaps, strict=False) if gap]
            windows += [(times[-1] - self._span - 1, times[0])] if self._shape.lead else []
            stood = (i for k, t, i in self._missing if k == key and any(a < t < b for a, b in windows))
            self._partials("missing", found.pick(np.array([at])), next(stood, None), times[-1])

    def waiting(self, found: Partials, deadline: Ints) -> None:
        """Keep what waits."""
        for at in np.flatnonzero(np.isin(found.key, self._numbers())).tolist():
            self._partials("waiting", found.pick(np.array([at])), int(found.last[at]), limit=int(deadline[at]))

    def closed(self, found: Partials, came: Ints) -> None:
        """Keep what an event after its events rejects."""
        for at in np.flatnonzero(np.isin(found.key, self._numbers())).tolist():
            key, time = self._ring.key(int(found.key[at])), int(came[at])
            by = next((i for k, t, i in self._missing if k == key and t == time), None)
            self._partials("missing", found.pick(np.array([at])), by, time)

    def completed(self, found: Partials) -> None:
        """Keep alerts."""
        for at in np.flatnonzero(np.isin(found.key, self._numbers())).tolist():
            self._partials("completed", found.pick(np.array([at])), int(found.last[at]))

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
        for at in np.flatnonzero(np.isin(found.key, self._numbers())).tolist():
            self._partials(kind, found.pick(np.array([at])), None)

    def _partials(
        self, kind: Kind, one: Partials, by: int | None, time: int | None = None, limit: int | None = None
    ) -> None:
        ids, times = one.ids[0].tolist(), one.times[0].tolist()
        key = self._ring.key(int(one.key[0]))
        self._add(kind, by, key, len(ids) - 1, tuple(ids), times[0], times[-1] if time is None else time, limit)

    def _add(
        self, kind: Kind, by: int | None, key: bytes, place: int, ids: tuple[int, ...], first: int, last: int,
        limit: int | None = None,
    ) -> None:  # fmt: skip
        until = first + self._span if limit is None else limit
        self._steps.append(Step(kind, by, decode(key), self._items[place], ids, first, last, until))

    def _numbers(self) -> Ints:
        return self._ring.find(self._keys)

    def _rows(self, hits: KeyedHits) -> Sequence[tuple[bytes, int, int]]:
        own = hits.pick(np.isin(hits.key, self._numbers()))
        columns = (column.tolist() for column in (own.key, own.id, own.time))
        return [(self._ring.key(key), event_id, time) for key, event_id, time in zip(*columns, strict=True)]


#: what happens first where one event makes several things happen
_RANKS = {kind: rank for rank, kind in enumerate((
    "alone", "too_late", "advanced", "missing", "waiting", "completed", "overwritten", "started", "until",
))}  # fmt: skip


def _order(step: Step) -> tuple[bool, int, int, int]:
    """Order by cause; what time or the end did comes last, by the partial match's last event."""
    at = step.event_ids[-1] if step.event_id is None and step.event_ids else step.event_id or 0
    return step.event_id is None, at, _RANKS.get(step.kind, len(_RANKS)), -step.item
