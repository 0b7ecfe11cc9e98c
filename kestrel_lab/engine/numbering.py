"""The numbers of the join keys of hits. A key is made once for each code of a segment, whatever rules ask for it.

Numbers of fields are remembered by code, those of several fields together by the numbers of the parts (a part is a key
by itself: canonical bytes are put together in order), and those of rows until the next epoch: rules that join by the
same fields share them all. So hits become numbers without Python for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from kestrel_lab.engine.codenumbers import NULL, CodeNumbers
from kestrel_lab.engine.keyring import SPARE_KEYS, UNKNOWN, Ints, KeyRing, Mask
from kestrel_lab.engine.keys import By, JoinKeys, decode
from kestrel_lab.engine.pairs import Pairs
from kestrel_lab.schema.access import resolve
from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.values import Value

#: As many keys that are asked about are few enough to look for the codes of their values.
_FEW = 64


class Numbering:
    """A ring of keys, and what is known of the numbers of codes, pairs and rows.

    Attributes:
        ring: the keys.
    """

    def __init__(self, shards: frozenset[int], spare: int = SPARE_KEYS) -> None:
        """Take the shards owned, and how many keys may lie about without use."""
        self.ring = KeyRing(shards, spare)
        self._codes, self._pairs = CodeNumbers(self.ring), Pairs(self.ring)
        self._epoch: Epoch | None = None
        self._rows: dict[tuple[str, By], Ints] = {}
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
            row, key = self._of_rows(*origin, among)
        which = self.ring.owned(key) if among is None else self.ring.members(key, among)
        return (row, key) if which is None else (row[which], key[which])

    def let_go(self) -> None:
        """Forget the epoch, but not its segment."""
        self._epoch = None
        self._rows.clear()
        self._sets.clear()

    def leave(self) -> None:
        """Forget the segment: dictionary codes never leave it."""
        self.let_go()
        self._codes.leave()

    def keep(self, wanted: Mask) -> None:
        """Drop the keys whose numbers are not wanted."""
        self.ring.keep(wanted)
        self._codes.forget(~wanted)
        self._pairs.clear()
        self._rows.clear()
        self._sets.clear()

    def clear(self) -> None:
        """Drop all keys."""
        self.keep(np.zeros(len(self.ring), np.bool_))

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

    def _of_rows(
        self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Ints, among: Ints | None
    ) -> tuple[Ints, Ints]:
        """Return (row, number) of rows that have one key or none."""
        if epoch is not self._epoch:
            self.let_go()
            self._epoch = epoch
        asked = among.tolist() if among is not None and len(among) <= _FEW else None
        key = _Table(self, info, epoch, table, asked).of(by, rows)
        row = np.flatnonzero(key >= 0)
        return row, key[row]


class _Table:
    """Numbers of the rows of one table of the epoch, for one question."""

    def __init__(
        self, numbering: Numbering, info: SourceInfo, epoch: Epoch, table: str, asked: Sequence[int] | None
    ) -> None:
        self._of, self._info, self._epoch, self._table, self._asked = numbering, info, epoch, table, asked

    def of(self, by: By, rows: Ints, at: int = 0) -> Ints:
        """Return the number of each row's key, NULL where a null cannot join, or UNKNOWN if it is none asked about.

        Args:
            at: which part of the keys asked about the first field is.
        """
        known = self._of._rows.get((self._table, by))
        if known is None:
            size = len(self._epoch.tables[self._table])
            known = self._of._rows[self._table, by] = np.full(size, UNKNOWN)
        out = known[rows]
        new = rows[out == UNKNOWN]
        if len(new):
            known[new] = self._made(by, new, at)
            out = known[rows]
        return out

    def _made(self, by: By, rows: Ints, at: int) -> Ints:
        if len(by) > 1:
            return self._of._pairs.of(self.of(by[:-1], rows, at), self.of(by[-1:], rows, at + len(by) - 1))
        ring = self._of.ring
        if not by:
            return np.full(len(rows), ring.intern([b""])[0])
        field, optional = by[0]
        out = np.full(len(rows), NULL) if field is None else self._of_field(field, rows, at)
        if optional:
            out[out == NULL] = ring.intern([b"n"])[0]
        return out

    def _of_field(self, field: str, rows: Ints, at: int) -> Ints:
        ring, asked = self._of.ring, self._asked

        def values() -> list[Value]:
            return [decode(ring.key(number))[at] for number in asked or ()]

        found = resolve(self._info, self._epoch, self._table, field, rows)
        kind = self._info.schema.fields[field].type
        return self._of._codes.of(self._epoch.segment, found, kind, None if asked is None else values)
