"""Chance as a function of keys: what belongs to one thing is drawn from its key, wherever and in whatever order.

Only integers and IEEE basic arithmetic, so that another machine draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


class Dice:
    """SplitMix64 of a key, a seed and what is drawn."""

    def __init__(self, seed: int) -> None:
        self._seed = int(_scramble(np.array([(seed * _STEP + 1) & _MASK], np.uint64))[0])

    def draw(self, keys: Array, what: int) -> U64:
        """Return 64 random bits for each key; `what` tells draws for the same key apart."""
        offset = np.uint64((self._seed + what * _STEP) & _MASK)
        return _scramble(_scramble(keys.astype(np.uint64) + offset) ^ offset)


def _scramble(x: U64) -> U64:
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


def sixteen(bits: U64, part: int) -> Array:
    """Return 16 of the 64 bits: those of part 0 to 3."""
    return (bits >> np.uint64(16 * part)) & np.uint64(0xFFFF)


def below(bits: U64, limit: Array | int) -> I64:
    """Return a number from 0 to `limit` - 1 for each; `limit` is at least 1."""
    return (bits % np.asarray(limit).astype(np.uint64)).astype(np.int64)


def unit(bits: U64) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1, exclusive, for each."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Wheel:
    """A weighted choice among `len(weights)` things, to 1/65,536."""

    def __init__(self, weights: Sequence[float]) -> None:
        total, sum_, slots = sum(weights), 0.0, [0]
        for weight in weights:
            sum_ += weight
            slots.append(round(65_536 * sum_ / total))
        self._table = np.repeat(np.arange(len(weights), dtype=np.int32), np.diff(slots))

    def spin(self, bits: U64, part: int = 3) -> npt.NDArray[np.int32]:
        """Return the index chosen by part 0 to 3 of the bits."""
        return self._table[sixteen(bits, part)]


def zipf(count: int) -> Wheel:
    """Return a wheel of a power law: the n-th thing has the weight 1/n."""
    return Wheel([1 / rank for rank in range(1, count + 1)])


class Spread:
    """Whole numbers below 2**47 by quantiles: `points` are evenly spaced ones, between them it is linear."""

    def __init__(self, points: Sequence[int]) -> None:
        steps = 65_536 // (len(points) - 1)
        parts = [a + (b - a) * np.arange(steps, dtype=np.int64) // steps for a, b in pairwise(points)]
        rest = np.full(65_536 - steps * len(parts), points[-1], np.int64)
        self._table = np.concatenate([*parts, rest])

    def draw(self, bits: U64, part: int = 3) -> I64:
        """Return the number chosen by part 0 to 3 of the bits."""
        return self._table[sixteen(bits, part)]
