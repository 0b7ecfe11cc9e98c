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

from kestrel_lab.engine.plan import TestKey, key_of_test
from kestrel_lab.engine.textmatch import Matcher
from kestrel_lab.eql import TextTest
from kestrel_lab.schema.access import Coded, Dictionary, Text, lookup
from kestrel_lab.schema.epoch import Array

_UNKNOWN = 0xFFFF_FFFF
#: When the bits of all classes of a key take more bytes than this, they are forgotten and learnt anew as needed, so
#: that hostile strings cannot fill the memory.
_MAX_BITS = 64 << 20


class TooManyClassesError(Exception):
    """A column holds more classes at once than the lookup tables have room for."""


class Classes:
    """Classes of one dictionary key over the segments of a source."""

    def __init__(self, tests: Sequence[TextTest], lut: npt.NDArray[np.uint8]) -> None:
        """Take the tests and where their tables go (tests x capacity bytes, written here alone)."""
        self._matcher = Matcher(tests)
        self._numbers = {key_of_test(test): number for number, test in enumerate(tests)}
        self._generation = 0
        self._lut = lut
        self._segment = -1
        self._codes: npt.NDArray[np.uint32] = np.zeros(1, np.uint32)
        self._seen: dict[Text, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._vectors: dict[bytes, int] = {}
        self._bits = np.zeros((64, len(self._lut)), np.bool_)
        self._count = 0
        self._tabled = 0
        self._number(np.zeros((1, len(self._lut) + 1), np.bool_))

    @property
    def bits(self) -> npt.NDArray[np.bool_]:
        """Classes x tests, so far."""
        return self._bits[: self._count]

    @property
    def version(self) -> tuple[int, int]:
        """(Generation, number of classes): within a generation, classes are only added."""
        return self._generation, self._count

    def number_of(self, key: TestKey) -> int:
        """Return the column of `bits` of a test."""
        return self._numbers[key]

    def enter(self, segment: int) -> None:
        """Begin an epoch of a segment; codes mean something else in each. Classes of before are void afterwards."""
        crowded = self._count * (1 + len(self._lut)) > _MAX_BITS
        if segment == self._segment and not crowded:
            return
        if crowded or self._count > self._lut.shape[1]:
            self._forget()
        self._segment = segment
        self._codes = np.full(1024, _UNKNOWN, np.uint32)
        self._codes[0] = 0
        self._seen = {}

    def of(self, coded: Coded) -> npt.NDArray[np.uint32]:
        """Return the class of each code of a column."""
        if not len(coded.codes):
            return np.zeros(0, np.uint32)
        self._reserve(int(coded.codes.max()) + 1)
        found = self._codes[coded.codes]
        new = found == _UNKNOWN
        if new.any():
            self._learn(np.unique(coded.codes[new]), coded.dictionary)
            found = self._codes[coded.codes]
        return found

    def place(self, columns: Sequence[npt.NDArray[np.uint32]]) -> list[npt.NDArray[np.uint32]]:
        """Return the columns with class numbers that the tables in memory stand for until the next call.

        Raises:
            TooManyClassesError: if the columns together hold more classes than the tables.
        """
        capacity = self._lut.shape[1]
        if self._count <= capacity:
            self._table(np.arange(self._tabled, self._count), self._tabled)
            self._tabled = self._count
            return list(columns)
        distinct, inverse = np.unique(np.concatenate([np.zeros(1, np.uint32), *columns]), return_inverse=True)
        if len(distinct) > capacity:
            raise TooManyClassesError
        self._table(distinct, 0)
        self._tabled = capacity
        return np.split(inverse[1:].astype(np.uint32), np.cumsum([len(c) for c in columns])[:-1])

    def _table(self, classes: Array, at: int) -> None:
        if len(classes):
            self._lut[:, at : at + len(classes)] = self._bits[classes].T

    def _reserve(self, size: int) -> None:
        if size > len(self._codes):
            grown = np.full(max(size, 2 * len(self._codes)), _UNKNOWN, np.uint32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown

    def _learn(self, codes: Array, dictionary: Dictionary) -> None:
        if dictionary.alike is None:
            self._codes[codes] = self._classify(lookup(dictionary, codes.tolist()))
            return
        distinct, inverse = np.unique(dictionary.alike(codes), return_inverse=True)
        values = lookup(dictionary, distinct.tolist())
        new = list(dict.fromkeys(v for v in values if v not in self._seen))
        self._seen.update(zip(new, self._classify(new).tolist(), strict=True))
        self._codes[codes] = np.array([self._seen[v] for v in values], np.uint32)[inverse]

    def _classify(self, values: Sequence[Text]) -> npt.NDArray[np.uint32]:
        present = np.array([v is not None for v in values], np.bool_)
        bits = self._matcher.bits(cast("Sequence[bytes | tuple[bytes, ...] | None]", values))
        return self._number(np.column_stack([present, bits & present[:, None]]))

    def _number(self, vectors: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
        """Return the class of each vector (present, then a bit a test), giving new ones the next numbers."""
        packed = np.packbits(vectors, axis=1)
        _, first, inverse = np.unique(packed.view(f"V{packed.shape[1]}")[:, 0], return_index=True, return_inverse=True)
        out = np.zeros(len(first), np.uint32)
        for i in np.argsort(first).tolist():
            row = int(first[i])
            key = packed[row].tobytes()
            found = self._vectors.get(key)
            if found is None:
                found = self._vectors[key] = self._count
                self._append(vectors[row, 1:])
            out[i] = found
        return out[inverse]

    def _append(self, bits: npt.NDArray[np.bool_]) -> None:
        if self._count == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        self._bits[self._count] = bits
        self._count += 1
