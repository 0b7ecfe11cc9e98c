"""Values that are lists of strings, or lists joined to strings, made from their elements when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast, overload

import numpy as np

from kestrel_lab.schema.codes import Codes, distinct, in_runs

if TYPE_CHECKING:
    from kestrel_lab.schema.access import Lists, Text


class PickedLists(Sequence["Text"]):
    """The values of some codes of lists; each element was looked up once."""

    def __init__(self, lists: Lists, codes: Codes) -> None:
        """Look up the elements."""
        offsets, items = lists.arrays()
        elements = self._lay(items, offsets[codes], offsets[codes + 1])
        self._texts = cast("list[bytes]", in_runs(lists.elements.values, elements.tolist()))
        self._joined = lists.joined

    def pick(self, places: Codes) -> PickedLists:
        """Return the values at some places, apart."""
        out = PickedLists.__new__(PickedLists)
        elements = out._lay(self._elements, self._begins[places], self._ends[places])
        out._texts, out._joined = [self._texts[element] for element in elements.tolist()], self._joined
        return out

    def _lay(self, items: Codes, starts: Codes, stops: Codes) -> Codes:
        """Lay lists of items end to end, as places among those that there are; return these."""
        self._ends = np.cumsum(stops - starts)
        self._begins = self._ends - (stops - starts)
        shift = np.repeat(starts - self._begins, stops - starts)
        there, self._elements = distinct(items[shift + np.arange(len(shift))])
        return there

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Text: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Text]: ...
    def __getitem__(self, place: int | slice) -> Text | Sequence[Text]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        elements = self._elements[self._begins[place] : self._ends[place]]
        return self._made([self._texts[element] for element in elements.tolist()])

    def __iter__(self) -> Iterator[Text]:
        found = [self._texts[element] for element in self._elements.tolist()]
        parts = (found[a:b] for a, b in zip(self._begins.tolist(), self._ends.tolist(), strict=True))
        return map(self._made, parts)

    def _made(self, part: list[bytes]) -> Text:
        return (b" ".join(part) if self._joined else tuple(part)) if part else None
