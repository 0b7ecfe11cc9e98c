"""Arithmetic as Java and Elasticsearch do it, but without exceptions: what would raise one is null.

Integers are 64 bits, signed, or unsigned as soon as one operand is; a result beyond its type is null, and so is
division or remainder of integers by zero. A double makes the result a double, by IEEE 754. Integer division truncates
towards zero; the remainder has the sign of the dividend.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from kestrel_lab.eql.typed import Kind

OPERATORS: Mapping[str, str] = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}

_RANGE = {
    Kind.INT: (-(1 << 63), (1 << 63) - 1),
    Kind.UINT: (0, (1 << 64) - 1),
    Kind.NUMBER: (-(1 << 63), (1 << 63) - 1),
    Kind.UNUMBER: (0, (1 << 64) - 1),
}


def result_kind(operands: tuple[Kind, ...]) -> Kind:
    """Return the kind of an operation on numbers of these kinds."""
    if Kind.FLOAT in operands:
        return Kind.FLOAT
    unsigned = Kind.UINT in operands or Kind.UNUMBER in operands
    if Kind.NUMBER in operands or Kind.UNUMBER in operands:
        return Kind.UNUMBER if unsigned else Kind.NUMBER
    return Kind.UINT if unsigned else Kind.INT


def calculate(op: str, kind: Kind, left: int | float, right: int | float) -> int | float | None:
    """Return `left op right`, null where it has no result.

    Args:
        op: one of the values of `OPERATORS`.
        kind: of the result.
    """
    if isinstance(left, float) or isinstance(right, float):
        return _DOUBLES[op](float(left), float(right))
    if right == 0 and op in ("divide", "modulo"):
        return None
    return _bounded(_INTEGERS[op](left, right), kind)


def negate(kind: Kind, value: int | float) -> int | float | None:
    """Return `-value`, null where it has no result."""
    return -value if isinstance(value, float) else _bounded(-value, kind)


def _bounded(value: int, kind: Kind) -> int | None:
    low, high = _RANGE[kind]
    return value if low <= value <= high else None


def _quotient(left: int, right: int) -> int:
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


def _remainder(left: int, right: int) -> int:
    found = abs(left) % abs(right)
    return -found if left < 0 else found


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _modulo(left: float, right: float) -> float:
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


_INTEGERS: Mapping[str, Callable[[int, int], int]] = {
    "add": int.__add__,
    "subtract": int.__sub__,
    "multiply": int.__mul__,
    "divide": _quotient,
    "modulo": _remainder,
}
_DOUBLES: Mapping[str, Callable[[float, float], float]] = {
    "add": float.__add__,
    "subtract": float.__sub__,
    "multiply": float.__mul__,
    "divide": _divide,
    "modulo": _modulo,
}
