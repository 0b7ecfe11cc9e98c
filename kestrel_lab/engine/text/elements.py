"""What lists consist of, looked at once per segment for all who ask, however many lists hold it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.text.literals import spread
from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.engine.text.vectors import Bits, Unions
from kestrel_lab.eql import TextTest
from kestrel_lab.schema.access import Dictionary, Lists, lookup
from kestrel_lab.schema.codes import rising
from kestrel_lab.schema.epoch import Array

_UNKNOWN = 0xFFFF_FFFF

Numbers = npt.NDArray[np.uint32]


class Elements:
    """Tests of elements, and of a list by number what is known of its elements together.

    `add` all tests, then ask.
    """

    def __init__(self) -> None:
        self._tests: list[TextTest] = []
        self._segment = self._generation = -1
        self._built: Matcher | None = None
        self._codes: Numbers = np.zeros(0, np.uint32)  # by code of an element, the number of its vector
        self._of_lists: Numbers = np.zeros(0, np.uint32)  # by code of a list

    def add(self, tests: Sequence[TextTest]) -> slice:
        """Take further tests; return which they are."""
        self._tests += tests
        self._built = None
        return slice(len(self._tests) - len(tests), len(self._tests))

    @property
    def generation(self) -> int:
        """Numbers mean the same until it changes."""
        return self._matcher.generation

    def enter(self, segment: int) -> None:
        """Begin an epoch of a segment: codes mean something else in each."""
        if segment != self._segment:
            self._segment = segment
            self._clear()

    def numbers(self, codes: Array, lists: Lists) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return, for lists by code, the number of what is known of each (see `known`), and whether it is there."""
        self._trim()
        offsets, _ = lists.arrays()
        there = offsets[codes + 1] > offsets[codes]
        self._of_lists = known = _grown(self._of_lists, codes)
        found = known[codes]
        new = found == _UNKNOWN
        if new.any():
            elements, counts = _elements(codes[new], lists)
            known[codes[new]] = self._unions.of(self._of(elements, lists.elements), counts)
            found = known[codes]
        return found, there

    def known(self, numbers: Array, which: slice) -> Bits:
        """Return for each of some tests whether it surely passes, then for each whether it may; a row a number."""
        found, count = self._matcher.vectors.bits[numbers], len(self._tests)
        passed = found[:, which]
        return np.concatenate([passed, found[:, which.start + count : which.stop + count] & ~passed], axis=1)

    def decide(self, test: int, codes: Array, lists: Lists) -> npt.NDArray[np.bool_]:
        """Return which of the lists that `numbers` left open have an element that passes a test; it is remembered."""
        self._trim()
        elements, counts = _elements(codes, lists)
        vectors = self._of(elements, lists.elements)
        is_open = self._matcher.vectors.bits[vectors, len(self._tests) + test]
        if is_open.any():
            distinct = rising(elements[is_open])
            known = self._matcher.vectors.bits[self._codes[distinct]]
            known[:, test] = self._matcher.decide(test, lookup(lists.elements, distinct.tolist()))
            known[:, len(self._tests) + test] = False
            self._codes[distinct] = self._matcher.vectors.number(known)
            vectors = self._codes[elements]
        owners = np.repeat(np.arange(len(codes)), counts)
        passed = np.zeros(len(codes), np.bool_)
        passed[owners[self._matcher.vectors.bits[vectors, test]]] = True
        return passed

    @property
    def _matcher(self) -> Matcher:
        if self._built is None:
            self._built = Matcher(self._tests)
        return self._built

    def _clear(self) -> None:
        self._codes = self._of_lists = np.zeros(0, np.uint32)

    def _trim(self) -> None:
        """Forget what is known if it is too much."""
        self._matcher.trim()
        if self._matcher.generation != self._generation:
            self._generation = self._matcher.generation
            self._unions = Unions(self._matcher.vectors)
            self._clear()

    def _of(self, elements: Array, dictionary: Dictionary) -> Numbers:
        """Return the number of each element's vector."""
        self._codes = _grown(self._codes, elements)
        found = self._codes[elements]
        new = found == _UNKNOWN
        if new.any():
            distinct = rising(elements[new])
            values = [v for v in lookup(dictionary, distinct.tolist()) if isinstance(v, bytes)]
            self._codes[distinct] = self._matcher.numbers(values)
            found = self._codes[elements]
        return found


def _elements(codes: Array, lists: Lists) -> tuple[Array, Array]:
    """Return the codes of the elements, list after list, and how many each list has."""
    offsets, items = lists.arrays()
    starts = offsets[codes]
    counts = offsets[codes + 1] - starts
    return items[spread(starts, counts)], counts


def _grown(numbers: Numbers, codes: Array) -> Numbers:
    """Return numbers with room for some codes, the new ones unknown."""
    size = int(codes.max(initial=0)) + 1
    if size <= len(numbers):
        return numbers
    return np.concatenate([numbers, np.full(max(size, 2 * len(numbers)) - len(numbers), _UNKNOWN, np.uint32)])
