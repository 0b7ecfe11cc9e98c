"""Literal parts of patterns, all looked for in many values in one pass of an Aho-Corasick automaton.

The values are laid end to end. What the automaton finds is turned into arrays, and what a place proves (a literal
anywhere, at the begin, at the end, the whole value) is decided for all places together. Bytes go through it as Latin-1
text, so that every byte is one character there, UTF-8 or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple

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
        self._bytes: dict[Place, list[tuple[int, int]]] = {place: [] for place in PLACES}
        self._automaton: ahocorasick.Automaton | None = None
        self._sizes: Array = np.zeros(0, np.int64)
        self._proofs: dict[Place, _Proof] = {}
        self._proofs_of_bytes: dict[Place, _Proof] = {}
        self._is_built = False

    def add(self, literal: bytes, place: Place, test: int) -> None:
        """Say that a literal (1 to `MAX_BYTES` bytes) at a place is found for a test, or a check of a pattern."""
        if len(literal) == 1:
            self._bytes[place].append((literal[0], test))
        else:
            self._tests[place].append((self._numbers.setdefault(literal, len(self._numbers)), test))
        self._is_built = False

    def search(self, values: Sequence[bytes]) -> Iterator[tuple[Place, Array, Array]]:
        """Yield kinds of places, each with pairs (number of the value, test), some of them more than once."""
        if not self._is_built:
            self._build()
        if not values or not (self._proofs or self._proofs_of_bytes):
            return
        whole = b"".join(values)
        text = whole.lower() if self._fold else whole
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths)
        if self._automaton is not None:
            yield from self._places(self._found(text), stops - lengths, stops)
        yield from self._places_of_bytes(np.frombuffer(text, np.uint8), stops - lengths, stops)

    def _found(self, text: bytes) -> Array:
        """Return the last byte of each literal found, and its number; a row each."""
        assert self._automaton is not None
        flat = np.fromiter(chain.from_iterable(self._automaton.iter(text.decode("latin-1"))), np.int64)
        return flat.reshape(-1, 2)

    def _places(self, found: Array, starts: Array, stops: Array) -> Iterator[tuple[Place, Array, Array]]:
        if not len(found):
            return
        ends, literals = found[:, 0] + 1, found[:, 1]
        which = np.searchsorted(stops, ends, "left")  # the value that holds the last byte
        begins = ends - self._sizes[literals]
        inside, first, last = begins >= starts[which], begins == starts[which], ends == stops[which]
        masks = {"anywhere": inside, "begin": first, "end": inside & last, "whole": first & last, "part": inside,
                 "head": first, "tail": inside & last}  # fmt: skip
        for place, proof in self._proofs.items():
            yield place, *_spread(which[masks[place]], literals[masks[place]], proof)

    def _places_of_bytes(self, data: Array, starts: Array, stops: Array) -> Iterator[tuple[Place, Array, Array]]:
        """Do the same for literals of one byte: every value is full of them, so arrays find them faster."""
        for place, proof in self._proofs_of_bytes.items():
            if place in ("anywhere", "part"):
                at = np.flatnonzero(np.diff(proof.offsets).astype(np.bool_)[data])
                which = np.searchsorted(stops, at, "right")
            else:
                which = np.flatnonzero(stops - starts == 1 if place == "whole" else stops > starts)
                at = stops[which] - 1 if place in ("end", "tail") else starts[which]
            yield place, *_spread(which, data[at], proof)

    def _build(self) -> None:
        self._is_built = True
        self._proofs_of_bytes = {place: _by_literal(tests, 256) for place, tests in self._bytes.items() if tests}
        if not self._numbers:
            return
        automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        for literal, number in self._numbers.items():
            automaton.add_word(literal.decode("latin-1"), number)
        automaton.make_automaton()
        self._automaton = automaton
        self._sizes = np.fromiter(map(len, self._numbers), np.int64, len(self._numbers))
        self._proofs = {place: _by_literal(tests, len(self._numbers)) for place, tests in self._tests.items() if tests}


class _Proof(NamedTuple):
    """The tests of literals: those of literal n are `tests[offsets[n] : offsets[n + 1]]`."""

    offsets: Array
    tests: Array


def _by_literal(tests: Sequence[tuple[int, int]], literals: int) -> _Proof:
    pairs = np.array(sorted(set(tests)), np.int64)
    counts = np.bincount(pairs[:, 0], minlength=literals)
    return _Proof(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), pairs[:, 1].copy())


def _spread(which: Array, literals: Array, proof: _Proof) -> tuple[Array, Array]:
    """Return each found value once for each test that its literal is looked for."""
    counts = proof.offsets[literals.astype(np.int64) + 1] - proof.offsets[literals]
    return np.repeat(which, counts), proof.tests[spread(proof.offsets[literals], counts)]


def spread(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers `starts[i]` to `starts[i] + counts[i]`, exclusive, of every i, one after the other."""
    shift: npt.NDArray[np.int64] = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return shift + np.arange(len(shift))
