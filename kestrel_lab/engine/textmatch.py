"""Many text tests over many distinct values of one field.

Wildcards, equality, prefixes and suffixes share one pass over all values at once (two where some ignore case and some
do not): each pattern is found by its longest literal part, and what the pass cannot prove is checked afterwards.
Addresses are dictionary look-ups. RE2 serves `regex` alone, where a literal part of the expression was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.glob import Check, checker, key_of, literal_checker
from kestrel_lab.engine.literals import MAX_BYTES, NEEDED, Literals, Place
from kestrel_lab.engine.vectors import Bits, Vectors
from kestrel_lab.eql import re2match
from kestrel_lab.eql.compute import passes_value
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.regexliterals import required
from kestrel_lab.eql.texttest import block_of, canonical_address, number_of_address, passes
from kestrel_lab.schema.access import Text
from kestrel_lab.schema.epoch import Array

_LITERAL_OPS: dict[TextOp, Place] = {"equal": "whole", "prefix": "begin", "suffix": "end", "contains": "anywhere"}
_Look = tuple[bool, Check]  #: whether the value is to be lower-case, and the check
_MANY = 8  # checks of a test from which on it is worth to search for their literals again
_BATCH = 1 << 16  # bytes that go through the automaton together: bounds what it can find at once


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is known of some values about tests: for each test, whether it surely passes; then, whether it may.

    Attributes:
        usual: of every value that is not in `rows`.
        rows: values, rising; bits: a row for each of these.
    """

    usual: npt.NDArray[np.bool_]
    rows: Array
    bits: Bits

    @classmethod
    def of(cls, usual: npt.NDArray[np.bool_], rows: Sequence[Array], places: Sequence[Array]) -> Sketch:
        """Return the sketch of values that have, beside what is usual, the given places of it."""
        if not rows:
            return cls(usual, np.zeros(0, np.int64), np.zeros((0, len(usual)), np.bool_))
        distinct, inverse = np.unique(np.concatenate(rows), return_inverse=True)
        bits = np.tile(usual, (len(distinct), 1))
        bits[inverse, np.concatenate(places)] = True
        width = len(usual) // 2
        bits[:, width:] &= ~bits[:, :width]
        return cls(usual, distinct, bits)

    def dense(self, count: int) -> Bits:
        """Return a row for each of `count` values."""
        out = np.tile(self.usual, (count, 1))
        out[self.rows] = self.bits
        return out

    def numbers(self, vectors: Vectors, count: int, *lead: bool) -> npt.NDArray[np.uint32]:
        """Return, for each of `count` values, the number of what is known of it, behind some further bits."""
        head = np.tile(np.array(lead, np.bool_), (1 + len(self.rows), 1))
        found = vectors.number(np.concatenate([head, np.concatenate([self.usual[None], self.bits])], axis=1))
        out = np.full(count, found[0], np.uint32)
        out[self.rows] = found[1:]
        return out


