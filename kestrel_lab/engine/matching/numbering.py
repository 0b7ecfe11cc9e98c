"""The numbers of the join keys of hits. A key is made once for each code of a segment, whatever rules ask for it.

Numbers of fields are remembered by code, those of several fields together by the numbers of the parts (a part is a key
by itself: canonical bytes are put together in order), and those of rows until the next epoch: rules that join by the
same fields share them all. So hits become numbers without Python for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from kestrel_lab.engine.hits.keys import By, JoinKeys
from kestrel_lab.engine.matching.keyring import SPARE_KEYS, Ints, KeyRing, Mask
from kestrel_lab.engine.matching.rownumbers import RowNumbers

#: As many keys that are asked about are few enough to look for the codes of their values.
_FEW = 64


class Numbering:
    """A ring of keys, and what is known of the numbers of codes, pairs and rows.

    Attributes:
        ring: the keys.
        blocks: what blocks of hits became, by the identity of what they are made of, which is held beside it.
    """

    def __init__(self, shards: frozenset[int], spare: int = SPARE_KEYS) -> None:
        """Take the shards owned, and how many keys may lie about without use."""
        self.ring = KeyRing(shards, spare)
        self._rows = RowNumbers(self.ring)
        self.blocks: dict[tuple[int, int, By], tuple[object, object, Any]] = {}
        self._sets: dict[int, tuple[Sequence[tuple[bytes, ...]], Ints, Ints]] = {}  # by identity, as long as held

    def of(self, keys: JoinKeys, among: Ints | None = None) -> tuple[Ints, Ints]:
        """Return (row, number of its key) for each key in the shards owned that a row has, rows rising.

        Args:
            among: if not None, only rows with these keys.
        """
        origin = keys.origin
        if origin is None or any(name is not None and origin[0].schema.fields[name].many for name, _ in origin[3]):
            row, key = self._of_sets(*keys.found())
        else:
            numbers = self._rows.of(origin, among.tolist() if among is not None and len(among) <= _FEW else None)
            row = np.flatnonzero(numbers >= 0)
            key = numbers[row]
        which = self.ring.owned(key) if among is None else self.ring.members(key, among)
        return (row, key) if which is None else (row[which], key[which])

    def let_go(self) -> None:
        """Forget the epoch, but not its segment."""
        self._rows.let_go()
        self._forget_blocks()

    def leave(self) -> None:
        """Forget the segment: dictionary codes never leave it."""
        self._rows.leave()
        self._forget_blocks()

    def keep(self, wanted: Mask) -> None:
        """Drop the keys whose numbers are not wanted."""
        self.ring.keep(wanted)
        self._rows.forget(~wanted)
        self._forget_blocks()

    def clear(self) -> None:
        """Drop all keys."""
        self.keep(np.zeros(len(self.ring), np.bool_))

    def _forget_blocks(self) -> None:
        self.blocks.clear()
        self._sets.clear()

    def _of_sets(self, sets: Sequence[tuple[bytes, ...]], index: Ints) -> tuple[Ints, Ints]:
        """Return (row, number) of rows that may have several keys. Blocks that travelled together share their sets."""
        known = self._sets.get(id(sets))
        if known is None:
            flat = self.ring.intern(list(chain.from_iterable(sets)))
            known = self._sets[id(sets)] = sets, flat, np.fromiter(map(len, sets), np.int64, len(sets))
        _, flat, counts = known
        if (counts == 1).all():
            return np.arange(len(index)), flat[index]
        each = counts[index]
        row = np.repeat(np.arange(len(each)), each)
        within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        return row, flat[(np.cumsum(counts) - counts)[index][row] + within]
