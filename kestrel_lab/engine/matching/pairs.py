"""Numbers of keys that are made of two, by the numbers of both."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from kestrel_lab.engine.matching.keyring import UNKNOWN, Ints, KeyRing

_BITS = 32
_MASK = (1 << _BITS) - 1
_MANY = 1_024  # rows that are worth a table
_TABLES = 16  # of as many entries as there are keys


class Pairs:
    """What is known of the keys that begin with one key and end with another.

    Where one of both is the same in many rows, such as the host, a table by the other one saves sorting them.
    """

    def __init__(self, ring: KeyRing) -> None:
        """Take the ring that the numbers are of."""
        self._ring = ring
        self._known: dict[int, int] = {}
        self._tables: dict[tuple[bool, int], Ints] = {}

    def clear(self) -> None:
        """Forget everything: numbers have come to mean other keys."""
        self._known.clear()
        self._tables.clear()

    def of(self, begins: Ints, ends: Ints) -> Ints:
        """Return the number of each row's key; where either is negative, the lesser."""
        out: Ints = np.minimum(begins, ends)
        rows = np.flatnonzero((begins >= 0) & (ends >= 0))
        if len(rows) < len(begins):
            begins, ends = begins[rows], ends[rows]
        if not len(rows):
            return out
        if len(rows) >= _MANY and (begins == begins[0]).all():
            out[rows] = self._with(begins[0], ends, True)
        elif len(rows) >= _MANY and (ends == ends[0]).all():
            out[rows] = self._with(ends[0], begins, False)
        else:
            pairs, inverse = np.unique((begins << _BITS) | ends, return_inverse=True)
            out[rows] = self._of_pairs(pairs)[inverse]
        return out

    def _with(self, one: int, others: Ints, first: bool) -> Ints:
        """Return the numbers of keys that begin (if `first`) or end with one."""
        place = first, int(one)
        table = self._tables.get(place)
        if table is None or len(table) < len(self._ring):
            if table is None and len(self._tables) == _TABLES:
                self._tables.clear()
            old = () if table is None else table
            table = self._tables[place] = np.full(len(self._ring) + len(self._ring) // 4, UNKNOWN)
            table[: len(old)] = old
        out = table[others]
        new = others[out == UNKNOWN]
        if len(new):
            new = new[self._ring.last(new)]
            same, found = [int(one)] * len(new), new.tolist()
            table[new] = self._made(same, found) if first else self._made(found, same)
            out = table[others]
        return out

    def _of_pairs(self, pairs: Ints) -> Ints:
        out = np.fromiter(map(self._known.get, pairs.tolist(), repeat(UNKNOWN)), np.int64, len(pairs))
        new = np.flatnonzero(out < 0)
        if len(new):
            wanted = pairs[new]
            out[new] = self._made((wanted >> _BITS).tolist(), (wanted & _MASK).tolist())
            self._known.update(zip(wanted.tolist(), out[new].tolist(), strict=True))
        return out

    def _made(self, begins: list[int], ends: list[int]) -> Ints:
        key = self._ring.key
        return self._ring.intern([key(a) + key(b) for a, b in zip(begins, ends, strict=True)])
