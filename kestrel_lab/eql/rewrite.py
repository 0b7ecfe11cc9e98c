"""Rewrites of conditions, each a function from a node to what stands for it, or None where it does not apply.

They hold where a condition stands by itself, not as an operand: there, null is as good as false.
"""

from __future__ import annotations

from collections.abc import Callable

from kestrel_lab.eql.signatures import REQUIRED
from kestrel_lab.eql.typed import Kind, Node, constant, is_value, negated

_TESTS = ("==", "<", "<=", ">", ">=", "in", "like", "regex", "cidrMatch", "startsWith", "endsWith", "stringContains")
#: operations whose result is null if and only if an operand is
_STRICT = (*_TESTS, "not", "length", "string", "concat", "between", "substring")


def drop_true(node: Node) -> Node | None:
    """`condition == true` is the condition, unless a `not` in it would make null true."""
    found = _compared_with(node, True)
    return found if found is not None and _positive(found) else None


def split_false(node: Node) -> Node | None:
    """`test == false` is that the field has a value and the test fails, unless the field is an array."""
    found = _compared_with(node, False)
    if found is None or (found.op not in _TESTS and found.field is None):
        return None
    subject = found if found.field is not None else found.args[0]
    if subject.field is None or subject.field.many:
        return None
    if not all(is_value(arg) and arg.kind is not Kind.NULL for arg in found.args[1:]):
        return None
    return Node(node.pos, "and", Kind.BOOL, (negated(_null(subject)), negated(found)))


def spread_null_test(node: Node) -> Node | None:
    """An expression is null where an operand is, unless there are other reasons for it to be."""
    if node.op != "is_null":
        return None
    item = node.args[0]
    required = REQUIRED.get(item.op, len(item.args))
    if item.op not in _STRICT or not all(_is_plain(arg) for arg in item.args[required:]):
        return None
    if item.op == "substring" and any(arg.kind not in (Kind.INT, Kind.UINT) for arg in item.args[1:]):
        return None  # a position may turn out to be a double
    if any(is_value(arg) and arg.value is None for arg in item.args[:required]):
        return constant(node.pos, True)
    parts = tuple(_null(arg) for arg in item.args[:required] if not is_value(arg))
    return parts[0] if len(parts) == 1 else Node(node.pos, "or", Kind.BOOL, parts)


REWRITES: tuple[Callable[[Node], Node | None], ...] = (drop_true, split_false, spread_null_test)


def _compared_with(node: Node, value: bool) -> Node | None:
    """Return the condition that is compared with this constant."""
    if node.op == "==" and node.args[0].kind is Kind.BOOL and is_value(node.args[1]) and node.args[1].value is value:
        return node.args[0]
    return None


def _positive(root: Node) -> bool:
    work = [root]
    while work:
        node = work.pop()
        if node.op == "not":
            return False
        if node.op in ("and", "or"):
            work.extend(node.args)
    return True


def _null(node: Node) -> Node:
    return Node(node.pos, "is_null", Kind.BOOL, (node,))


def _is_plain(node: Node) -> bool:
    return is_value(node) and node.value is not None
