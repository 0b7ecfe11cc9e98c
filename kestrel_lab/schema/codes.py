"""Arrays of dictionary codes: which there are, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[Any]

_T = TypeVar("_T")
_SPARSE = 6  # log2 of how many codes there may be for each one given, if a table of them is to be worth it
_SHORT = 32  # codes up to which a loop is quicker than arrays
_NEAR = 16  # codes that are not farther apart than this are looked up together


def rising(codes: Codes) -> npt.NDArray[np.int64]:
    """Return the distinct codes (none negative), rising."""
    size = int(codes.max()) + 1 if len(codes) else 0
    if size > len(codes) << _SPARSE:
        return np.unique(codes).astype(np.int64)
    seen = np.zeros(size, np.bool_)  # without sorting
    seen[codes] = True
    return np.flatnonzero(seen)


def distinct(codes: Codes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct codes (none negative), rising, and for each code its place among them."""
    size = int(codes.max()) + 1 if len(codes) else 0
    if size > len(codes) << _SPARSE:
        found, places = np.unique(codes, return_inverse=True)
        return found.astype(np.int64), places
    table = np.zeros(size, np.int64)
    table[codes] = 1
    found = np.flatnonzero(table)
    table[found] = np.arange(len(found))
    return found, table[codes]


def in_runs(get: Callable[[int, int], Sequence[_T]], codes: Sequence[int]) -> list[_T]:
    """Return what rising codes stand for, asked for with few calls of `get(first, stop)`."""
    if not codes:
        return []
    out: list[_T] = []
    if len(codes) < _SHORT:
        breaks = [place for place in range(1, len(codes)) if codes[place] - codes[place - 1] > _NEAR]
    else:
        breaks = (np.flatnonzero(np.diff(np.array(codes, np.int64)) > _NEAR) + 1).tolist()
    for begin, end in pairwise([0, *breaks, len(codes)]):
        first = codes[begin]
        values = get(first, codes[end - 1] + 1)
        out += values if len(values) == end - begin else [values[c - first] for c in codes[begin:end]]
    return out
