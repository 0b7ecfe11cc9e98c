"""The machine of one sequence rule: what is pending, and what a batch of hits does to it.

A stage at a time, not an event at a time. At most one sequence is pending per (stage, key), and whatever comes next
under that key ends that: a newer one overwrites it, an event of the next stage consumes it, `until` drops it. So in the
order of (key, event), with an event's read before its write and `until` last, a sequence is consumed if and only if the
entry right after it is an event of the next stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kestrel_lab.engine.keyring import NO_HITS, Ints, KeyedHits, KeyRing, keyed, together
from kestrel_lab.engine.keys import SHARDS
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.missing import Lookback, Seen, Windows
from kestrel_lab.engine.partial import LONG_AGO, NEVER, Partials, Slots, begun, joined, none_of
from kestrel_lab.engine.quota import enforce, may_exceed
from kestrel_lab.engine.scan import Scan
from kestrel_lab.engine.shape import shape_of
from kestrel_lab.engine.whole import Whole
from kestrel_lab.eql import Program

if TYPE_CHECKING:
    from kestrel_lab.engine.scan import Hits
    from kestrel_lab.engine.trace import Observer

_READ, _WRITE, _UNTIL = 0, 1, 2
_NOTHING_SEEN = Seen(NO_HITS)
_SPARE_KEYS = 4_096  # numbers without use that are not worth a look


class SequenceMachine:
    """Pending sequences of one rule, in the shards owned.

    Attributes:
        slots: what is pending, by the place of the last event matched.
        windows: what waits for events that must not follow; lookback: what must not come before.
        evicted: pending sequences given up for want of room, by shard.
        forgotten: up to which event time `lookback` gave up events, by shard; LONG_AGO for none.
        span: how far the last event may be from the first, ns.
    """

    def __init__(self, program: Program, shards: frozenset[int], limits: Limits) -> None:
        """Take the rule's program, the shards owned and the limits."""
        self.shape, self.limits = shape_of(program), limits
        self.span = limits.ttl_ns if program.maxspan_ns is None else program.maxspan_ns
        self._shards = shards
        self.observer: Observer | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.keys = KeyRing(self._shards)
        self.slots = [Slots(place + 1) for place in range(len(self.shape.events) - 1)]
        self.windows, self.lookback = Windows(len(self.shape.events)), Lookback()
        self.evicted = np.zeros(SHARDS, np.int64)
        self.forgotten = np.full(SHARDS, LONG_AGO)
        self._spare = _SPARE_KEYS

    @property
    def held(self) -> int:
        """How many sequences are pending, those that wait for time to pass included."""
        return sum(map(len, self.slots)) + len(self.windows)

    def handles(self) -> Ints:
        """Return the handles to all captures that are still wanted."""
        found = [slots.rows.handles[slots.where()] for slots in self.slots] + [self.windows.found.handles]
        return np.concatenate([part.reshape(-1) for part in found])

    @property
    def places(self) -> tuple[int | None, ...]:
        """For each item of the rule, its place among the events; None for a missing event."""
        return self.shape.places

    def idle(self, blocks: Sequence[Hits], scan: Scan) -> bool:
        """Return whether a scan can change nothing: its hits begin and continue nothing, and time ends nothing."""
        if self._begins(blocks) or (blocks and self.held) or len(self.windows):
            return False
        return not scan.ticks or max(self.held, len(self.lookback)) <= self.limits.pending

    def feed(self, blocks: Sequence[Hits], bases: Sequence[int], scan: Scan) -> list[Whole]:
        """Take the hits of the next scan and return the sequences that are whole.

        Args:
            bases: for each block, the handle of the captures of its first row.
        """
        hits = self._keyed(blocks, bases) if self.held or self._begins(blocks) or self.observer else {}
        out: list[Whole] = []
        if scan.ticks and may_exceed(self, hits):
            begin = 0
            for event_id, now in scan.ticks:
                out += self._step({n: h.between(begin, event_id) for n, h in hits.items()}, scan)
                out += self.resolve(now)
                enforce(self, now)
                begin = event_id
            hits = {n: h.between(begin, NEVER) for n, h in hits.items()}
        out += self._step(hits, scan)
        out += self.resolve(scan.event_time_ns)
        self._forget_keys(scan.event_time_ns)
        return out

    def resolve(self, now: int | None) -> list[Whole]:
        """Return the sequences whose windows event time has passed; all that wait, for None."""
        return self._whole(*self.windows.resolve(now))

    def expire(self, now: int) -> None:
        """Free what no event at `now` or later can complete. Answers do not depend on when this happens."""
        for place, slots in enumerate(self.slots):
            rows = slots.where()
            old = rows[slots.rows.first[rows] < now - self.span]
            if self.observer:
                self.observer.expired(place, slots.at(old))
            slots.strike(old)
        self.lookback.expire(now - self.span)

    def _keyed(self, blocks: Sequence[Hits], bases: Sequence[int]) -> dict[int, KeyedHits]:
        """Return the hits of each stage by key, those that begin something first: others need no new key."""
        begins = (self.shape.events[0], *self.shape.lead)
        parts: dict[int, list[KeyedHits]] = {number: [] for number in self.shape.stages}
        for wanted, numbers in ((True, self.keys.intern), (False, self.keys.find)):
            for block, base in zip(blocks, bases, strict=True):
                if block.stage in parts and (block.stage in begins) == wanted:
                    parts[block.stage].append(keyed(block, numbers, base))
        return {number: together(found) for number, found in parts.items()}

    def _step(self, hits: Mapping[int, KeyedHits], scan: Scan) -> list[Whole]:
        """Take hits that no eviction comes between."""
        if not any(map(len, hits.values())):
            return []
        shape, untils = self.shape, NO_HITS if self.shape.until is None else hits[self.shape.until]
        if self.observer:
            self.observer.hits(shape, hits)
        partials = self._begun(hits)
        for place, gap in enumerate(shape.gaps):
            partials = self._advance(place, partials, hits[shape.events[place + 1]], untils, _seen(hits, gap))
        return self._finish(partials, _seen(hits, shape.trail), scan)

    def _begun(self, hits: Mapping[int, KeyedHits]) -> Partials:
        first, before = hits[self.shape.events[0]], together(hits[number] for number in self.shape.lead)
        if not self.shape.lead:
            return begun(first)
        seen = Seen(before)
        lead = self.lookback.before(first.key, first.time, seen)
        self.lookback.take_in(before, seen)
        oldest = first.time - self.span
        lead[lead < oldest] = LONG_AGO
        blur = self.forgotten[self.keys.shard[first.key]]
        blur[blur < oldest] = LONG_AGO
        return begun(first, lead, blur)

    def _advance(self, place: int, fresh: Partials, reads: KeyedHits, untils: KeyedHits, seen: Seen) -> Partials:
        """Match the next event of sequences that have matched up to `place`, return them with it.

        Args:
            fresh: those that came to this place in this batch.
        """
        slots = self.slots[place]
        old = slots.take(np.concatenate([fresh.key, reads.key, untils.key])) if len(slots) else none_of(place + 1)
        before = joined([old, fresh])
        out = none_of(place + 2)
        if len(before):
            taken, by, left = _paired(before, reads, untils, self.observer, place)
            found, hits = before.pick(taken), reads.pick(by)
            in_time = hits.time - found.first <= self.span
            if self.observer:
                self.observer.advanced(place, found, hits, in_time)
            found, hits = found.pick(in_time), hits.pick(in_time)
            gap = np.minimum(found.gap, seen.first_after(found.key, found.times[:, -1])) if len(seen) else found.gap
            out = found.extended(hits, gap < hits.time)
            slots.put(before.pick(left))
        if len(seen) and len(slots):
            rows = slots.find(seen.keys)
            rows = rows[rows >= 0]
            slots.note_gap(rows, seen.first_after(slots.rows.key[rows], slots.rows.times[rows, -1]))
        return out

    def _finish(self, found: Partials, seen: Seen, scan: Scan) -> list[Whole]:
        """Check the missing events of sequences that have all their events; return those that wait for nothing."""
        shape = self.shape
        self._close(seen)
        kept = ~found.bad
        late = found.times[:, -1] - self.span
        if shape.lead and not shape.trail:
            kept &= found.lead < late
        if self.observer:
            self.observer.finished(found, kept)
        found = found.pick(kept)
        if not len(found):
            return []
        wall = np.array([scan.wall_ns(*of) for of in zip(found.last.tolist(), found.boot.tolist(), strict=True)])
        return self._open(found, wall, seen) if shape.trail else self._whole(found, wall)

    def _open(self, found: Partials, wall: Ints, seen: Seen) -> list[Whole]:
        """Let sequences wait until nothing can follow that must not; return those that need not."""
        start = found.first
        out: list[Whole] = []
        if self.shape.lead:
            free = found.lead < found.times[:, -1] - self.span
            out = self._whole(found.pick(free), wall[free])
            found, wall = found.pick(~free), wall[~free]
            start = found.lead
        self.windows.add(found, start + self.span, wall)
        if self.observer:
            self.observer.waiting(found, start + self.span)
        self._close(seen)
        return out

    def _close(self, seen: Seen) -> None:
        """Drop the sequences that wait and that an event just seen must not follow."""
        if len(seen) and len(self.windows):
            closed = self.windows.close(seen)
            if self.observer:
                self.observer.closed(*closed)

    def _whole(self, found: Partials, wall: Ints, deadline: Ints | None = None) -> list[Whole]:
        """Return sequences that wait for nothing any more one by one."""
        if self.observer:
            self.observer.completed(found)
        late = found.times[:, -1] - self.span
        blurred = (found.blur >= late).tolist() if self.shape.lead else [False] * len(found)
        columns = (c.tolist() for c in (found.key, found.ids, found.times, found.handles, found.boot, wall))
        until = [None] * len(found) if deadline is None else deadline.tolist()
        return [
            Whole(self.keys.key(key), tuple(ids), tuple(times), tuple(handles), *rest)
            for key, ids, times, handles, *rest in zip(*columns, until, blurred, strict=True)
        ]

    def _begins(self, blocks: Sequence[Hits]) -> bool:
        begins = (self.shape.events[0], *self.shape.lead)
        return any(block.stage in begins for block in blocks)

    def _forget_keys(self, now: int) -> None:
        """Take back the numbers of keys that nothing is known of, once there are many."""
        if self.keys.held <= self._spare:
            return
        self.expire(now)
        wanted = np.zeros(len(self.keys), np.bool_)
        for slots in self.slots:
            wanted[slots.rows.key[slots.where()]] = True
        wanted[self.windows.found.key] = True
        wanted[self.lookback.where()] = True
        self.keys.keep(wanted)
        self._spare = _SPARE_KEYS + 2 * self.keys.held


