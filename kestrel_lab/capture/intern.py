"""Equal things found in whole batches: exact grouping by several columns, and masking of stale bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Index = npt.NDArray[np.intp]

_RANDOM = np.random.default_rng(0x6B65737472656C)
_FACTORS: Words = _RANDOM.integers(1, 2**63, 8192, dtype=np.uint64) | np.uint64(1)


def group(*columns: npt.NDArray[Any]) -> tuple[Index, Index]:
    """Group rows that are equal in every column.

    A hash only speeds it up: equality is checked, and where two different rows hash alike, the rows are compared.

    Args:
        columns: integer arrays of the same number of rows, one- or two-dimensional.

    Returns:
        (first, inverse): a row number of each distinct row, and for each row the position of its like in `first`.
    """
    rows = len(columns[0])
    if rows == 0:
        empty = np.empty(0, np.intp)
        return empty, empty
    if all((column == column[0]).all() for column in columns):
        return np.zeros(1, np.intp), np.zeros(rows, np.intp)
    _, first, inverse = np.unique(_hash(columns), return_index=True, return_inverse=True)
    if all(np.array_equal(column[first][inverse], column) for column in columns):
        return first, inverse
    return _group_slowly(columns)


def _hash(columns: Sequence[npt.NDArray[Any]]) -> Words:
    total: Words = np.zeros(len(columns[0]), np.uint64)
    at = 0
    for column in columns:
        words = column.reshape(len(column), -1)
        for i in range(words.shape[1]):
            total += words[:, i].astype(np.uint64) * _FACTORS[at % len(_FACTORS)]
            at += 1
    total ^= total >> np.uint64(29)
    return total


def _group_slowly(columns: Sequence[npt.NDArray[Any]]) -> tuple[Index, Index]:
    wide = np.concatenate([c.reshape(len(c), -1).astype(np.uint64) for c in columns], axis=1)
    _, first, inverse = np.unique(wide, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _mask_table(size: int) -> Words:
    lengths = np.arange(size + 1)[:, None]
    return np.where(np.arange(size) < lengths, 0xFF, 0).astype("u1").view(np.uint64)


_MASKS = _mask_table(256)


def masked(words: Words, lengths: npt.NDArray[Any]) -> Words:
    """Return text areas with every byte past each row's length set to 0, cut to the longest.

    Args:
        words: one row of 64-bit words a record.
        lengths: bytes that hold.
    """
    used = max(-(-int(lengths.max(initial=0)) // 8), 1)
    if used <= 32:
        return words[:, :used] & _MASKS[lengths, :used]
    mask = np.where(np.arange(used * 8) < np.asarray(lengths)[:, None], 0xFF, 0).astype("u1")
    return words[:, :used] & mask.view(np.uint64)
