"""Classes of strings: a string test runs once per distinct value, WebAssembly only looks bits up.

For each dictionary, the pack's tests of its fields part the values into classes: values that pass the same tests
are one class. Class 0 is the missing value. A column of codes becomes a column of classes, and each test a table of
one byte a class in the column memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.text.elements import Elements
from kestrel_lab.engine.text.listmatch import JoinedMatcher, ListMatcher
from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.engine.text.vectors import Vectors
from kestrel_lab.eql import TextTest
from kestrel_lab.eql.leaftests import ScalarTest
from kestrel_lab.schema.access import Coded, Dictionary, Text, lookup
from kestrel_lab.schema.codes import rising
from kestrel_lab.schema.epoch import Array

_UNKNOWN = 0xFFFF_FFFF
#: When the bits of all classes of a key take more bytes than this, they are forgotten and learnt anew as needed, so
#: that hostile strings cannot fill the memory.
_MAX_BITS = 64 << 20
_MOST_ASKED = 1_024  # sets of tests for which it is remembered which classes leave them open


#: A text test apart from its field: fields that share a dictionary share their tests.
TestKey = tuple[str, bool, tuple[bytes, ...], ScalarTest | None]


def key_of_test(test: TextTest) -> TestKey:
    """Return what a test asks, whatever the field."""
    return test.op, test.fold, test.patterns, test.program


class TooManyClassesError(Exception):
    """A column holds more classes at once than the lookup tables have room for."""


class Classes:
    """Classes of one dictionary key over the segments of a source."""

    def __init__(
        self, tests: Sequence[TextTest], lut: npt.NDArray[np.uint8], elements: Elements, *, joined: bool = False
    ) -> None:
        """Take the tests and where their tables go (tests x capacity bytes, written here alone).

        Args:
            elements: what lists consist of, if the values are such; shared by all that look at the same lists.
            joined: the values are lists joined to one string.
        """
        self._tests = tests
        self._matcher = Matcher(tests)
        self._elements = elements
        self._of_joined = JoinedMatcher(tests, elements) if joined else None
        self._of_lists = None if joined else ListMatcher(tests, elements)
        self._width = len(tests)
        self._numbers = {key_of_test(test): number for number, test in enumerate(tests)}
        self._generation = 0
        self._lut = lut
        self._segment = -1
        self._codes: npt.NDArray[np.uint32] = np.zeros(1, np.uint32)
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        # present, then for each test whether it passes, and whether it may: the missing value is number 0
        self._vectors = Vectors(1 + 2 * self._width)
        self._known, self._known_version = np.zeros(0, np.uint32), (0, 0)
        self._tabled = 0
        #: by tests asked together, for each class whether it leaves one of them open; and the version it was found for
        self._open: dict[tuple[int, ...], tuple[tuple[int, int], npt.NDArray[np.bool_]]] = {}

    @property
    def bits(self) -> npt.NDArray[np.bool_]:
        """Classes x tests, so far."""
        return self._vectors.bits[:, 1 : 1 + self._width]

    @property
    def maybe(self) -> npt.NDArray[np.bool_]:
        """Classes x tests: what is open, as nobody asked for it yet."""
        return self._vectors.bits[:, 1 + self._width :]

    @property
    def doubtful(self) -> npt.NDArray[np.bool_]:
        """For each test, whether it must be asked for to be decided."""
        return self._matcher.doubtful if self._of_joined is None else self._of_joined.doubtful

    @property
    def version(self) -> tuple[int, int]:
        """(Generation, number of classes): within a generation, classes are only added."""
        return self._generation, len(self._vectors)

    def number_of(self, key: TestKey) -> int:
        """Return the column of `bits` of a test."""
        return self._numbers[key]

    def enter(self, segment: int) -> None:
        """Begin an epoch of a segment; codes mean something else in each. Classes of before are void afterwards."""
        crowded = len(self._vectors) * (1 + 2 * self._width) > _MAX_BITS
        if segment == self._segment and not crowded:
            return
        if crowded or len(self._vectors) > self._lut.shape[1]:
            self._forget()
        self._segment = segment
        self._codes = np.full(1024, _UNKNOWN, np.uint32)
        self._codes[0] = 0
        self._elements.enter(segment)

    def of(self, coded: Coded, tests: Sequence[int] = ()) -> npt.NDArray[np.uint32]:
        """Return the class of each code of a column.

        Args:
            tests: doubtful tests, by their column of `bits`, to decide for these codes: for codes that nobody asked
                about, their bits mean nothing. What a code's class is may change by that.
        """
        if not len(coded.codes):
            return np.zeros(0, np.uint32)
        self._reserve(coded.dictionary.size())
        found = self._codes.take(coded.codes)
        new = found == _UNKNOWN
        if new.any():
            self._learn(rising(coded.codes[new]), coded.dictionary)
            found = self._codes.take(coded.codes)
        if tests and self._decide(coded, found, tests):
            found = self._codes[coded.codes]
        return found

    def _decide(self, coded: Coded, found: npt.NDArray[np.uint32], tests: Sequence[int]) -> bool:
        """Decide tests for codes; return whether any class has changed."""
        key = tuple(tests)
        version, open_ = self._open.get(key, ((0, 0), np.zeros(0, np.bool_)))
        if version != self.version:
            if len(self._open) == _MOST_ASKED:
                self._open.clear()
            open_ = np.asarray(self.maybe[:, np.array(key, np.int64)].any(axis=1))
            self._open[key] = self.version, open_
        left = np.flatnonzero(open_.take(found))
        for test in tests if len(left) else ():
            which = left[self.maybe[self._codes[coded.codes[left]], test]]
            if len(which):
                codes = rising(coded.codes[which])
                vectors = self._vectors.bits[self._codes[codes]]
                vectors[:, 1 + test] = self._look(test, codes, coded.dictionary)
                vectors[:, 1 + self._width + test] = False
                self._codes[codes] = self._vectors.number(vectors)
        return len(left) > 0

    def place(self, columns: Sequence[npt.NDArray[np.uint32]]) -> list[npt.NDArray[np.uint32]]:
        """Return the columns with class numbers that the tables in memory stand for until the next call.

        Raises:
            TooManyClassesError: if the columns together hold more classes than the tables.
        """
        capacity = self._lut.shape[1]
        count = len(self._vectors)
        if count <= capacity:
            self._table(np.arange(self._tabled, count), self._tabled)
            self._tabled = count
            return list(columns)
        distinct, inverse = np.unique(np.concatenate([np.zeros(1, np.uint32), *columns]), return_inverse=True)
        if len(distinct) > capacity:
            raise TooManyClassesError
        self._table(distinct, 0)
        self._tabled = capacity
        return np.split(inverse[1:].astype(np.uint32), np.cumsum([len(c) for c in columns])[:-1])

    def _table(self, classes: Array, at: int) -> None:
        if len(classes):
            self._lut[:, at : at + len(classes)] = self.bits[classes].T

    def _reserve(self, size: int) -> None:
        if size > len(self._codes):
            grown = np.full(max(size, 2 * len(self._codes)), _UNKNOWN, np.uint32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown

    def _look(self, test: int, codes: Array, dictionary: Dictionary) -> npt.NDArray[np.bool_]:
        if self._of_lists is not None and dictionary.lists is not None and self._tests[test].op != "computed":
            return self._of_lists.decide(test, codes, dictionary.lists)
        values = lookup(dictionary, codes.tolist())
        if self._of_joined is None:
            return self._matcher.decide(test, values)
        return self._matcher.alone(test).bits(values)[:, 0]

    def _learn(self, codes: Array, dictionary: Dictionary) -> None:
        lists = dictionary.lists
        if lists is None:
            self._codes[codes] = self._of_values(lookup(dictionary, codes.tolist()))
            return
        matcher = self._of_joined or self._of_lists
        assert matcher is not None
        numbers, present = matcher.numbers(codes, lists)
        self._codes[codes] = np.where(present, self._of_numbers(matcher, numbers), 0)

    def _of_numbers(self, matcher: JoinedMatcher | ListMatcher | Matcher, numbers: Array) -> npt.NDArray[np.uint32]:
        """Return the classes of values that are there, by what their matcher knows of them."""
        version = self._generation, matcher.generation
        if version != self._known_version:
            self._known, self._known_version = np.full(64, _UNKNOWN, np.uint32), version
        size = int(numbers.max(initial=0)) + 1
        if size > len(self._known):
            self._known = np.concatenate([self._known, np.full(size, _UNKNOWN, np.uint32)])
        found = self._known[numbers]
        new = found == _UNKNOWN
        if new.any():
            distinct = np.unique(numbers[new])
            there = np.ones((len(distinct), 1), np.bool_)
            self._known[distinct] = self._vectors.number(np.concatenate([there, matcher.known(distinct)], axis=1))
            found = self._known[numbers]
        return found

    def _of_values(self, values: Sequence[Text]) -> npt.NDArray[np.uint32]:
        kinds = set(map(type, values))
        if kinds == {bytes}:
            self._matcher.trim()
            return self._of_numbers(self._matcher, self._matcher.numbers(cast("Sequence[bytes]", values)))
        present = np.fromiter((v is not None for v in values), np.bool_, len(values))
        if tuple in kinds:
            passed = self._matcher.bits(values)
            return self._vectors.number(np.concatenate([present[:, None], passed, np.zeros_like(passed)], axis=1))
        self._matcher.trim()
        numbers = self._matcher.numbers([v if isinstance(v, bytes) else b"" for v in values])
        return np.where(present, self._of_numbers(self._matcher, numbers), np.uint32(0))
