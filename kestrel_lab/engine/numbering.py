"""The numbers of the join keys of hits. A key is made once for each code of a segment, whatever rules ask for it.

Numbers of fields are remembered by code, those of several fields together by the numbers of the parts (a part is a key
by itself: canonical bytes are put together in order), and those of rows until the next epoch: rules that join by the
same fields share them all. So hits become numbers without Python for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from kestrel_lab.engine.keyring import SPARE_KEYS, Ints, KeyRing, Mask
from kestrel_lab.engine.keys import By, JoinKeys, encode_all
from kestrel_lab.engine.pairs import Pairs
from kestrel_lab.schema.access import Coded, Numbers, distinct, lookup, resolve
from kestrel_lab.schema.epoch import Epoch, Segment, SourceInfo
from kestrel_lab.schema.types import EqlType

#: In place of a number: not looked up yet; null.
UNKNOWN, NULL = -1, -2


class Numbering:
    """A ring of keys, and what is known of the numbers of codes.

    Attributes:
        ring: the keys.
    """

    def __init__(self, shards: frozenset[int], spare: int = SPARE_KEYS) -> None:
        """Take the shards owned, and how many keys may lie about without use."""
        self.ring = KeyRing(shards, spare)
        self._segment: Segment | None = None
        self._codes: dict[tuple[str, bool], Ints] = {}  # by dictionary, and whether it is of addresses
        self._pairs = Pairs(self.ring)
        self._epoch: Epoch | None = None
        self._rows: dict[tuple[str, By], Ints] = {}

    def of(self, keys: JoinKeys) -> tuple[Ints, Ints]:
        """Return (row, number of its key) for each key in the shards owned that a row has, rows rising."""
        origin = keys.origin
        if origin is None or any(name is not None and origin[0].schema.fields[name].many for name, _ in origin[3]):
            row, key = self._of_sets(*keys.found())
        else:
            key = self._of_rows(*origin)
            row = np.flatnonzero(key >= 0)
            key = key[row]
        owned = self.ring.owned(key)
        return (row, key) if owned is None else (row[owned], key[owned])

    def let_go(self) -> None:
        """Forget the epoch, but not its segment."""
        self._epoch = None
        self._rows.clear()

    def leave(self) -> None:
        """Forget the segment: dictionary codes never leave it."""
        self.let_go()
        self._segment = None
        self._codes.clear()

    def keep(self, wanted: Mask) -> None:
        """Drop the keys whose numbers are not wanted."""
        self.ring.keep(wanted)
        self._pairs.clear()
        self._rows.clear()
        for numbers in self._codes.values():
            places = np.flatnonzero(numbers >= 0)
            numbers[places[~wanted[numbers[places]]]] = UNKNOWN

    def clear(self) -> None:
        """Drop all keys."""
        self.keep(np.zeros(len(self.ring), np.bool_))

    def _of_sets(self, sets: Sequence[tuple[bytes, ...]], index: Ints) -> tuple[Ints, Ints]:
        """Return (row, number) of rows that may have several keys."""
        flat = self.ring.intern(list(chain.from_iterable(sets)))
        counts = np.fromiter(map(len, sets), np.int64, len(sets))
        each = counts[index]
        row = np.repeat(np.arange(len(each)), each)
        within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        return row, flat[(np.cumsum(counts) - counts)[index][row] + within]

    def _of_rows(self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Ints) -> Ints:
        """Return the number of the key of each row; NULL where a null cannot join."""
        if epoch is not self._epoch:
            self.let_go()
            self._epoch = epoch
        known = self._rows.get((table, by))
        if known is None:
            known = self._rows[table, by] = np.full(len(epoch.tables[table]), UNKNOWN)
        out = known[rows]
        new = rows[out == UNKNOWN]
        if len(new):
            known[new] = self._made(info, epoch, table, by, new)
            out = known[rows]
        return out

    def _made(self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Ints) -> Ints:
        if len(by) > 1:
            begins, ends = (self._of_rows(info, epoch, table, part, rows) for part in (by[:-1], by[-1:]))
            return self._pairs.of(begins, ends)
        if not by:
            return np.full(len(rows), self.ring.intern([b""])[0])
        field, optional = by[0]
        out = np.full(len(rows), NULL) if field is None else self._of_field(info, epoch, table, field, rows)
        if optional:
            out[out == NULL] = self.ring.intern([b"n"])[0]
        return out

    def _of_field(self, info: SourceInfo, epoch: Epoch, table: str, field: str, rows: Ints) -> Ints:
        found, kind = resolve(info, epoch, table, field, rows), info.schema.fields[field].type
        if isinstance(found, Coded):
            return self._of_codes(epoch.segment, found, kind)
        return self._of_numbers(found, kind)

    def _of_codes(self, segment: Segment, found: Coded, kind: EqlType) -> Ints:
        if segment is not self._segment:
            self._codes.clear()
            self._segment = segment
        place = found.dictionary.key, kind is EqlType.IP
        known = self._codes.get(place, np.zeros(0, np.int64))
        size = int(found.codes.max()) + 1
        if size > len(known):
            more = max(found.dictionary.size(), size) - len(known)
            known = self._codes[place] = np.concatenate([known, np.full(more, UNKNOWN)])
        out = known[found.codes]
        unknown = found.codes[out == UNKNOWN]
        if len(unknown):
            new, _ = distinct(unknown)
            same, first = np.arange(len(new)), new
            if found.dictionary.alike is not None:  # many codes may stand for one text
                first, same = distinct(found.dictionary.alike(new))
            known[new] = self._interned(encode_all(lookup(found.dictionary, first), kind))[same]
            out = known[found.codes]
        return out

    def _of_numbers(self, found: Numbers, kind: EqlType) -> Ints:
        values, inverse = np.unique(found.values, return_inverse=True)
        out = self._interned(encode_all(values.tolist(), kind))[inverse]
        return out if found.valid is None else np.where(found.valid, out, NULL)

    def _interned(self, keys: Sequence[bytes | None]) -> Ints:
        """Return the number of each key, NULL for None."""
        if None not in keys:
            return self.ring.intern([key for key in keys if key is not None])
        out = np.full(len(keys), NULL)
        present = [place for place, key in enumerate(keys) if key is not None]
        out[present] = self.ring.intern([key for key in keys if key is not None])
        return out
