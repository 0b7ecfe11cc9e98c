"""Text tests over lists of strings, and over the strings that lists are joined to.

A list passes what any of its elements passes. A joined string is looked at only if its elements hold, one by one, what
a test needs: a part of a pattern that has no space lies within one element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.text.elements import Elements, Numbers
from kestrel_lab.engine.text.literals import MAX_BYTES
from kestrel_lab.engine.text.vectors import Bits
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.regexliterals import required
from kestrel_lab.schema.access import Lists
from kestrel_lab.schema.epoch import Array


class ListMatcher:
    """Text tests over lists: one passes if any of the elements does."""

    def __init__(self, tests: Sequence[TextTest], elements: Elements) -> None:
        self._elements, self._which = elements, elements.add(tests)

    @property
    def generation(self) -> int:
        """Numbers mean the same until it changes."""
        return self._elements.generation

    def numbers(self, codes: Array, lists: Lists) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return, for lists by code, the number of what is known of each (see `known`), and whether it is there."""
        return self._elements.numbers(codes, lists)

    def known(self, numbers: Array) -> Bits:
        """Return for each test whether it surely passes, then for each whether it may; a row a number."""
        return self._elements.known(numbers, self._which)

    def decide(self, test: int, codes: Array, lists: Lists) -> npt.NDArray[np.bool_]:
        """Return which of the lists that `numbers` left open pass a test of one element; elements are remembered."""
        return self._elements.decide(self._which.start + test, codes, lists)


class JoinedMatcher:
    """Text tests over lists joined by spaces.

    Attributes:
        doubtful: for each test, whether `numbers` may leave it open.
    """

    def __init__(self, tests: Sequence[TextTest], elements: Elements) -> None:
        needs = [_needs(test) for test in tests]
        self._width = len(tests)
        self._keyed = np.array([n for n, need in enumerate(needs) if need is not None], np.int64)
        self._rest = np.array([n for n, need in enumerate(needs) if need is None], np.int64)
        self._proved = np.array([_is_proved(tests[n]) for n in self._keyed], np.bool_)
        self._elements, self._which = elements, elements.add([need for need in needs if need is not None])
        self.doubtful = np.ones(self._width, np.bool_)
        self.doubtful[self._keyed[self._proved]] = False

    @property
    def generation(self) -> int:
        """Numbers mean the same until it changes."""
        return self._elements.generation

    def numbers(self, codes: Array, lists: Lists) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return, for lists by code, the number of what is known of each (see `known`), and whether it is there."""
        return self._elements.numbers(codes, lists)

    def known(self, numbers: Array) -> Bits:
        """Return for each test whether it surely passes, then for each whether it may; a row a number."""
        passed, maybe = np.split(self._elements.known(numbers, self._which), 2, axis=1)
        out = np.zeros((len(numbers), 2 * self._width), np.bool_)
        out[:, self._keyed] = passed & self._proved
        out[:, self._width + self._keyed] = maybe | (passed & ~self._proved)
        out[:, self._width + self._rest] = True
        return out


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
