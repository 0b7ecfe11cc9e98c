"""The typed tree: a syntax tree whose every node has a kind, between the syntax and the intermediate form.

It is three-valued throughout: a null operand makes a null result, except for `is_null`, `and` and `or`. `!=` and
`not in` are a `not` above, `:` is a `like` without case. Passes over it are folds, never recursive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeVar

from kestrel_lab.schema.types import EqlType, Field

#: A value that an expression has: strings and addresses are bytes, dates are int.
Scalar: TypeAlias = bytes | int | float | bool | None

_N = TypeVar("_N")
_R = TypeVar("_R")


class Kind(StrEnum):
    """What an expression is. A `NUMBER` or `UNUMBER` may be an integer or a double at run time, `NULL` is ever null."""

    TEXT = "string"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    NUMBER = "number"
    UNUMBER = "unsigned number"
    BOOL = "bool"
    IP = "ip"
    DATE = "date"
    NULL = "null"


NUMBERS = (Kind.INT, Kind.UINT, Kind.FLOAT, Kind.NUMBER, Kind.UNUMBER)
_OF_TYPE = {EqlType.STRING: Kind.TEXT}
#: of values of these kinds every field occurrence comes as codes into a dictionary
CODED = (Kind.TEXT, Kind.IP)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An expression.

    Attributes:
        pos: offset in the text of what it was written as.
        op: `value`, `field`, or what is done to `args`: an operator or a function by its canonical name.
        fold: ASCII case is ignored.
        value: of a `value`.
        field: of a `field`.
    """

    pos: int
    op: str
    kind: Kind
    args: tuple[Node, ...] = ()
    fold: bool = False
    value: Scalar = None
    field: Field | None = None


def fold_tree(root: _N, parts: Callable[[_N], tuple[_N, ...]], combine: Callable[[_N, tuple[_R, ...]], _R]) -> _R:
    """Return what `combine` makes of the root and the results of its parts, parts first, without recursion."""
    work: list[tuple[_N, int]] = [(root, -1)]
    results: list[_R] = []
    while work:
        node, count = work.pop()
        if count < 0:
            found = parts(node)
            if found:
                work.append((node, len(found)))
                work.extend((part, -1) for part in reversed(found))
                continue
            count = 0
        at = len(results) - count
        args = tuple(results[at:])
        del results[at:]
        results.append(combine(node, args))
    return results.pop()


def args_of(node: Node) -> tuple[Node, ...]:
    """Return the parts of a node, for `fold_tree`."""
    return node.args


def kind_of(field: Field) -> Kind:
    """Return the kind of a field's values, or of its elements."""
    return _OF_TYPE.get(field.type) or Kind(field.type.value)


def constant(pos: int, value: Scalar) -> Node:
    """Return a constant; an integer beyond the signed ones is unsigned."""
    if value is None:
        kind = Kind.NULL
    elif isinstance(value, bool):
        kind = Kind.BOOL
    elif isinstance(value, int):
        kind = Kind.UINT if value >= 1 << 63 else Kind.INT
    else:
        kind = Kind.FLOAT if isinstance(value, float) else Kind.TEXT
    return Node(pos, "value", kind, value=value)


def is_value(node: Node) -> bool:
    """Return whether a node is a constant."""
    return node.op == "value"


def negated(node: Node) -> Node:
    """Return `not node`."""
    return Node(node.pos, "not", Kind.BOOL, (node,))
