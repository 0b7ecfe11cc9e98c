"""Literal parts of patterns, all looked for in many values in one pass of an Aho-Corasick automaton.

The values are laid end to end. What the automaton finds is turned into arrays, and what a place proves (a literal
anywhere, at the begin, at the end, the whole value) is decided for all places together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt
from ahocorasick_rs import BytesAhoCorasick

from kestrel_lab.schema.epoch import Array

#: Where in a value a literal must stand to prove a test; `part`, `head`, `tail`: it proves nothing, but the test needs
#: it anywhere, at the begin, at the end.
Place = Literal["anywhere", "begin", "end", "whole", "part", "head", "tail"]

#: Longer literals are looked for by their last bytes: then no place in a value ends more than this many of them.
MAX_BYTES = 32


class Literals:
    """Literals and what each proves: columns of whoever asks. `add` all of them, then `search`."""

    def __init__(self, *, fold: bool) -> None:
        """Take whether ASCII case is ignored; then literals must be lower-case."""
        self._fold = fold
        self._numbers: dict[bytes, int] = {}
        self._columns: list[dict[Place, list[int]]] = []  # by number
        self._automaton: BytesAhoCorasick | None = None
        self._in_automaton: Array = np.zeros(0, np.int64)  # numbers of its literals
        self._sizes: Array = np.zeros(0, np.int64)
        self._of_byte: Array = np.zeros(256, np.int64)  # number of the literal of one byte
        self._bytes = np.zeros((2, 256), np.bool_)  # those to look for anywhere, and those to look for at the ends
        self._is_built = False

    @property
    def keys(self) -> int:
        """How many keys there are: numbers below it, as `search` gives them."""
        return 4 * len(self._numbers)

    def add(self, literal: bytes, place: Place, column: int) -> None:
        """Say that a literal (1 to `MAX_BYTES` bytes) at a place proves a column."""
        number = self._numbers.setdefault(literal, len(self._numbers))
        if number == len(self._columns):
            self._columns.append({})
        self._columns[number].setdefault(place, []).append(column)
        self._is_built = False

    def columns(self, key: int) -> list[int]:
        """Return the columns that a literal found proves, as it stands in its value."""
        first, last = bool(key & 2), bool(key & 1)
        stands = {"anywhere": True, "begin": first, "end": last, "whole": first and last, "part": True,
                  "head": first, "tail": last}  # fmt: skip
        return [column for place, of in self._columns[key >> 2].items() if stands[place] for column in of]

    def search(self, values: Sequence[bytes]) -> tuple[Array, Array]:
        """Return what is found: numbers of values, and keys for `columns`, some pairs more than once."""
        if not self._is_built:
            self._build()
        if not values or not self._numbers:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        whole = b"".join(values)
        text = whole.lower() if self._fold else whole
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths)
        starts = stops - lengths
        ends, literals = self._found(text, starts, stops)
        which = np.searchsorted(stops, ends, "left")  # the value that holds the last byte
        begins = ends - self._sizes[literals]
        inside = begins >= starts[which]
        keys = 4 * literals + 2 * (begins == starts[which]) + (ends == stops[which])
        return which[inside], keys[inside]

    def _found(self, text: bytes, starts: Array, stops: Array) -> tuple[Array, Array]:
        """Return where literals end (one more than the last byte), in or across values, and which."""
        at = self._bytes_found(np.frombuffer(text, np.uint8), starts, stops)
        literals = self._of_byte[np.frombuffer(text, np.uint8)[at]]
        if self._automaton is None:
            return at + 1, literals
        matches = self._automaton.find_matches_as_indexes(text, overlapping=True)
        found = np.fromiter(chain.from_iterable(matches), np.int64, 3 * len(matches)).reshape(-1, 3)
        ends, numbers = found[:, 2], self._in_automaton[found[:, 0]]
        return np.concatenate([ends, at + 1]), np.concatenate([numbers, literals])

    def _bytes_found(self, data: npt.NDArray[np.uint8], starts: Array, stops: Array) -> Array:
        """Return where literals of one byte are: every value is full of them, so arrays find them faster."""
        anywhere, at_ends = self._bytes
        marked = anywhere[data]
        some = stops > starts
        for ends in (starts[some], stops[some] - 1):
            marked[ends] |= at_ends[data[ends]]
        return np.flatnonzero(marked)

    def _build(self) -> None:
        self._is_built, self._automaton = True, None
        self._sizes = np.fromiter(map(len, self._numbers), np.int64, len(self._numbers))
        for literal, number in self._numbers.items():
            if len(literal) == 1:
                self._of_byte[literal[0]] = number
                self._bytes[:, literal[0]] = bool({"anywhere", "part"} & set(self._columns[number])), True
        longer = {literal: number for literal, number in self._numbers.items() if len(literal) > 1}
        if longer:
            self._in_automaton = np.fromiter(longer.values(), np.int64, len(longer))
            self._automaton = BytesAhoCorasick(longer)


def spread(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers `starts[i]` to `starts[i] + counts[i]`, exclusive, of every i, one after the other."""
    shift: npt.NDArray[np.int64] = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return shift + np.arange(len(shift))
