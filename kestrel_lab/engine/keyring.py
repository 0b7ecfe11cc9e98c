"""Small integers for the join keys that a rule remembers, and its hits by them: what the matcher computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.keys import shard_of
from kestrel_lab.engine.scan import Hits

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def no_ints(*shape: int) -> Ints:
    """Return an array of the given shape, of which one side is 0."""
    return np.zeros(shape or (0,), np.int64)


class KeyRing:
    """Numbers for canonical keys, from 0; a number is used again once `keep` has dropped its key.

    Attributes:
        shard: of each number.
    """

    def __init__(self, shards: frozenset[int]) -> None:
        """Take the shards owned: keys of others get no number."""
        self._owned = shards
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._free: list[int] = []
        self.shard: npt.NDArray[np.uint8] = np.zeros(64, np.uint8)

    def __len__(self) -> int:
        """Return one more than the greatest number ever given."""
        return len(self._keys)

    @property
    def held(self) -> int:
        """How many keys have a number."""
        return len(self._numbers)

    def key(self, number: int) -> bytes:
        """Return the canonical key of a number."""
        return self._keys[number]

    def find(self, keys: Sequence[bytes]) -> Ints:
        """Return the number of each key, -1 where it has none."""
        get = self._numbers.get
        return np.array([get(key, -1) for key in keys], np.int64) if self._numbers else np.full(len(keys), -1)

    def intern(self, keys: Sequence[bytes]) -> Ints:
        """Return the number of each key, a new one where it had none; -1 for keys of other shards."""
        numbers = self._numbers
        out = [numbers.get(key, -1) for key in keys]
        for place, number in enumerate(out):
            if number < 0:
                key = keys[place]
                known = numbers.get(key)
                out[place] = self._new(key) if known is None else known
        return np.array(out, np.int64)

    def keep(self, wanted: Mask) -> None:
        """Drop the keys whose numbers are not wanted."""
        for number in np.flatnonzero(~wanted).tolist():
            key = self._keys[number]
            if self._numbers.get(key) == number:
                del self._numbers[key]
                self._free.append(number)

    def _new(self, key: bytes) -> int:
        shard = shard_of(key)
        if shard not in self._owned:
            return -1
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
        else:
            number = len(self._keys)
            self._keys.append(key)
            if number == len(self.shard):
                self.shard = np.concatenate([self.shard, np.zeros_like(self.shard)])
        self.shard[number] = shard
        self._numbers[key] = number
        return number


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

    def pick(self, which: Mask | Ints) -> KeyedHits:
        """Return some of them, by a mask or by place."""
        return KeyedHits(self.key[which], self.id[which], self.time[which], self.boot[which], self.handle[which])

    def between(self, first: int, stop: int) -> KeyedHits:
        """Return those of events `first` to `stop`, exclusive."""
        return self.pick((self.id >= first) & (self.id < stop)) if len(self) else self


NO_HITS = KeyedHits(*(no_ints() for _ in range(5)))


def keyed(block: Hits, numbers: Callable[[Sequence[bytes]], Ints], base: int) -> KeyedHits:
    """Return the hits of a block by the numbers of their keys, without those that `numbers` gives -1.

    Args:
        base: handle of the captures of its first row.
    """
    sets, index = block.keys.found()
    flat = numbers(list(chain.from_iterable(sets)))
    counts = np.fromiter(map(len, sets), np.int64, len(sets))
    if (counts == 1).all():
        key = flat[index]
        row = np.flatnonzero(key >= 0)
        key = key[row]
    else:
        each = counts[index]
        row = np.repeat(np.arange(len(each)), each)
        within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        key = flat[(np.cumsum(counts) - counts)[index][row] + within]
        row, key = row[key >= 0], key[key >= 0]
    ids, times, boots = (c[row].astype(np.int64) for c in (block.event_id, block.event_time, block.ts_boot_ns))
    return KeyedHits(key, ids, times, boots, row + base)


def together(parts: Iterable[KeyedHits]) -> KeyedHits:
    """Return the hits of several blocks as one; their order is that of the blocks."""
    found = [part for part in parts if len(part)]
    if len(found) < 2:
        return found[0] if found else NO_HITS
    columns = ((p.key, p.id, p.time, p.boot, p.handle) for p in found)
    return KeyedHits(*(np.concatenate(column) for column in zip(*columns, strict=True)))
