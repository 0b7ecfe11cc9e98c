"""Hits of a stage by the numbers of their join keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kestrel_lab.engine.hits.scan import Hits
from kestrel_lab.engine.matching.keyring import Ints, Mask, no_ints
from kestrel_lab.engine.matching.numbering import Numbering


@dataclass(frozen=True, slots=True)
class KeyedHits:
    """Hits of one stage, once for each join key: its number, and of the event its id, event time (ns), boot time (ns),
    and a handle to its captures."""

    key: Ints
    id: Ints
    time: Ints
    boot: Ints
    handle: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.key)

    def pick(self, which: Mask | Ints | slice) -> KeyedHits:
        """Return some of them, by a mask or by place."""
        return KeyedHits(self.key[which], self.id[which], self.time[which], self.boot[which], self.handle[which])

    def by_id(self) -> KeyedHits:
        """Return them in the order of events."""
        if (self.id[1:] >= self.id[:-1]).all():
            return self
        return self.pick(np.argsort(self.id, kind="stable"))

    def between(self, first: int, stop: int) -> KeyedHits:
        """Return those of events `first` to `stop`, exclusive; they are in the order of events."""
        begin, end = np.searchsorted(self.id, (first, stop)).tolist()
        return self if end - begin == len(self) else self.pick(slice(begin, end))


NO_HITS = KeyedHits(*(no_ints() for _ in range(5)))


def keyed(block: Hits, numbering: Numbering, handles: Ints, among: Ints | None = None) -> KeyedHits:
    """Return the hits of a block by the numbers of their keys, those of keys in the shards owned.

    Args:
        handles: to the captures of its rows; blocks that share them and their events share the answer.
        among: if not None, hits of these keys alone.
    """
    origin = block.keys.origin
    which = None if among is not None or origin is None else (id(block.event_id), id(handles), origin[3])
    known = None if which is None else numbering.blocks.get(which)
    if known is None:
        known = block.event_id, handles, _keyed(block, numbering, handles, among)
        if which is not None:
            numbering.blocks[which] = known
    found: KeyedHits = known[2]
    return found


def _keyed(block: Hits, numbering: Numbering, handles: Ints, among: Ints | None) -> KeyedHits:
    row, key = numbering.of(block.keys, among)
    ids, times, boots = (c[row].astype(np.int64) for c in (block.event_id, block.event_time, block.ts_boot_ns))
    return KeyedHits(key, ids, times, boots, handles[row])


def together(parts: Iterable[KeyedHits]) -> KeyedHits:
    """Return the hits of several blocks as one; their order is that of the blocks."""
    found = [part for part in parts if len(part)]
    if len(found) < 2:
        return found[0] if found else NO_HITS
    columns = ((p.key, p.id, p.time, p.boot, p.handle) for p in found)
    return KeyedHits(*(np.concatenate(column) for column in zip(*columns, strict=True)))
