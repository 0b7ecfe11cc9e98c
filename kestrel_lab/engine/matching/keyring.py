"""Small integers for join keys: what the machines of all rules of a matcher compute with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from zlib import crc32

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.hits.keys import SHARDS

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Keys without use that are not worth a look: what they take is little beside an epoch.
SPARE_KEYS = 65_536


#: In place of a number: none that is known.
UNKNOWN = -1


def no_ints(*shape: int) -> Ints:
    """Return an array of the given shape, of which one side is 0."""
    return np.zeros(shape or (0,), np.int64)


def per_shard(shards: npt.NDArray[np.uint8]) -> Ints:
    """Return how many there are of each shard."""
    return np.bincount(shards, minlength=SHARDS).astype(np.int64)


class KeyRing:
    """Numbers for canonical keys, from 0; a number is used again once `keep` has dropped its key.

    Attributes:
        shard: of each number.
    """

    def __init__(self, shards: frozenset[int], spare: int = SPARE_KEYS) -> None:
        """Take the shards owned, and how many keys may lie about without use."""
        self._owned = np.isin(np.arange(SHARDS), list(shards))
        self._owns_all = bool(self._owned.all())
        self._spare, self._crowd = spare, spare
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._free: list[int] = []
        self.shard: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._marks: Mask = np.zeros(1, np.bool_)  # all false between calls
        self._places: Ints = no_ints()

    def __len__(self) -> int:
        """Return one more than the greatest number ever given."""
        return len(self._keys)

    @property
    def held(self) -> int:
        """How many keys have a number."""
        return len(self._numbers)

    @property
    def crowded(self) -> bool:
        """Whether it is time to find out which keys are wanted, and to `keep` those."""
        return len(self._numbers) > self._crowd

    def key(self, number: int) -> bytes:
        """Return the canonical key of a number."""
        return self._keys[number]

    def owned(self, numbers: Ints) -> Mask | None:
        """Return which numbers are of keys in the shards owned; None for all."""
        return None if self._owns_all else self._owned[self.shard[numbers]]

    def find(self, keys: Sequence[bytes]) -> Ints:
        """Return the number of each key, -1 where it has none."""
        return np.fromiter(map(self._numbers.get, keys, repeat(-1)), np.int64, len(keys))

    def intern(self, keys: Sequence[bytes]) -> Ints:
        """Return the number of each key, whatever its shard; a new one where it had none."""
        offered = self._offer(len(keys))
        out = np.fromiter(map(self._numbers.setdefault, keys, offered.tolist()), np.int64, len(keys))
        new = out == offered
        if new.all():
            self._name(offered, keys)
        else:
            self._free += offered[~new].tolist()
            self._name(offered[new], list(compress(keys, new.tolist())))
        return out

    def keep(self, wanted: Mask) -> None:
        """Drop the keys whose numbers are not wanted."""
        dropped = ~wanted
        dropped[self._free] = False
        numbers, keys = np.flatnonzero(dropped).tolist(), self._keys
        for number in numbers:
            del self._numbers[keys[number]]
            keys[number] = b""
        self._free += numbers
        self._crowd = self._spare + 2 * len(self._numbers)

    def members(self, numbers: Ints, *among: Ints) -> Mask:
        """Return which of the numbers are among others; -1 never is."""
        marks = self._marks
        for some in among:
            marks[some] = True
        out: Mask = marks[numbers]
        for some in among:
            marks[some] = False
        return out

    def last(self, numbers: Ints) -> Mask:
        """Return where each distinct number stands last."""
        places = np.arange(len(numbers))
        self._places[numbers] = places
        out: Mask = self._places[numbers] == places
        return out

    def _offer(self, count: int) -> Ints:
        """Return so many numbers that are not in use, all different, and take them from those that are free."""
        again = min(len(self._free), count)
        free = self._free[len(self._free) - again :]
        del self._free[len(self._free) - again :]
        begin, more = len(self._keys), count - again
        self._keys += repeat(b"", more)
        if len(self._keys) > len(self.shard):
            spare = len(self._keys)  # twice what is needed, so that it is seldom
            self.shard = np.concatenate([self.shard, np.zeros(spare, np.uint8)])
            self._marks = np.zeros(len(self.shard) + 1, np.bool_)  # the last one is that of -1
            self._places = np.zeros(len(self.shard), np.int64)
        return np.concatenate([np.array(free, np.int64), np.arange(begin, begin + more)])

    def _name(self, numbers: Ints, keys: Sequence[bytes]) -> None:
        """Note which keys new numbers are of."""
        for number, key in zip(numbers.tolist(), keys, strict=True):
            self._keys[number] = key
        self.shard[numbers] = np.fromiter(map(crc32, keys), np.uint32, len(keys)) % SHARDS
