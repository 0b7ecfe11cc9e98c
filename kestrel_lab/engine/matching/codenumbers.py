"""The numbers of values of one field, as keys of one part, remembered by the codes of a segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kestrel_lab.engine.hits.keys import encode_all
from kestrel_lab.engine.matching.keyring import UNKNOWN, Ints, KeyRing, Mask, no_ints
from kestrel_lab.schema.access import Coded, Numbers, lookup
from kestrel_lab.schema.codes import distinct
from kestrel_lab.schema.epoch import Segment
from kestrel_lab.schema.types import EqlType
from kestrel_lab.schema.values import Value

#: In place of a number: null.
NULL = -2

#: More codes than this are worth being told from those of the values asked about.
_MANY = 256

#: Gives the values that keys asked about have in a field.
Asked = Callable[[], Sequence[Value]]


class CodeNumbers:
    """Numbers by code. Those of another segment mean nothing."""

    def __init__(self, ring: KeyRing) -> None:
        """Take the ring that the numbers are of."""
        self._ring = ring
        self._segment: Segment | None = None
        self._known: dict[tuple[str, bool], Ints] = {}  # by dictionary, and whether it is of addresses

    def leave(self) -> None:
        """Forget the segment."""
        self._segment = None
        self._known.clear()

    def forget(self, dropped: Mask) -> None:
        """Forget numbers that mean nothing any more."""
        for numbers in self._known.values():
            places = np.flatnonzero(numbers >= 0)
            numbers[places[dropped[numbers[places]]]] = UNKNOWN

    def of(self, segment: Segment, found: Coded | Numbers, kind: EqlType, asked: Asked | None) -> Ints:
        """Return the number of each row's value; NULL where it is missing.

        Args:
            asked: if not None, UNKNOWN will do for values other than those it gives.
        """
        if isinstance(found, Coded):
            return self._of_codes(segment, found, kind, asked)
        values, inverse = np.unique(found.values, return_inverse=True)
        out = self._interned(values.tolist(), kind)[inverse]
        return out if found.valid is None else np.where(found.valid, out, NULL)

    def _of_codes(self, segment: Segment, found: Coded, kind: EqlType, asked: Asked | None) -> Ints:
        if segment is not self._segment:
            self._known.clear()
            self._segment = segment
        place, codes, dictionary = (found.dictionary.key, kind is EqlType.IP), found.codes, found.dictionary
        known, size = self._known.get(place, no_ints()), int(codes.max()) + 1
        if size > len(known):
            more = max(dictionary.size(), size) - len(known)
            known = self._known[place] = np.concatenate([known, np.full(more, UNKNOWN)])
        out = known[codes]
        unknown = codes[out == UNKNOWN]
        if len(unknown) > _MANY and asked is not None and dictionary.maybe is not None:
            unknown = unknown[(unknown == 0) | dictionary.maybe(unknown, asked())]
        new, _ = distinct(unknown)
        if len(new):
            same, first = np.arange(len(new)), new
            if dictionary.alike is not None:  # many codes may stand for one text
                first, same = distinct(dictionary.alike(new))
            known[new] = self._interned(lookup(dictionary, first), kind)[same]
            out = known[codes]
        return out

    def _interned(self, values: Sequence[Value], kind: EqlType) -> Ints:
        """Return the number of each value, NULL for None."""
        keys = encode_all(values, kind)
        present = [key for key in keys if key is not None]
        numbers = self._ring.intern(present)
        if len(present) == len(keys):
            return numbers
        out = np.full(len(keys), NULL)
        out[[place for place, key in enumerate(keys) if key is not None]] = numbers
        return out
