"""Text tests over lists of strings, and over the strings that lists are joined to.

An element is looked at once per segment, however many lists hold it. A list passes what any of its elements passes. A
joined string is looked at only if its elements hold, one by one, what a test needs: a part of a pattern that has no
space lies within one element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.text.literals import MAX_BYTES, spread
from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.engine.text.vectors import Bits, Unions
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.regexliterals import required
from kestrel_lab.schema.access import Dictionary, Lists, lookup
from kestrel_lab.schema.epoch import Array

_UNKNOWN = 0xFFFF_FFFF


class ListMatcher:
    """A fixed list of text tests over lists: one passes if any of its elements does."""

    def __init__(self, tests: Sequence[TextTest]) -> None:
        self._matcher, self._width = Matcher(tests), len(tests)
        self._generation = 0
        self.enter()

    @property
    def generation(self) -> int:
        """See `known`."""
        return self._matcher.generation

    def enter(self) -> None:
        """Begin a segment: codes of elements mean something else in each."""
        self._codes: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)

    def numbers(self, codes: Array, lists: Lists) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
        """Return, for lists by code, the number of what is known of each (see `known`), and whether it is there."""
        elements, counts = _elements(codes, lists)
        found = self._of(elements, lists.elements)
        return self._unions.of(found, counts), counts > 0

    def known(self, numbers: Array) -> Bits:
        """Return for each test whether it surely passes, then for each whether it may; a row a number.

        Numbers mean the same until `generation` changes.
        """
        return self._matcher.known(numbers)

    def decide(self, test: int, codes: Array, lists: Lists) -> npt.NDArray[np.bool_]:
        """Return which of the lists that `numbers` left open pass a test of one element; elements are remembered."""
        elements, counts = _elements(codes, lists)
        vectors = self._of(elements, lists.elements)
        is_open = self._matcher.vectors.bits[vectors, self._width + test]
        if is_open.any():
            distinct = np.unique(elements[is_open])
            known = self._matcher.vectors.bits[self._codes[distinct]]
            known[:, test] = self._matcher.decide(test, lookup(lists.elements, distinct.tolist()))
            known[:, self._width + test] = False
            self._codes[distinct] = self._matcher.vectors.number(known)
            vectors = self._codes[elements]
        owners = np.repeat(np.arange(len(codes)), counts)
        passed = np.zeros(len(codes), np.bool_)
        passed[owners[self._matcher.vectors.bits[vectors, test]]] = True
        return passed

    def _of(self, elements: Array, dictionary: Dictionary) -> npt.NDArray[np.uint32]:
        """Return the number of each element's vector."""
        self._matcher.trim()
        if self._matcher.generation != self._generation:
            self._generation = self._matcher.generation
            self._unions = Unions(self._matcher.vectors)
            self.enter()
        size = int(elements.max(initial=0)) + 1
        if size > len(self._codes):
            grown = np.full(max(size, 2 * len(self._codes)), _UNKNOWN, np.uint32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown
        found = self._codes[elements]
        new = found == _UNKNOWN
        if new.any():
            distinct = np.unique(elements[new])
            values = [v for v in lookup(dictionary, distinct.tolist()) if isinstance(v, bytes)]
            self._codes[distinct] = self._matcher.numbers(values)
            found = self._codes[elements]
        return found


class JoinedMatcher:
    """A fixed list of text tests over lists joined by spaces.

    Attributes:
        doubtful: for each test, whether `numbers` may leave it open.
    """

    def __init__(self, tests: Sequence[TextTest]) -> None:
        needs = [_needs(test) for test in tests]
        self._width = len(tests)
        self._keyed = np.array([n for n, need in enumerate(needs) if need is not None], np.int64)
        self._rest = np.array([n for n, need in enumerate(needs) if need is None], np.int64)
        self._proved = np.array([_is_proved(tests[n]) for n in self._keyed], np.bool_)
        self._parts = ListMatcher([need for need in needs if need is not None])
        self.doubtful = np.ones(self._width, np.bool_)
        self.doubtful[self._keyed[self._proved]] = False

    def enter(self) -> None:
        """Begin a segment."""
        self._parts.enter()

    @property
    def generation(self) -> int:
        """See `known`."""
        return self._parts.generation

    def numbers(self, codes: Array, lists: Lists) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
        """Return, for lists by code, the number of what is known of each (see `known`), and whether it is there."""
        return self._parts.numbers(codes, lists)

    def known(self, numbers: Array) -> Bits:
        """Return for each test whether it surely passes, then for each whether it may; a row a number.

        Numbers mean the same until `generation` changes.
        """
        passed, maybe = np.split(self._parts.known(numbers), 2, axis=1)
        out = np.zeros((len(numbers), 2 * self._width), np.bool_)
        out[:, self._keyed] = passed & self._proved
        out[:, self._width + self._keyed] = maybe | (passed & ~self._proved)
        out[:, self._width + self._rest] = True
        return out


def _elements(codes: Array, lists: Lists) -> tuple[Array, Array]:
    """Return the codes of the elements, list after list, and how many each list has."""
    offsets, items = lists.arrays()
    starts = offsets[codes]
    counts = offsets[codes + 1] - starts
    return items[spread(starts, counts)], counts


def _needs(test: TextTest) -> TextTest | None:
    """Return a test of which some element passes if the joined string passes the given one; None if there is none."""
    fold, parts = test.fold, set[bytes]()
    if test.op == "regex":
        fold = True
        for pattern in test.patterns:
            parts.update(_part("equal", literal) for literal in required(pattern) or (b"",))
    elif test.op in ("like", "equal", "prefix", "suffix", "contains"):
        parts.update(_part(test.op, pattern) for pattern in test.patterns)
    else:
        return None
    return None if b"" in parts else TextTest(test.field, "contains", fold, tuple(sorted(parts)))


def _part(op: TextOp, pattern: bytes) -> bytes:
    """Return the longest part of a pattern that has neither wildcards nor spaces, cut to what is surely found."""
    return max(re.split(rb"[*? ]+" if op == "like" else rb" +", pattern), key=len)[:MAX_BYTES]


def _is_proved(test: TextTest) -> bool:
    """Return whether the joined string passes wherever an element holds what the test needs."""
    if test.op == "contains":
        return all(pattern == _part("contains", pattern) for pattern in test.patterns)
    return test.op == "like" and all(pattern == b"*" + _part("like", pattern) + b"*" for pattern in test.patterns)
