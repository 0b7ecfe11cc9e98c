"""Partial matches as columns: sequences that have matched their first stages, and where the pending ones are kept."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, KeyRing, Mask, no_ints, per_shard

#: A time that never comes, and one before any other, ns.
NEVER, LONG_AGO = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Partials:
    """Sequences that have matched the same number of stages.

    Attributes:
        key: number of the join key.
        ids, times, handles: one column a stage: event_id, event time (ns), handle to the captures.
        boot: boot time of the last event, ns.
        gap: event time of the first event after the last one that must not stand there; NEVER for none.
        bad: whether such an event stood between two earlier events.
        lead: event time of the last event before the first one that must not stand there; LONG_AGO for none.
        blur: what was forgotten of such events has event times up to this; LONG_AGO for nothing.
    """

    key: Ints
    ids: Ints
    times: Ints
    handles: Ints
    boot: Ints
    gap: Ints
    bad: Mask
    lead: Ints
    blur: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.key)

    @property
    def first(self) -> Ints:
        """Event time of the first event, ns."""
        return self.times[:, 0]

    @property
    def last(self) -> Ints:
        """The last event's id."""
        return self.ids[:, -1]

    def columns(self) -> tuple[Any, ...]:
        """Return the columns in the order of the attributes."""
        return (self.key, self.ids, self.times, self.handles, self.boot, self.gap, self.bad, self.lead, self.blur)

    def pick(self, which: Mask | Ints) -> Partials:
        """Return some of them, by a mask or by place."""
        return Partials(*(column[which] for column in self.columns()))

    def extended(self, hits: KeyedHits, bad: Mask) -> Partials:
        """Return them with one more event each.

        Args:
            bad: of which an event stood before that one that must not.
        """
        return Partials(
            self.key,
            np.column_stack([self.ids, hits.id]),
            np.column_stack([self.times, hits.time]),
            np.column_stack([self.handles, hits.handle]),
            hits.boot,
            np.full(len(self), NEVER),
            self.bad | bad,
            self.lead,
            self.blur,
        )


def begun(hits: KeyedHits, lead: Ints | None = None, blur: Ints | None = None) -> Partials:
    """Return the sequences that hits of the first stage begin."""
    nothing = np.full(len(hits), LONG_AGO)
    return Partials(
        hits.key, hits.id[:, None], hits.time[:, None], hits.handle[:, None], hits.boot, np.full(len(hits), NEVER),
        np.zeros(len(hits), np.bool_), nothing if lead is None else lead, nothing if blur is None else blur,
    )  # fmt: skip


def none_of(width: int) -> Partials:
    """Return no sequences, of so many stages."""
    empty, wide = no_ints(), no_ints(0, width)
    return Partials(empty, wide, wide, wide, empty, empty, np.zeros(0, np.bool_), empty, empty)


def joined(parts: Sequence[Partials]) -> Partials:
    """Return several (at least one) as one, in their order."""
    found = [part for part in parts if len(part)]
    if len(found) < 2:
        return found[0] if found else parts[0]
    return Partials(*(np.concatenate(c) for c in zip(*(p.columns() for p in found), strict=True)))


class Slots:
    """The pending sequences of one stage, at most one a key, in the order of their last events.

    Rows are appended and struck out; they are moved together when there is no room.

    Attributes:
        by_shard: how many are pending in each shard.
    """

    def __init__(self, width: int, ring: KeyRing) -> None:
        """Take how many stages they have matched, and what their keys are numbers of."""
        self._width, self._ring = width, ring
        self._rows = none_of(width)  # with room to spare; key -1 where struck out
        self._top = self._count = 0
        self._bottom = 0  # nothing is pending in the rows before
        self._oldest = NEVER  # nothing pending began before, ns
        self.by_shard = per_shard(ring.shard[:0])

    def __len__(self) -> int:
        """Return how many are pending."""
        return self._count

    def where(self) -> Ints:
        """Return the rows of all that are pending, in the order of their last events."""
        return self._bottom + np.flatnonzero(self._rows.key[self._bottom : self._top] >= 0)

    def since(self, event_id: int) -> Ints:
        """Return the rows of what is pending with last events from one on, in their order."""
        last = self._rows.last
        begin = bisect_left(range(self._top), event_id, self._bottom, key=lambda row: last[row])
        return begin + np.flatnonzero(self._rows.key[begin : self._top] >= 0)

    @property
    def rows(self) -> Partials:
        """The columns that `where` and `find` give rows of; only those rows mean anything."""
        return self._rows

    @property
    def keys(self) -> Ints:
        """The keys of all that are pending, in the order of their last events."""
        keys = self._rows.key[self._bottom : self._top]
        return keys[keys >= 0]

    def at(self, rows: Ints) -> Partials:
        """Return what is in the given rows."""
        return self._rows.pick(rows)

    def oldest(self, count: int) -> Ints:
        """Return the first rows that `where` gives, so many if there are."""
        keys, begin, size = self._rows.key, self._bottom, 2 * count
        while True:
            rows = begin + np.flatnonzero(keys[begin : min(begin + size, self._top)] >= 0)
            if len(rows) >= count or begin + size >= self._top:
                self._bottom = int(rows[0]) if len(rows) else self._top
                return rows[:count]
            size *= 4

    def find(self, *keys: Ints) -> Ints:
        """Return the rows of what is pending under any of the keys, in the order of their last events."""
        if not self._count:
            return no_ints()
        begin = self._bottom
        return begin + np.flatnonzero(self._ring.members(self._rows.key[begin : self._top], *keys))

    def begun_before(self, time: int) -> Ints:
        """Return the rows of what is pending and began before an event time (ns), in the order of their last events."""
        if self._oldest >= time:
            return no_ints()
        rows = self.where()
        first = self._rows.first[rows]
        self._oldest = int(first.min(initial=NEVER))
        return rows[first < time]

    def strike(self, rows: Ints) -> None:
        """Drop what is in the given rows."""
        self.by_shard -= per_shard(self._ring.shard[self._rows.key[rows]])
        self._rows.key[rows] = -1
        self._count -= len(rows)

    def take(self, *keys: Ints) -> Partials:
        """Return what is pending under any of the keys, and drop it."""
        rows = self.find(*keys)
        if not len(rows):
            return none_of(self._width)
        out = self._rows.pick(rows)
        self.strike(rows)
        return out

    def put(self, partials: Partials) -> None:
        """Add sequences of keys that nothing is pending under; their last events are after all others'."""
        if not len(partials):
            return
        self._make_room(len(partials))
        last = partials.last
        if (last[1:] < last[:-1]).any():
            partials = partials.pick(np.argsort(last, kind="stable"))
        rows = slice(self._top, self._top + len(partials))
        for column, values in zip(self._rows.columns(), partials.columns(), strict=True):
            column[rows] = values
        self._top += len(partials)
        self._count += len(partials)
        self._oldest = min(self._oldest, int(partials.first.min()))
        self.by_shard += per_shard(self._ring.shard[partials.key])

    def note_gap(self, rows: Ints, times: Ints) -> None:
        """Note that an event that must not follow did so at these event times, unless one did before."""
        self._rows.gap[rows] = np.minimum(self._rows.gap[rows], times)

    def _make_room(self, more: int) -> None:
        if self._top + more <= len(self._rows):
            return
        live = self._rows.pick(self.where())
        size = max(64, 2 * (len(live) + more))
        columns = (np.zeros((size, *c.shape[1:]), c.dtype) for c in live.columns())
        self._rows, self._top, self._bottom = Partials(*columns), len(live), 0
        for column, values in zip(self._rows.columns(), live.columns(), strict=True):
            column[: self._top] = values
