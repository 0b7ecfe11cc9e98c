"""Vectors of bits by number: equal vectors get one number, in the order in which they were first seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array

Bits = npt.NDArray[np.bool_]


class Vectors:
    """Distinct bit vectors of one width. Number 0 is the vector without any bit."""

    def __init__(self, width: int) -> None:
        self._bits = np.zeros((64, width), np.bool_)
        self._numbers: dict[bytes, int] = {}
        self._count = 1
        self._packed = np.zeros((64, -(-width // 64)), np.uint64)  # the same bits, as far as `united` needed them
        self._packed_count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def bits(self) -> Bits:
        """The vectors so far, a row each."""
        return self._bits[: self._count]

    def united(self, numbers: Array, first: Array) -> Bits:
        """Return what any vector of a run has, a row a run.

        Args:
            numbers: of vectors, run after run; first: where each run begins, none of them empty.
        """
        if self._packed_count != self._count:
            self._pack()
        words = np.bitwise_or.reduceat(self._packed[numbers], first, axis=0)
        return np.unpackbits(words.view(np.uint8), axis=1, count=self._bits.shape[1]).view(np.bool_)

    def _pack(self) -> None:
        """Bring the packed copy of the vectors up to date: 64 bits are joined at once."""
        if len(self._packed) < len(self._bits):
            grown = np.zeros((len(self._bits), self._packed.shape[1]), np.uint64)
            grown[: self._packed_count] = self._packed[: self._packed_count]
            self._packed = grown
        new = slice(self._packed_count, self._count)
        packed = np.packbits(self._bits[new], axis=1)
        self._packed.view(np.uint8)[new, : packed.shape[1]] = packed
        self._packed_count = self._count

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
