"""The machine of one sample rule: for each key the earliest events of each item, until one sample is whole.

A sample takes a different event for each item, in any order of time. It is whole at the first event that makes one
possible, and is then the least in the order of its items' event ids. Each key gives one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from kestrel_lab.engine.hits.keys import SHARDS, shard_of
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching.keyed import KeyedHits, keyed, together
from kestrel_lab.engine.matching.keyring import Ints, Mask, per_shard
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.whole import Whole
from kestrel_lab.eql import Program

#: An event of a sample: event_id, boot time (ns), handle to its captures.
Event = tuple[int, int, int]


@dataclass(slots=True)
class Gathered:
    """What is kept under one key: event time of the first event (ns), id of the last one taken, events by item.

    Of each item no more than there are items: with these, and no others, the least sample can be made.
    """

    first_ns: int
    last: int
    done: bool = False
    items: list[list[Event]] = field(default_factory=list)


class SampleMachine:
    """What is kept for the samples of one rule, in the shards owned.

    Attributes:
        gathered: by key; once the sample is found, without events.
        evicted: keys given up for want of room, by shard.
    """

    def __init__(self, program: Program, numbering: Numbering, limits: Limits) -> None:
        """Take the rule's program, the numbers of the keys in the shards owned, and the limits."""
        self._items, self._numbering, self._limits = len(program.stages), numbering, limits
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.gathered: dict[bytes, Gathered] = {}
        self.evicted: Ints = np.zeros(SHARDS, np.int64)

    @property
    def held(self) -> int:
        """How many keys something is kept under."""
        return len(self.gathered)

    def handles(self, since: int = 0) -> Ints:
        """Return the handles to captures that are still wanted, all of those of events from `since` (an id) on."""
        events = (e for g in self.gathered.values() for e in chain.from_iterable(g.items))
        return np.fromiter((handle for _, _, handle in events), np.int64)

    @property
    def places(self) -> tuple[int, ...]:
        """For each item of the rule, its place among the events."""
        return tuple(range(self._items))

    def useful(self, blocks: Sequence[Hits]) -> Sequence[Hits]:
        """Return those blocks of a scan that can change anything: all."""
        return blocks

    @property
    def rests(self) -> bool:
        """Whether scans without hits change nothing: there is room."""
        return len(self.gathered) <= self._limits.pending

    def feed(self, blocks: Sequence[Hits], handles: Sequence[Ints], scan: Scan) -> list[Whole]:
        """Take the hits of the next scan and return the samples that are whole.

        Args:
            handles: for each block, those to the captures of its rows.
        """
        ring, out, ticks = self._numbering.ring, list[Whole](), list(scan.ticks)
        for event_id, key, now, entries in self._events(blocks, handles, scan):
            while ticks and ticks[0][0] <= event_id:
                self._enforce(ticks.pop(0)[1])
            whole = self._take(ring.key(key), event_id, now, entries, scan)
            out += [whole] if whole else []
        for _, now in ticks:
            self._enforce(now)
        return out

    def _events(
        self, blocks: Sequence[Hits], handles: Sequence[Ints], scan: Scan
    ) -> Iterator[tuple[int, int, int, list[tuple[int, Event]]]]:
        """Yield (event_id, key, event time, its items) in order, without events that come too late for any use."""
        parts = [keyed(block, self._numbering, own) for block, own in zip(blocks, handles, strict=True)]
        hits = together(parts)
        items = np.repeat([block.stage for block in blocks], [len(part) for part in parts])
        order = np.lexsort((items, hits.key, hits.id))
        order = order[self._useful(hits.pick(order), items[order], scan)]
        hits, items = hits.pick(order), items[order]
        columns = (hits.id, hits.key, hits.time, items, hits.boot, hits.handle)
        at: tuple[int, int, int] | None = None
        entries: list[tuple[int, Event]] = []
        for event_id, key, now, item, boot, handle in zip(*(c.tolist() for c in columns), strict=True):
            if at and at[:2] != (event_id, key):
                yield *at, entries
                entries = []
            at = event_id, key, now
            entries.append((item, (event_id, boot, handle)))
        if at:
            yield *at, entries

    def _useful(self, hits: KeyedHits, items: Ints, scan: Scan) -> Mask:
        """Return which hits, in order, could be kept, as far as that is sure beforehand: so that most cost nothing."""
        out = np.ones(len(hits), np.bool_)
        numbers, key = np.unique(hits.key, return_inverse=True)
        if not len(hits) or (scan.ticks and len(self.gathered) + len(numbers) > self._limits.pending):
            return out  # a key may be given up in between, and begin anew
        room = np.zeros((len(numbers), self._items), np.int64)
        oldest = scan.event_time_ns - self._limits.ttl_ns
        for place, number in enumerate(numbers.tolist()):
            found = self.gathered.get(self._numbering.ring.key(number))
            if (int(hits.time[0]) if found is None else found.first_ns) < oldest:
                room[place] = len(hits)  # it may be too old in between, and begin anew
            elif found is None or not found.done:
                room[place] = [self._items - len(item) for item in found.items] if found else self._items
        group = key * self._items + items
        order = np.argsort(group, kind="stable")
        begins = np.searchsorted(group[order], group[order], "left")
        out[order] = np.arange(len(group)) - begins < room.reshape(-1)[group[order]]
        return out

    def _take(
        self, key: bytes, event_id: int, now: int, entries: Sequence[tuple[int, Event]], scan: Scan
    ) -> Whole | None:
        found = self.gathered.get(key)
        if found is None or now - found.first_ns > self._limits.ttl_ns:
            found = self.gathered[key] = Gathered(now, event_id, items=[[] for _ in range(self._items)])
        if found.done:
            return None
        wanted = [(item, event) for item, event in entries if len(found.items[item]) < self._items]
        for item, event in wanted:
            found.items[item].append(event)
        if not wanted:
            return None
        found.last = event_id
        sample = least_sample(found.items)
        if sample is None:
            return None
        found.done, found.items = True, []
        ids, boots, handles = zip(*sample, strict=True)
        boot = boots[ids.index(event_id)]
        return Whole(key, ids, (), handles, boot, scan.wall_ns(event_id, boot))

    def _enforce(self, now: int) -> None:
        """Give up what is too much, the least by (last event_id, key)."""
        if len(self.gathered) <= self._limits.pending:
            return
        oldest = now - self._limits.ttl_ns
        self.gathered = {key: g for key, g in self.gathered.items() if g.first_ns >= oldest}
        left = per_shard(np.fromiter(map(shard_of, self.gathered), np.uint8)) - self._limits.pending
        if not (left > 0).any():
            return
        for _, key in sorted((g.last, key) for key, g in self.gathered.items()):
            shard = shard_of(key)
            if left[shard] > 0:
                del self.gathered[key]
                left[shard] -= 1
                self.evicted[shard] += 1


def least_sample(items: Sequence[Sequence[Event]]) -> list[Event] | None:
    """Return a different event for each item, the least in the order of the items; None if there is no such sample.

    Args:
        items: the events of each, in rising order.
    """
    if not all(items) or not _matchable(items, 0, set()):
        return None
    out: list[Event] = []
    used = set[int]()
    for number, events in enumerate(items):
        for event in events:
            if event[0] not in used and _matchable(items, number + 1, used | {event[0]}):
                out.append(event)
                used.add(event[0])
                break
    return out


def _matchable(items: Sequence[Sequence[Event]], begin: int, used: set[int]) -> bool:
    """Return whether the items from `begin` on can have a different event each, none of them used already."""
    taken: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for event_id, _, _ in items[number]:
            if event_id not in used and event_id not in tried:
                tried.add(event_id)
                if event_id not in taken or place(taken[event_id], tried):
                    taken[event_id] = number
                    return True
        return False

    return all(place(number, set()) for number in range(begin, len(items)))