class Matcher:
    """Evaluates a fixed list of text tests.

    Attributes:
        doubtful: for each test, whether `sketch` may leave it open.
    """

    def __init__(self, tests: Sequence[TextTest]) -> None:
        self._tests, self._count = tests, len(tests)
        self.doubtful = np.zeros(self._count, np.bool_)
        self._literals = {fold: Literals(fold=fold) for fold in (False, True)}
        self._checks: list[list[_Look]] = [[] for _ in tests]
        self._alone: dict[int, Matcher] = {}
        self._always: list[int] = []
        self._empty: list[int] = []
        self._unkeyed: list[int] = []
        self._whole: list[int] = []  # what is computed of a value, not of its elements
        self._addresses: dict[bytes, list[int]] = {}
        self._blocks: dict[int, dict[int, list[int]]] = {}  # by bits below the prefix, then by prefix
        for number, test in enumerate(tests):
            self._add(number, test)
        self._usual = np.zeros(2 * self._count, np.bool_)  # of a value that nothing is found in
        self._usual[self._always] = True
        self._usual[np.array(self._unkeyed, np.int64) + self._count] = True

    def bits(self, values: Sequence[Text]) -> Bits:
        """Return which value passes which test: one row a value, one column a test.

        A tuple passes if any of its elements does, or what is computed of it; None passes nothing.
        """
        flat = [v for value in values for v in _strings(value)]
        found, maybe = np.split(self.sketch(flat).dense(len(flat)), 2, axis=1)
        maybe[:, self._whole] = False
        for test in np.flatnonzero(maybe.any(axis=0)).tolist():
            rows = np.flatnonzero(maybe[:, test])
            found[rows, test] = self._look(test, [flat[row] for row in rows.tolist()])
        out = _gathered(values, found)
        for test in self._whole:
            out[:, test] = self.decide(test, values)
        return out

    def sketch(self, values: Sequence[bytes]) -> Sketch:
        """Return which value surely passes which test, and which may pass and must be looked at by `decide`."""
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        rows, places = list[Array](), list[Array]()
        begin = 0
        while begin < len(values):
            before = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, before + _BATCH, "right")), begin + 1)
            for row, place in self._found(values[begin:end]):
                rows.append(row + begin)
                places.append(place)
            begin = end
        return Sketch.of(self._usual, rows, places)

    def decide(self, test: int, values: Sequence[Text]) -> npt.NDArray[np.bool_]:
        """Return which of the values that `sketch` has left open pass a test."""
        if test in self._whole:
            found = (passes_value(self._tests[test], cast("bytes | tuple[bytes, ...] | None", v)) for v in values)
            return np.fromiter(found, np.bool_, len(values))
        flat = [v for value in values for v in _strings(value)]
        return _gathered(values, self._look(test, flat)[:, None])[:, 0]

    def alone(self, test: int) -> Matcher:
        """Return a matcher of one of the tests; made once."""
        found = self._alone.get(test)
        if found is None:
            found = self._alone[test] = Matcher([self._tests[test]])
        return found

    def _look(self, test: int, values: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        checks = self._checks[test]
        if len(checks) > _MANY and self._count > 1:
            return self.alone(test).bits(values)[:, 0]
        found = (any(check(v.lower() if fold else v) for fold, check in checks) for v in values)
        return np.fromiter(found, np.bool_, len(values))

    def _found(self, values: Sequence[bytes]) -> Iterator[tuple[Array, Array]]:
        """Yield pairs (number of the value, test that it passes; or, `count` tests further on, that it may pass)."""
        if self._empty:
            empty = np.array([i for i, value in enumerate(values) if not value], np.int64)
            yield np.repeat(empty, len(self._empty)), np.tile(np.array(self._empty, np.int64), len(empty))
        for literals in self._literals.values():
            for place, which, tests in literals.search(values):
                yield which, tests + self._count if place in NEEDED else tests
        if self._addresses or self._blocks:
            pairs = [(row, test) for row, value in enumerate(values) for test in self._blocks_of(value)]
            found = np.array(pairs, np.int64).reshape(-1, 2)
            yield found[:, 0], found[:, 1]

    def _blocks_of(self, value: bytes) -> Iterator[int]:
        """Yield the tests of addresses that a value passes."""
        if self._addresses:
            yield from self._addresses.get(canonical_address(value) or b"", ())
        address = number_of_address(value) if self._blocks else None
        if address is not None:
            for shift, heads in self._blocks.items():
                yield from heads.get(address >> shift, ())

    def _add(self, number: int, test: TextTest) -> None:
        if test.op == "like":
            for pattern in test.patterns:
                self._add_pattern(number, pattern, test.fold)
        elif test.op in _LITERAL_OPS:
            for pattern in test.patterns:
                self._add_literal(number, _LITERAL_OPS[test.op], pattern, test.fold, literal_checker(test.op, pattern))
        elif test.op == "address":
            for pattern in test.patterns:
                self._addresses.setdefault(pattern, []).append(number)
        elif test.op == "cidr":
            for shift, head in map(block_of, test.patterns):
                self._blocks.setdefault(shift, {}).setdefault(head, []).append(number)
        elif test.op == "regex":
            for pattern in test.patterns:
                self._add_check(number, required(pattern), True, (False, re2match.matcher((pattern,))))
        elif test.op == "computed":
            self._whole.append(number)
            self._unkeyed.append(number)
            self.doubtful[number] = True
        else:
            self._add_check(number, None, False, (False, _definition(test)))

    def _add_pattern(self, number: int, pattern: bytes, fold: bool) -> None:
        body = pattern.strip(b"*")
        key = key_of(pattern)
        if not body:
            (self._always if pattern else self._empty).append(number)
        elif key == body:
            begin, end = not pattern.startswith(b"*"), not pattern.endswith(b"*")
            place: Place = "whole" if begin and end else "begin" if begin else "end" if end else "anywhere"
            self._add_literal(number, place, key, fold, checker(pattern))
        else:
            stands: Place = "head" if pattern.startswith(key) else "tail" if pattern.endswith(key) else "part"
            self._add_check(number, (key,) if key else None, fold, (fold, checker(pattern)), stands)

    def _add_literal(self, number: int, place: Place, literal: bytes, fold: bool, check: Check) -> None:
        if not literal:
            (self._empty if place == "whole" else self._always).append(number)
        elif len(literal) <= MAX_BYTES:
            self._literals[fold].add(literal, place, number)
        else:
            self._add_check(number, (literal,), fold, (fold, check))

    def _add_check(
        self, number: int, literals: Sequence[bytes] | None, fold: bool, look: _Look, stands: Place = "part"
    ) -> None:
        """Add a pattern that needs a look wherever one of the literals stands so; everywhere if there are none."""
        self.doubtful[number] = True
        self._checks[number].append(look)
        if literals is None:
            self._unkeyed.append(number)
        for literal in literals or ():
            cut = stands == "head" and len(literal) > MAX_BYTES
            self._literals[fold].add(literal[-MAX_BYTES:], "part" if cut else stands, number)


def _strings(value: Text) -> tuple[bytes, ...]:
    """Return the strings that a value consists of."""
    if isinstance(value, tuple):
        return tuple(v for v in value if isinstance(v, bytes))
    return () if value is None else (value,)


def _gathered(values: Sequence[Text], found: Bits) -> Bits:
    """Return a row a value from a row an element: a tuple has what any of its elements has."""
    if len(found) == len(values) and all(isinstance(value, bytes) for value in values):
        return found
    out = np.zeros((len(values), found.shape[1]), np.bool_)
    at = 0
    for row, value in enumerate(values):
        size = len(_strings(value))
        if size:
            out[row] = found[at : at + size].any(axis=0)
        at += size
    return out


def _definition(test: TextTest) -> Check:
    return lambda value: passes(test, value)
