"""Exact integer arithmetic and comparison over columns: what has no result in 64 bits is marked, never wrapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array

Mask = npt.NDArray[np.bool_]
Result = tuple[Array, Mask]  #: values, and where they are right

_MIN = np.int64(-(1 << 63))


def signed(op: str, a: Array, b: Array) -> Result:
    """Return `a op b` of two int64 columns; a result beyond int64 is none, nor is division by zero."""
    return _SIGNED[op](a, b)


def unsigned(op: str, a: Array, b: Array) -> Result:
    """Return `a op b` of two columns of int64 or uint64 as uint64; a result that is negative or beyond it is none."""
    return _UNSIGNED[op](_parts(a), _parts(b))


def negate(a: Array) -> Result:
    """Return `-a` in the column's own type."""
    if a.dtype == np.uint64:
        return np.zeros_like(a), a == 0
    return np.negative(a), a != _MIN


def compare(a: Array, b: Array) -> tuple[Mask, Mask, Mask]:
    """Return where `a` is less than, equal to and greater than `b`, for columns of any type of number.

    Nothing is less, equal or greater than a NaN.
    """
    if a.dtype == b.dtype:
        return a < b, a == b, a > b
    if a.dtype == np.float64:
        less, equal, greater = compare(b, a)
        return greater, equal, less
    if b.dtype == np.float64:
        return _with_double(a, b)
    if a.dtype == np.uint64:
        less, equal, greater = compare(b, a)
        return greater, equal, less
    below = a < 0
    plain = a.astype(np.uint64)
    return below | (plain < b), ~below & (plain == b), ~below & (plain > b)


def _with_double(a: Array, b: Array) -> tuple[Mask, Mask, Mask]:
    low, high = (0.0, 2.0**64) if a.dtype == np.uint64 else (-(2.0**63), 2.0**63)
    whole = np.floor(b)
    under, over, inside = b < low, b >= high, (b >= low) & (b < high)
    near = np.where(inside, whole, 0.0).astype(a.dtype)
    less = over | (inside & ((a < near) | ((a == near) & (b > whole))))
    equal = inside & (a == near) & (b == whole)
    greater = under | (inside & (a > near))
    return less, equal, greater


def _signed_add(a: Array, b: Array) -> Result:
    out = a + b
    return out, ((a ^ out) & (b ^ out)) >= 0


def _signed_subtract(a: Array, b: Array) -> Result:
    out = a - b
    return out, ((a ^ b) & (a ^ out)) >= 0


def _signed_multiply(a: Array, b: Array) -> Result:
    out = a * b
    divisor = np.where((a == 0) | (a == -1), np.int64(1), a)
    right = np.where(a == 0, True, np.where(a == -1, b != _MIN, out // divisor == b))
    return out, right


def _signed_divide(a: Array, b: Array) -> Result:
    bad = (b == 0) | ((a == _MIN) & (b == -1))
    divisor = np.where(bad, np.int64(1), b)
    floor = a // divisor
    return floor + ((floor * divisor != a) & ((a < 0) != (divisor < 0))), ~bad


def _signed_modulo(a: Array, b: Array) -> Result:
    return np.fmod(a, np.where((b == 0) | (b == -1), np.int64(1), b)), b != 0


#: Where a number is negative, and its magnitude.
_Parts = tuple[Mask, Array]


def _parts(a: Array) -> _Parts:
    if a.dtype == np.uint64:
        return np.zeros(a.shape, np.bool_), a
    plain = a.astype(np.uint64)
    return a < 0, np.where(a < 0, ~plain + np.uint64(1), plain)


def _unsigned_add(a: _Parts, b: _Parts) -> Result:
    (a_negative, x), (b_negative, y) = a, b
    total = x + y
    larger, smaller = np.where(a_negative, y, x), np.where(a_negative, x, y)
    apart = a_negative != b_negative
    right = np.where(apart, larger >= smaller, ~a_negative & (total >= x))
    return np.where(apart, larger - smaller, total), right


def _unsigned_subtract(a: _Parts, b: _Parts) -> Result:
    return _unsigned_add(a, (~b[0] & (b[1] != 0), b[1]))


def _unsigned_multiply(a: _Parts, b: _Parts) -> Result:
    (a_negative, x), (b_negative, y) = a, b
    out = x * y
    fits = (x == 0) | (out // np.where(x == 0, np.uint64(1), x) == y)
    return out, fits & ((a_negative == b_negative) | (x == 0) | (y == 0))


def _unsigned_divide(a: _Parts, b: _Parts) -> Result:
    (a_negative, x), (b_negative, y) = a, b
    out = x // np.where(y == 0, np.uint64(1), y)
    return out, (y != 0) & ((a_negative == b_negative) | (out == 0))


def _unsigned_modulo(a: _Parts, b: _Parts) -> Result:
    (a_negative, x), (_, y) = a, b
    out = x % np.where(y == 0, np.uint64(1), y)
    return out, (y != 0) & (~a_negative | (out == 0))


_SIGNED: Mapping[str, Callable[[Array, Array], Result]] = {
    "add": _signed_add,
    "subtract": _signed_subtract,
    "multiply": _signed_multiply,
    "divide": _signed_divide,
    "modulo": _signed_modulo,
}
_UNSIGNED: Mapping[str, Callable[[_Parts, _Parts], Result]] = {
    "add": _unsigned_add,
    "subtract": _unsigned_subtract,
    "multiply": _unsigned_multiply,
    "divide": _unsigned_divide,
    "modulo": _unsigned_modulo,
}
