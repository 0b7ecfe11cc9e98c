"""Leaves: typed conditions without `and`, `or` and `not` to leaves of the intermediate form."""

from __future__ import annotations

import math
from dataclasses import replace

from kestrel_lab.eql import numbers
from kestrel_lab.eql.compute import computation
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.ir import FALSE, Computed, Const, Expr, Flag, NumberOp, Present, TextLeaf, any_of, negation
from kestrel_lab.eql.leaftests import ScalarTest, TextTest
from kestrel_lab.eql.limits import MAX_ARRAYS
from kestrel_lab.eql.steps import steps_of
from kestrel_lab.eql.textleaf import text_test
from kestrel_lab.eql.typed import CODED, NUMBERS, Kind, Node, is_value
from kestrel_lab.schema.types import EqlType, Field

_NUMBER_OPS: dict[str, NumberOp] = {op: op for op in ("==", "<", "<=", ">", ">=")}


def leaf(node: Node) -> Expr:
    """Return the leaf of a condition: true where the condition is, for any element of an array.

    Raises:
        QueryError: for a pattern that is refused, or what would cost too much.
    """
    if is_value(node):
        return Const(node.value is True)
    subject = node if node.field is not None else node.args[0]
    if subject.field is None:
        return _computed(node)
    return _of_field(node, subject.field) or _computed(node)


def _of_field(node: Node, field: Field) -> Expr | None:
    """Return the leaf of a condition whose first operand is a field, if nothing has to be computed for it."""
    if node.op == "is_null":
        return negation(Present(field.name))
    test = text_test(node, field.name)
    if test is not None:
        return TextLeaf(test)
    if field.many:
        return None
    if node.field is not None:
        return Flag(field.name)
    if node.op in _NUMBER_OPS and _exact(node.args[1]):
        return _compare(field, _NUMBER_OPS[node.op], node.args[1])
    if node.op == "in" and all(map(_exact, node.args[1:])):
        return any_of(tuple(dict.fromkeys(_compare(field, "==", item) for item in node.args[1:])))
    return FALSE if node.op == "in" and len(node.args) == 1 else None


def _exact(node: Node) -> bool:
    return is_value(node) and node.kind in (*NUMBERS, Kind.DATE) and math.isfinite(_number(node))


def _compare(field: Field, op: NumberOp, item: Node) -> Expr:
    kind = field.type if field.type in (EqlType.UINT, EqlType.FLOAT) else EqlType.INT
    return numbers.compare(field.name, kind, op, _number(item))


def _number(node: Node) -> int | float:
    if not isinstance(node.value, int | float):
        raise TypeError(f"{node.kind} is no number")
    return node.value


def _computed(node: Node) -> Expr:
    """Return a computed leaf: of one string or array, a test of its distinct values; of others, a column."""
    test = steps_of(node)
    if test.arrays > MAX_ARRAYS:
        what = f"the condition reads arrays {test.arrays} times"
        raise QueryError(node.pos, what, f"every choice of elements is tried: {MAX_ARRAYS} times is the most")
    fields = [step for step in test.steps if step.op == "field"]
    if not fields:
        return Const(computation(test).holds(()))
    if len(test.fields) != 1 or not (fields[0].many or fields[0].kind in CODED):
        return Computed(test)
    name = fields[0].field
    anonymous = ScalarTest(tuple(replace(s, field="") if s.op == "field" else s for s in test.steps))
    found = TextLeaf(TextTest(name, "computed", False, (), anonymous))
    return any_of((found, negation(Present(name)))) if computation(anonymous).holds((None,)) else found