def _seen(hits: Mapping[int, KeyedHits], numbers: Sequence[int]) -> Seen:
    return Seen(together(hits[number] for number in numbers)) if numbers else _NOTHING_SEEN


def _paired(
    before: Partials, reads: KeyedHits, untils: KeyedHits, observer: Observer | None, place: int
) -> tuple[Ints, Ints, Ints]:
    """Return which sequences are consumed, by which hits, and which are left pending."""
    ids = np.concatenate([reads.id, before.last, untils.id])
    keys = np.concatenate([reads.key, before.key, untils.key])
    kinds = np.repeat(np.array([_READ, _WRITE, _UNTIL]), [len(reads), len(before), len(untils)])
    order = np.argsort(_composite(keys, ids, kinds))
    keys, kinds = keys[order], kinds[order]
    same = keys[1:] == keys[:-1]
    write = kinds == _WRITE
    consumed = np.flatnonzero(write[:-1] & (kinds[1:] == _READ) & same)
    left = write.copy()
    left[:-1] &= ~same
    if observer:
        observer.ordered(place, before, reads, untils, order)
    return order[consumed] - len(reads), order[consumed + 1], order[left] - len(reads)


def _composite(keys: Ints, ids: Ints, kinds: Ints) -> Ints:
    """Return integers in the order of (key, id, kind). Ids of one batch lie close; what is older has one id a key."""
    newest = int(ids.max())
    since = np.maximum(ids - (newest - _BATCH), 0)
    return (((keys << _BATCH_BITS) | since) << 2) | kinds


#: More events than any batch has.
_BATCH_BITS = 32
_BATCH = (1 << _BATCH_BITS) - 1
