"""Literal parts of patterns, all looked for in many values in one pass of an Aho-Corasick automaton.

The values are laid end to end. What the automaton finds is turned into arrays, and what a place proves (a literal
anywhere, at the begin, at the end, the whole value) is decided for all places together. Bytes go through it as Latin-1
text, so that every byte is one character there, UTF-8 or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import ahocorasick
import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array

#: Where in a value a literal must stand to prove a test; `part`, `head`, `tail`: it proves nothing, but the test needs
#: it anywhere, at the begin, at the end.
Place = Literal["anywhere", "begin", "end", "whole", "part", "head", "tail"]
PLACES: tuple[Place, ...] = ("anywhere", "begin", "end", "whole", "part", "head", "tail")
NEEDED: frozenset[Place] = frozenset({"part", "head", "tail"})

#: Longer literals are looked for by their last bytes: then no place in a value ends more than this many of them.
MAX_BYTES = 32


class Literals:
    """Literals and what each proves; `add` all of them, then `search`."""

    def __init__(self, *, fold: bool) -> None:
        """Take whether ASCII case is ignored; then literals must be lower-case."""
        self._fold = fold
        self._numbers: dict[bytes, int] = {}
        self._tests: dict[Place, list[tuple[int, int]]] = {place: [] for place in PLACES}
        self._automaton: ahocorasick.Automaton | None = None
        self._sizes: Array = np.zeros(0, np.int64)
        self._proofs: dict[Place, tuple[Array, Array]] = {}

    def add(self, literal: bytes, place: Place, test: int) -> None:
        """Say that a literal (1 to `MAX_BYTES` bytes) at a place is found for a test, or a check of a pattern."""
        self._tests[place].append((self._numbers.setdefault(literal, len(self._numbers)), test))
        self._automaton = None

    def search(self, values: Sequence[bytes]) -> dict[Place, tuple[Array, Array]]:
        """Return, by kind of place, pairs (number of the value, test), some of them more than once."""
        if not self._numbers or not values:
            return {}
        if self._automaton is None:
            self._build()
        found = self._found(values)
        if not len(found):
            return {}
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths)
        ends, literals = found[:, 0] + 1, found[:, 1]
        which = np.searchsorted(stops, ends, "left")  # the value that holds the last byte
        begins, starts = ends - self._sizes[literals], stops[which] - lengths[which]
        inside, first, last = begins >= starts, begins == starts, ends == stops[which]
        masks = {"anywhere": inside, "begin": first, "end": inside & last, "whole": first & last, "part": inside,
                 "head": first, "tail": inside & last}  # fmt: skip
        return {place: _spread(which[masks[place]], literals[masks[place]], *proof)
                for place, proof in self._proofs.items()}  # fmt: skip

    def _found(self, values: Sequence[bytes]) -> Array:
        assert self._automaton is not None
        whole = b"".join(values)
        text = (whole.lower() if self._fold else whole).decode("latin-1")
        flat = np.fromiter(chain.from_iterable(self._automaton.iter(text)), np.int64)
        return flat.reshape(-1, 2)

    def _build(self) -> None:
        automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        for literal, number in self._numbers.items():
            automaton.add_word(literal.decode("latin-1"), number)
        automaton.make_automaton()
        self._automaton = automaton
        self._sizes = np.fromiter(map(len, self._numbers), np.int64, len(self._numbers))
        self._proofs = {place: _by_literal(tests, len(self._numbers)) for place, tests in self._tests.items() if tests}


def _by_literal(tests: Sequence[tuple[int, int]], literals: int) -> tuple[Array, Array]:
    """Return (offsets by literal, one more than literals; tests)."""
    pairs = np.array(sorted(set(tests)), np.int64)
    counts = np.bincount(pairs[:, 0], minlength=literals)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), pairs[:, 1].copy()


def _spread(which: Array, literals: Array, offsets: Array, tests: Array) -> tuple[Array, Array]:
    """Return each found value once for each test that its literal is looked for."""
    counts = offsets[literals + 1] - offsets[literals]
    return np.repeat(which, counts), tests[spread(offsets[literals], counts)]


def spread(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers `starts[i]` to `starts[i] + counts[i]`, exclusive, of every i, one after the other."""
    shift: npt.NDArray[np.int64] = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return shift + np.arange(len(shift))
