"""Many text tests over many distinct values of one field.

Wildcards, equality, prefixes and suffixes share one pass over all values at once (two where some ignore case and some
do not): each pattern is found by its longest literal part, and what the pass cannot prove is checked afterwards.
Addresses are dictionary look-ups. RE2 serves `regex` alone, where a literal part of the expression was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.text.glob import Check, checker, key_of, literal_checker
from kestrel_lab.engine.text.literals import MAX_BYTES, Literals, Place
from kestrel_lab.engine.text.vectors import Bits, Unions, Vectors
from kestrel_lab.eql import re2match
from kestrel_lab.eql.compute import passes_value
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.regexliterals import required
from kestrel_lab.eql.texttest import block_of, canonical_address, number_of_address, passes
from kestrel_lab.schema.access import Text
from kestrel_lab.schema.epoch import Array

_LITERAL_OPS: dict[TextOp, Place] = {"equal": "whole", "prefix": "begin", "suffix": "end", "contains": "anywhere"}
_Look = tuple[bool, Check]  #: whether the value is to be lower-case, and the check
_UNKNOWN = 0xFFFF_FFFF
_MAX_BITS = 32 << 20  # of all vectors; when there are more, they are forgotten and found anew
_MANY = 8  # checks of a test from which on it is worth to search for their literals again
_BATCH = 1 << 15  # bytes that go through the automaton together: what it finds is held as Python objects for a moment


class Matcher:
    """Evaluates a fixed list of text tests.

    Attributes:
        doubtful: for each test, whether `numbers` may leave it open.
        vectors: of what is known of values: for each test, whether it passes, then for each, whether it may.
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
        self.generation = 0
        self._forget()

    def _forget(self) -> None:
        self.generation += 1
        self.vectors = Vectors(2 * self._count)
        self._unions = Unions(self.vectors)
        self._of_key = {fold: np.full(found.keys, _UNKNOWN, np.uint32) for fold, found in self._literals.items()}
        of_all = [self._always, (self._count + test for test in self._unkeyed)]
        self._usual, self._of_empty = self._vector(chain(*of_all)), self._vector(self._empty)

    def _vector(self, columns: Iterable[int]) -> int:
        vector = np.zeros((1, 2 * self._count), np.bool_)
        vector[0, list(columns)] = True
        return int(self.vectors.number(vector)[0])

    def trim(self) -> None:
        """Forget what is known of values if that is too much."""
        if len(self.vectors) * 2 * self._count > _MAX_BITS:
            self._forget()

    def bits(self, values: Sequence[Text]) -> Bits:
        """Return which value passes which test: one row a value, one column a test.

        A tuple passes if any of its elements does, or what is computed of it; None passes nothing.
        """
        flat = [v for value in values for v in _strings(value)]
        self.trim()
        found, maybe = np.split(self.known(self.numbers(flat)), 2, axis=1)
        maybe[:, self._whole] = False
        for test in np.flatnonzero(maybe.any(axis=0)).tolist():
            rows = np.flatnonzero(maybe[:, test])
            found[rows, test] = self._look(test, [flat[row] for row in rows.tolist()])
        out = _gathered(values, found)
        for test in self._whole:
            out[:, test] = self.decide(test, values)
        return out

    def known(self, numbers: Array) -> Bits:
        """Return for each test whether it surely passes, then for each whether it may; a row a number.

        Numbers mean the same until `generation` changes, which only `trim` does.
        """
        found = self.vectors.bits[numbers]
        found[:, self._count :] &= ~found[:, : self._count]
        return found

    def numbers(self, values: Sequence[bytes]) -> npt.NDArray[np.uint32]:
        """Return the number of what is known of each value without a closer look: see `known`, and `decide`."""
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        out = [np.zeros(0, np.uint32)]
        begin = 0
        while begin < len(values):
            before = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, before + _BATCH, "right")), begin + 1)
            out.append(self._numbers(values[begin:end]))
            begin = end
        return np.concatenate(out)

    def decide(self, test: int, values: Sequence[Text]) -> npt.NDArray[np.bool_]:
        """Return which of the values that `numbers` left open pass a test."""
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

    def _numbers(self, values: Sequence[bytes]) -> npt.NDArray[np.uint32]:
        which, numbers = zip(*self._found(values), strict=True)
        order = np.argsort(np.concatenate(which), kind="stable")
        counts = np.bincount(np.concatenate(which), minlength=len(values))
        return self._unions.of(np.concatenate(numbers)[order], counts)

    def _found(self, values: Sequence[bytes]) -> Iterator[tuple[Array, Array]]:
        """Yield pairs (number of a value, number of a vector that it has)."""
        yield np.arange(len(values)), np.full(len(values), self._usual, np.uint32)
        if self._empty:
            empty = np.array([i for i, value in enumerate(values) if not value], np.int64)
            yield empty, np.full(len(empty), self._of_empty, np.uint32)
        for fold, literals in self._literals.items():
            which, keys = literals.search(values)
            yield which, self._of_keys(fold, keys)
        if self._addresses or self._blocks:
            pairs = [(row, self._vector([test])) for row, value in enumerate(values) for test in self._blocks_of(value)]
            found = np.array(pairs, np.int64).reshape(-1, 2)
            yield found[:, 0], found[:, 1]

    def _of_keys(self, fold: bool, keys: Array) -> npt.NDArray[np.uint32]:
        """Return the vectors of what literals prove that were found."""
        table = self._of_key[fold]
        found = table[keys]
        new = found == _UNKNOWN
        if new.any():
            for key in np.unique(keys[new]).tolist():
                table[key] = self._vector(self._literals[fold].columns(key))
            found = table[keys]
        return found

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
            self._literals[fold].add(literal[-MAX_BYTES:], "part" if cut else stands, self._count + number)


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
