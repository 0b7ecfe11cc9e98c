"""The numbers of the join keys of rows that have one key or none, remembered until the next epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kestrel_lab.engine.hits.keys import By, Origin, decode
from kestrel_lab.engine.matching.codenumbers import NULL, CodeNumbers
from kestrel_lab.engine.matching.keyring import UNKNOWN, Ints, KeyRing, Mask
from kestrel_lab.engine.matching.pairs import Pairs
from kestrel_lab.schema.access import resolve
from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.values import Value


class RowNumbers:
    """Numbers by row, for each table and fields: those of all but the last field, and of that one, are such as well."""

    def __init__(self, ring: KeyRing) -> None:
        """Take the ring that the numbers are of."""
        self._ring, self._codes, self._pairs = ring, CodeNumbers(ring), Pairs(ring)
        self._epoch: Epoch | None = None
        self._known: dict[tuple[str, By], Ints] = {}

    def of(self, origin: Origin, asked: Sequence[int] | None) -> Ints:
        """Return the number of each row's key, NULL where a null cannot join.

        Args:
            asked: if not None, UNKNOWN will do for keys other than those with these numbers.
        """
        info, epoch, table, by, rows = origin
        if self._epoch is not epoch:
            self.let_go()
            self._epoch = epoch
        return self._of(info, epoch, table, by, rows, asked, 0)

    def let_go(self) -> None:
        """Forget the epoch, but not its segment."""
        self._epoch = None
        self._known.clear()

    def leave(self) -> None:
        """Forget the segment: dictionary codes never leave it."""
        self.let_go()
        self._codes.leave()

    def forget(self, dropped: Mask) -> None:
        """Forget numbers that mean nothing any more."""
        self._codes.forget(dropped)
        self._pairs.clear()
        self._known.clear()

    def _of(
        self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Ints, asked: Sequence[int] | None, at: int
    ) -> Ints:
        """Return the numbers of keys of some fields, which are a part of those asked about, from field `at` on."""
        known = self._known.get((table, by))
        if known is None:
            known = self._known[table, by] = np.full(len(epoch.tables[table]), UNKNOWN)
        out = known[rows]
        new = rows[out == UNKNOWN]
        if not len(new):
            return out
        if len(by) > 1:
            begins = self._of(info, epoch, table, by[:-1], new, asked, at)
            ends = self._of(info, epoch, table, by[-1:], new, asked, at + len(by) - 1)
            known[new] = self._pairs.of(begins, ends)
        else:
            known[new] = self._of_field(info, epoch, table, by, new, asked, at)
        return known[rows]

    def _of_field(
        self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Ints, asked: Sequence[int] | None, at: int
    ) -> Ints:
        """Return the numbers of keys of one field or none."""
        if not by:
            return np.full(len(rows), self._ring.intern([b""])[0])

        def values() -> list[Value]:
            return [decode(self._ring.key(number))[at] for number in asked or ()]

        field, optional = by[0]
        if field is None:
            out = np.full(len(rows), NULL)
        else:
            found, kind = resolve(info, epoch, table, field, rows), info.schema.fields[field].type
            out = self._codes.of(epoch.segment, found, kind, None if asked is None else values)
        if optional:
            out[out == NULL] = self._ring.intern([b"n"])[0]
        return out
