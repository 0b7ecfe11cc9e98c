"""Comparing a number field with a constant, exactly: no rounding, whatever the types of the two."""

from __future__ import annotations

import math
from typing import Literal

from kestrel_lab.eql.ir import FALSE, Compare, Const, Expr, NumberOp, Present
from kestrel_lab.schema.types import EqlType

_RANGE = {EqlType.INT: (-(1 << 63), (1 << 63) - 1), EqlType.UINT: (0, (1 << 64) - 1)}
Outcome = Literal["never", "always"]


def compare(field: str, kind: EqlType, op: NumberOp, value: int | float) -> Expr:
    """Return the condition `field op value`: a comparison with a constant of the field's own type, or simpler."""
    if kind is EqlType.FLOAT:
        return _with_double(field, op, value)
    if isinstance(value, float):
        if op == "==" and not value.is_integer():
            return FALSE
        value = math.ceil(value) if op in ("<", ">=") else math.floor(value)
    low, high = _RANGE[kind]
    if low <= value <= high:
        return Compare(field, op, value)
    holds = op in ("<", "<=") if value > high else op in (">", ">=")
    return Present(field) if holds else FALSE


def _with_double(field: str, op: NumberOp, value: int | float) -> Expr:
    near = float(value)
    if near == value:
        return Compare(field, op, near)
    if op == "==":
        return FALSE
    if op in ("<", "<="):
        return Compare(field, "<" if near > value else "<=", near)
    return Compare(field, ">=" if near > value else ">", near)


def constants(op: str, left: object, right: object) -> Const:
    """Return what a comparison of two constants of one type says."""
    if op in ("==", "!="):
        return Const((left == right) == (op == "=="))
    a, b = (left.encode(), right.encode()) if isinstance(left, str) and isinstance(right, str) else (left, right)
    less, equal = a < b, a == b  # type: ignore[operator]
    return Const({"<": less, "<=": less or equal, ">": not (less or equal), ">=": not less}[op])
