"""Computed tests of numbers over whole columns: the same answers as `eql.compute`, which defines them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kestrel_lab.engine.scanning import integers
from kestrel_lab.engine.scanning.integers import Mask
from kestrel_lab.eql.arithmetic import OPERATORS
from kestrel_lab.eql.leaftests import ScalarTest, Step
from kestrel_lab.eql.typed import Kind, constant
from kestrel_lab.schema.access import Numbers
from kestrel_lab.schema.epoch import Array

#: Values, and where they are not null. A constant is one row.
_Column = tuple[Array, Mask]
_DTYPES = {
    Kind.INT: "i8", Kind.DATE: "i8", Kind.UINT: "u8", Kind.FLOAT: "f8", Kind.BOOL: "?", Kind.NULL: "?",
}  # fmt: skip
_ARITHMETIC = frozenset(OPERATORS.values())
_OPS = frozenset({"value", "field", "same", "not", "and", "or", "is_null", "in", "negate", "==", "<", "<=", ">", ">="})


def is_vectorised(test: ScalarTest) -> bool:
    """Return whether `evaluate` can run a test: it is about numbers and booleans alone, none of them in arrays."""
    return all(s.op in _OPS | _ARITHMETIC and s.kind in _DTYPES and not s.many for s in test.steps)


def evaluate(test: ScalarTest, values: Mapping[str, Numbers], rows: int) -> Mask:
    """Return in which of the rows a vectorised test is true, given the columns of its fields."""
    found: list[_Column] = []
    with np.errstate(all="ignore"):
        for step in test.steps:
            found.append(
                _field(values[step.field]) if step.op == "field" else _step(step, [found[a] for a in step.args])
            )
    value, there = found[-1]
    return np.broadcast_to(value & there, (rows,))


def _field(column: Numbers) -> _Column:
    return column.values, np.ones(len(column.values), np.bool_) if column.valid is None else column.valid


def _step(step: Step, args: Sequence[_Column]) -> _Column:
    if step.op == "value":
        single = np.array([0 if step.value is None else step.value], _DTYPES[step.kind])
        return single, np.array([step.value is not None])
    if step.op in ("and", "or"):
        return _junction(step.op, args)
    value, there = args[0]
    match step.op:
        case "same":
            return value, there
        case "is_null":
            return ~there, np.ones_like(there)
        case "not":
            return ~value, there
        case "in":
            return _equals_any(value, step), there
        case "negate":
            return _negate(value, there)
    other, also = args[1]
    if step.op in _ARITHMETIC:
        return _arithmetic(step, value, other, there & also)
    return _ORDER[step.op](*integers.compare(value, other)), there & also


def _junction(op: str, args: Sequence[_Column]) -> _Column:
    decided = np.bool_(op == "or")
    some: Mask = np.zeros(1, np.bool_)
    every: Mask = np.ones(1, np.bool_)
    for value, there in args:
        some = some | (there & (value == decided))
        every = every & there & (value != decided)
    return np.where(some, decided, ~decided), some | every


def _equals_any(value: Array, step: Step) -> Mask:
    out = np.zeros(value.shape, np.bool_)
    for item in step.value if isinstance(step.value, tuple) else ():
        out |= integers.compare(value, np.array([item], _DTYPES[constant(0, item).kind]))[1]
    return out


def _negate(value: Array, there: Mask) -> _Column:
    if value.dtype == np.float64:
        return -value, there
    out, right = integers.negate(value)
    return out, there & right


def _arithmetic(step: Step, left: Array, right: Array, there: Mask) -> _Column:
    if step.kind is Kind.FLOAT:
        return _DOUBLES[step.op](left.astype(np.float64), right.astype(np.float64)), there
    exact = integers.unsigned if step.kind is Kind.UINT else integers.signed
    out, fits = exact(step.op, left, right)
    return out, there & fits


_ORDER: Mapping[str, Callable[[Mask, Mask, Mask], Mask]] = {
    "==": lambda less, equal, greater: equal,
    "<": lambda less, equal, greater: less,
    "<=": lambda less, equal, greater: less | equal,
    ">": lambda less, equal, greater: greater,
    ">=": lambda less, equal, greater: greater | equal,
}
_DOUBLES: Mapping[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "modulo": np.fmod,
}
