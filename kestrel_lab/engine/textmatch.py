"""Many text tests over many distinct values of one field.

All wildcard patterns share one Aho-Corasick pass: each is found by its longest literal part, ASCII-folded, and what
the pass cannot prove is checked afterwards. Equality and addresses are dictionary look-ups. Bytes go through the
automaton as Latin-1 text, so that every byte is one character there, UTF-8 or not. RE2 serves `regex` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import ahocorasick
import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.glob import Check, checker, key_of, literal_checker
from kestrel_lab.eql import re2match
from kestrel_lab.eql.compute import passes_value
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.texttest import block_of, canonical_address, number_of_address, passes

Text = bytes | tuple[bytes, ...] | None

_MEMO = 65_536  # elements of arrays that are remembered between calls


class _Entry(NamedTuple):
    """What to do where a literal part of `size` bytes was found; numbers are those of tests.

    `anywhere`, `prefix`, `suffix` are proved by the place alone; `checked` are patterns that need a look.
    """

    size: int
    anywhere: list[int]
    prefix: list[int]
    suffix: list[int]
    checked: list[tuple[int, bool, Check]]


class Matcher:
    """Evaluates a fixed list of text tests, all of them on every value it is given."""

    def __init__(self, tests: Sequence[TextTest]) -> None:
        self._count = len(tests)
        self._exact: dict[bytes, list[int]] = {}
        self._folded: dict[bytes, list[int]] = {}
        self._addresses: dict[bytes, list[int]] = {}
        self._blocks: dict[int, dict[int, list[int]]] = {}  # by bits below the prefix, then by prefix
        self._regexes: list[tuple[int, Check]] = []
        self._others: list[tuple[int, TextTest]] = []
        self._computed: list[tuple[int, TextTest]] = []
        self._always: list[int] = []
        self._unkeyed: list[tuple[int, bool, Check]] = []
        entries: dict[bytes, _Entry] = {}
        for number, test in enumerate(tests):
            self._add(number, test, entries)
        self._automaton = _automaton(entries)
        self._memo: dict[bytes, tuple[int, ...]] = {}

    def bits(self, values: Sequence[Text]) -> npt.NDArray[np.bool_]:
        """Return which value passes which test: one row a value, one column a test.

        A tuple passes if any of its elements does, or what is computed of it; None passes nothing.
        """
        rows: list[int] = []
        columns: list[int] = []
        for row, value in enumerate(values):
            if isinstance(value, tuple):
                found = self._passed_any(v for v in value if isinstance(v, bytes))  # numbers are only computed with
            else:
                found = self._passed(value)
            columns += found
            rows += [row] * len(found)
        out = np.zeros((len(values), self._count), dtype=np.bool_)
        out[rows, columns] = True
        for number, test in self._computed:
            out[:, number] = [passes_value(test, value) for value in values]
        return out

    def _add(self, number: int, test: TextTest, entries: dict[bytes, _Entry]) -> None:
        if test.op == "equal":
            table = self._folded if test.fold else self._exact
            for pattern in test.patterns:
                table.setdefault(pattern, []).append(number)
        elif test.op == "address":
            for pattern in test.patterns:
                self._addresses.setdefault(pattern, []).append(number)
        elif test.op == "cidr":
            for shift, head in map(block_of, test.patterns):
                self._blocks.setdefault(shift, {}).setdefault(head, []).append(number)
        elif test.op == "like":
            for pattern in test.patterns:
                self._add_pattern(number, pattern, test.fold, entries)
        elif test.op in ("prefix", "suffix", "contains"):
            for pattern in test.patterns:
                self._add_literal(number, test.op, pattern, test.fold, entries)
        elif test.op == "regex":
            self._regexes.append((number, re2match.matcher(test.patterns)))
        elif test.op == "computed":
            self._computed.append((number, test))
        else:
            self._others.append((number, test))

    def _add_pattern(self, number: int, pattern: bytes, fold: bool, entries: dict[bytes, _Entry]) -> None:
        key = key_of(pattern).lower()
        if not pattern.strip(b"*"):
            (self._always if pattern else self._exact.setdefault(b"", [])).append(number)
            return
        if not key:
            self._unkeyed.append((number, fold, checker(pattern)))
            return
        entry = entries.setdefault(key, _Entry(len(key), [], [], [], []))
        body = pattern.strip(b"*")
        if not fold or body != key:
            entry.checked.append((number, fold, checker(pattern)))
        elif pattern.startswith(b"*"):
            (entry.anywhere if pattern.endswith(b"*") else entry.suffix).append(number)
        elif pattern.endswith(b"*"):
            entry.prefix.append(number)
        else:
            self._folded.setdefault(pattern, []).append(number)

    def _add_literal(self, number: int, op: TextOp, literal: bytes, fold: bool, entries: dict[bytes, _Entry]) -> None:
        """Add a test for a part of the value in which nothing is a wildcard."""
        key = literal.lower()
        if not key:
            self._always.append(number)
            return
        entry = entries.setdefault(key, _Entry(len(key), [], [], [], []))
        if fold:
            places = {"prefix": entry.prefix, "suffix": entry.suffix, "contains": entry.anywhere}
            places[op].append(number)
        else:
            entry.checked.append((number, False, literal_checker(op, literal)))

    def _passed_any(self, values: Iterable[bytes]) -> set[int]:
        out: set[int] = set()
        for value in values:
            found = self._memo.get(value)
            if found is None:
                if len(self._memo) >= _MEMO:
                    self._memo.clear()
                found = self._memo[value] = tuple(self._passed(value))
            out.update(found)
        return out

    def _passed(self, value: bytes | None) -> set[int]:
        """Return the numbers of the tests that one string passes."""
        if value is None:
            return set()
        lower = value.lower()
        out = set(self._always)
        out.update(self._exact.get(value, ()), self._folded.get(lower, ()))
        self._search(value, lower, out)
        for number, fold, check in self._unkeyed:
            if check(lower if fold else value):
                out.add(number)
        if self._addresses:
            out.update(self._addresses.get(canonical_address(value) or b"", ()))
        if self._blocks:
            self._find_blocks(value, out)
        out.update(number for number, check in self._regexes if check(value))
        out.update(number for number, test in self._others if passes(test, value))
        return out

    def _find_blocks(self, value: bytes, out: set[int]) -> None:
        address = number_of_address(value)
        if address is not None:
            for shift, heads in self._blocks.items():
                out.update(heads.get(address >> shift, ()))

    def _search(self, value: bytes, lower: bytes, out: set[int]) -> None:
        if self._automaton is None:
            return
        last = len(value) - 1
        seen: set[int] = set()
        for end, (size, anywhere, prefix, suffix, checked) in self._automaton.iter(lower.decode("latin-1")):
            if anywhere:
                out.update(anywhere)
            if prefix and end + 1 == size:
                out.update(prefix)
            if suffix and end == last:
                out.update(suffix)
            if checked and id(checked) not in seen:
                seen.add(id(checked))
                for number, fold, check in checked:
                    if number not in out and check(lower if fold else value):
                        out.add(number)


def _automaton(entries: dict[bytes, _Entry]) -> ahocorasick.Automaton | None:
    if not entries:
        return None
    out = ahocorasick.Automaton()
    for key, entry in entries.items():
        out.add_word(key.decode("latin-1"), entry)
    out.make_automaton()
    return out
