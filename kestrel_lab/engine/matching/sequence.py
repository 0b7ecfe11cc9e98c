"""The machine of one sequence rule: what is pending, and what a batch of hits does to it.

A stage at a time, not an event at a time: see `pairing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np

from kestrel_lab.engine.hits.keys import SHARDS
from kestrel_lab.engine.hits.scan import Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching.keyed import NO_HITS, KeyedHits, keyed, together
from kestrel_lab.engine.matching.keyring import Ints, no_ints
from kestrel_lab.engine.matching.missing import Lookback, Seen, Windows
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.pairing import matters, paired
from kestrel_lab.engine.matching.partial import LONG_AGO, NEVER, Partials, Slots, begun, joined, none_of
from kestrel_lab.engine.matching.quota import enforce, may_exceed
from kestrel_lab.engine.matching.whole import Whole
from kestrel_lab.engine.packs.shape import shape_of
from kestrel_lab.eql import Program

if TYPE_CHECKING:
    from kestrel_lab.engine.explaining.trace import Observer
    from kestrel_lab.engine.hits.scan import Hits

_NOTHING_SEEN = Seen(NO_HITS)


class SequenceMachine:
    """Pending sequences of one rule, in the shards owned.

    Attributes:
        numbering: of keys; `keys`: its ring.
        slots: what is pending, by the place of the last event matched.
        windows: what waits for events that must not follow; lookback: what must not come before.
        evicted: pending sequences given up for want of room, by shard.
        forgotten: up to which event time `lookback` gave up events, by shard; LONG_AGO for none.
        span: how far the last event may be from the first, ns.
    """

    def __init__(self, program: Program, numbering: Numbering, limits: Limits) -> None:
        """Take the rule's program, the numbers of the keys in the shards owned, and the limits.

        Whoever gives it the numbers calls `forget_keys` now and then.
        """
        self.shape, self.limits = shape_of(program), limits
        self._stages, self._follows = self.shape.stages, self.shape.follows
        self.span = limits.ttl_ns if program.maxspan_ns is None else program.maxspan_ns
        self.numbering, self.keys = numbering, numbering.ring
        self.observer: Observer | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.slots = [Slots(place + 1, self.keys) for place in range(len(self.shape.events) - 1)]
        self.windows, self.lookback = Windows(len(self.shape.events)), Lookback()
        self.evicted = np.zeros(SHARDS, np.int64)
        self.forgotten = np.full(SHARDS, LONG_AGO)

    @property
    def held(self) -> int:
        """How many sequences are pending, those that wait for time to pass included."""
        return sum(map(len, self.slots)) + len(self.windows)

    def handles(self, since: int = 0) -> Ints:
        """Return the handles to captures that are still wanted, all of those of events from `since` (an id) on."""
        found = [slots.rows.handles[slots.since(since)] for slots in self.slots if len(slots)]
        return np.concatenate([no_ints(), *(part.reshape(-1) for part in (*found, self.windows.found.handles))])

    @property
    def places(self) -> tuple[int | None, ...]:
        """For each item of the rule, its place among the events; None for a missing event."""
        return self.shape.places

    def pending_keys(self) -> list[Ints]:
        """Return the numbers of the keys of what is pending, by the place of the last event matched."""
        return [*(slots.keys for slots in self.slots), self.windows.keys]

    def useful(self, blocks: Sequence[Hits]) -> Sequence[Hits]:
        """Return those blocks of a scan that can change anything: others' events find nothing to go on from."""
        present = {block.stage for block in blocks}
        if not self.held and present.isdisjoint((self.shape.events[0], *self.shape.lead)):
            return []
        wanted = self._wanted(present)
        return [block for block in blocks if block.stage in wanted]

    @property
    def rests(self) -> bool:
        """Whether scans without useful hits change nothing: time ends nothing, and there is room."""
        return not len(self.windows) and max(self.held, len(self.lookback)) <= self.limits.pending

    def feed(self, blocks: Sequence[Hits], handles: Sequence[Ints], scan: Scan) -> list[Whole]:
        """Take the hits of the next scan, those that are useful at least; return the sequences that are whole.

        Args:
            handles: for each block, those to the captures of its rows.
        """
        hits = self._keyed(blocks, handles)
        out: list[Whole] = []
        if scan.ticks and may_exceed(self, hits):
            hits, begin = {n: h.by_id() for n, h in hits.items()}, 0
            for event_id, now in scan.ticks:
                out += self._step({n: h.between(begin, event_id) for n, h in hits.items()}, scan)
                out += self.resolve(now)
                enforce(self, now)
                begin = event_id
            hits = {n: h.between(begin, NEVER) for n, h in hits.items()}
        out += self._step(hits, scan)
        return out + self.resolve(scan.event_time_ns)

    def resolve(self, now: int | None) -> list[Whole]:
        """Return the sequences whose windows event time has passed; all that wait, for None."""
        return self._whole(*self.windows.resolve(now)) if len(self.windows) else []

    def expire(self, now: int) -> None:
        """Free what no event at `now` or later can complete. Answers do not depend on when this happens."""
        for place, slots in enumerate(self.slots):
            old = slots.begun_before(now - self.span)
            if len(old):
                if self.observer:
                    self.observer.expired(place, slots.at(old))
                slots.strike(old)
        self.lookback.expire(now - self.span)

    def _wanted(self, present: Set[int]) -> set[int]:
        """Return the stages whose events can change anything, if there are events of those that are present."""
        shape = self.shape
        wanted, fresh = {shape.events[0], *shape.lead}, shape.events[0] in present
        for slots, number, gap in zip(self.slots, shape.events[1:], shape.gaps, strict=True):
            if fresh or len(slots):
                wanted.update((number, *gap) if shape.until is None else (number, *gap, shape.until))
                fresh = number in present
        return wanted | set(shape.trail) if fresh or len(self.windows) else wanted

    def _keyed(self, blocks: Sequence[Hits], handles: Sequence[Ints]) -> dict[int, KeyedHits]:
        """Return the hits of each stage by key, without those whose keys have not come as far."""
        given: dict[int, list[tuple[Hits, Ints]]] = {}
        for block, own in zip(blocks, handles, strict=True):
            given.setdefault(block.stage, []).append((block, own))
        out: dict[int, KeyedHits] = {}
        for number in self._stages:  # events first, in their order
            found = given.get(number, ())
            among = self._reached(number, out) if found else None
            nothing = among is not None and not len(among)
            out[number] = NO_HITS if nothing else together(keyed(b, self.numbering, h, among) for b, h in found)
        return out

    def _reached(self, number: int, hits: Mapping[int, KeyedHits]) -> Ints | None:
        """Return the distinct keys that are as far as a stage follows, or may come there in this scan; None for any."""
        places = self._follows.get(number)
        if places is None or self.observer:
            return None
        pending: list[Slots | Windows] = [*self.slots, self.windows]
        if len(places) == 1:
            begins, found = places[0], [pending[places[0]].keys]
        else:  # whatever comes as far in this scan begins, or is pending, before that
            begins, found = 0, [slots.keys for slots in pending[: places[-1] + 1]]
        keys = np.concatenate([*found, hits[self.shape.events[begins]].key])
        return keys[self.keys.last(keys)]

    def _step(self, hits: Mapping[int, KeyedHits], scan: Scan) -> list[Whole]:
        """Take hits that no eviction comes between."""
        if not any(map(len, hits.values())):
            return []
        shape, untils = self.shape, NO_HITS if self.shape.until is None else hits[self.shape.until]
        if self.observer:
            self.observer.hits(shape, hits)
        partials = self._begun(hits, untils)
        for place, gap in enumerate(shape.gaps):
            if len(partials) or len(self.slots[place]):
                reads = hits[shape.events[place + 1]]
                partials = self._advance(place, partials, reads, untils, _seen(hits, gap))
        return self._finish(partials, _seen(hits, shape.trail), scan)

    def _begun(self, hits: Mapping[int, KeyedHits], untils: KeyedHits) -> Partials:
        shape = self.shape
        first, before = hits[shape.events[0]], together(hits[number] for number in shape.lead)
        if len(first) and self.slots and not self.observer:
            first = first.by_id()
            first = first.pick(matters(first, self.keys, hits[shape.events[1]], untils))
        if not shape.lead:
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
        slots, ring = self.slots[place], self.keys
        before = joined([slots.take(fresh.key, reads.key, untils.key), fresh])
        out = none_of(place + 2)
        if len(before):
            if not self.observer:  # events that nothing is pending for change nothing
                reads, untils = (hits.pick(ring.members(hits.key, before.key)) for hits in (reads, untils))
            taken, by, left = paired(before, reads, untils, ring, self.observer, place)
            slots.put(before if len(left) == len(before) else before.pick(left))
        if len(before) and len(taken):
            found, hits = before.pick(taken), reads.pick(by)
            in_time = hits.time - found.first <= self.span
            if self.observer:
                self.observer.advanced(place, found, hits, in_time)
            found, hits = found.pick(in_time), hits.pick(in_time)
            gap = np.minimum(found.gap, seen.first_after(found.key, found.times[:, -1])) if len(seen) else found.gap
            out = found.extended(hits, gap < hits.time)
        if len(seen) and len(slots):
            rows = slots.find(seen.keys)
            slots.note_gap(rows, seen.first_after(slots.rows.key[rows], slots.rows.times[rows, -1]))
        return out

    def _finish(self, found: Partials, seen: Seen, scan: Scan) -> list[Whole]:
        """Check the missing events of sequences that have all their events; return those that wait for nothing."""
        self._close(seen)
        if not len(found):
            return []
        shape = self.shape
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


def _seen(hits: Mapping[int, KeyedHits], numbers: Sequence[int]) -> Seen:
    return Seen(together(hits[number] for number in numbers)) if numbers else _NOTHING_SEEN
