"""Vectors of bits by number: equal vectors get one number, in the order in which they were first seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array

Bits = npt.NDArray[np.bool_]

_LONG = 64  # vectors of a list from which on it is worth to look for those that it has twice
_TABLED = 1_024  # vectors up to which the table of pairs is kept: 16 MiB


class Vectors:
    """Distinct bit vectors of one width. Number 0 is the vector without any bit."""

    def __init__(self, width: int) -> None:
        self._bits = np.zeros((64, width), np.bool_)
        self._numbers: dict[bytes, int] = {}
        self._count = 1

    def __len__(self) -> int:
        return self._count

    @property
    def bits(self) -> Bits:
        """The vectors so far, a row each."""
        return self._bits[: self._count]

    def number(self, vectors: Bits) -> npt.NDArray[np.uint32]:
        """Return the number of each row, giving new vectors the next ones."""
        out = np.zeros(len(vectors), np.uint32)
        some = np.flatnonzero(vectors.any(axis=1))
        if not len(some):
            return out
        packed = np.packbits(vectors[some], axis=1)
        first, inverse = _distinct(packed)
        numbers = np.zeros(len(first), np.uint32)
        for i in np.argsort(first).tolist():
            row = int(first[i])
            numbers[i] = self._number(packed[row].tobytes(), vectors[some[row]])
        out[some] = numbers[inverse]
        return out

    def _number(self, key: bytes, vector: Bits) -> int:
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self._count
            if self._count == len(self._bits):
                self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
            self._bits[self._count] = vector
            self._count += 1
        return found


class Unions:
    """What several vectors have together, by number: found once for each pair of vectors."""

    def __init__(self, vectors: Vectors) -> None:
        """Take the vectors; unions are numbered among them."""
        self._vectors = vectors
        self._table = np.full((0, 0), -1, np.int32)

    def of(self, numbers: Array, counts: Array) -> npt.NDArray[np.uint32]:
        """Return the union of each list of vectors; 0 for an empty one.

        Args:
            numbers: of vectors, list after list; counts: how many each list has.
        """
        some = np.flatnonzero(numbers)
        owners, numbers = np.repeat(np.arange(len(counts)), counts)[some], numbers[some].astype(np.int64)
        counts = np.bincount(owners, minlength=len(counts))
        if counts.max(initial=0) > _LONG:  # no list is longer than there are vectors
            pairs = np.unique(owners * len(self._vectors) + numbers)
            owners, numbers = np.divmod(pairs, len(self._vectors))
            counts = np.bincount(owners, minlength=len(counts))
        starts, order = np.cumsum(counts) - counts, np.argsort(-counts, kind="stable")
        longer = len(counts) - np.cumsum(np.bincount(counts))  # for each length, how many lists are longer
        out = np.zeros(len(counts), np.uint32)
        for place, size in enumerate(longer[:-1].tolist()):
            lists = order[:size]
            more = numbers[starts[lists] + place]
            out[lists] = self._pairs(out[lists].astype(np.int64), more) if place else more
        return out

    def _pairs(self, one: Array, other: Array) -> Array:
        count = len(self._vectors)
        if count > _TABLED:
            pairs, inverse = np.unique(one * count + other, return_inverse=True)
            return self._joined(pairs, count)[inverse]
        if count > len(self._table):
            grown = np.full((2 * count, 2 * count), -1, np.int32)
            grown[: len(self._table), : len(self._table)] = self._table
            self._table = grown
        found = self._table[one, other]
        new = found < 0
        if new.any():
            pairs = np.unique(one[new] * count + other[new])
            self._table[np.divmod(pairs, count)] = self._joined(pairs, count)
            found = self._table[one, other]
        return found

    def _joined(self, pairs: Array, count: int) -> npt.NDArray[np.uint32]:
        one, other = np.divmod(pairs, count)
        return self._vectors.number(self._vectors.bits[one] | self._vectors.bits[other])


def _distinct(packed: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
    """Return the first row of each distinct one, and for each row which of them it equals."""
    width = -packed.shape[1] % 8
    words = np.pad(packed, ((0, 0), (0, width))).view(np.uint64)
    odd = (np.arange(words.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    mixed = (words ^ (words >> np.uint64(29))) * odd
    _, first, inverse = np.unique(mixed.sum(axis=1, dtype=np.uint64), return_index=True, return_inverse=True)
    if (packed[first[inverse]] != packed).any():  # a sum is no proof
        whole = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return first, inverse
