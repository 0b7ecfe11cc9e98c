"""Comparisons: `==`, `<` and the like of two typed operands; `!=` is an `==` here."""

from __future__ import annotations

from kestrel_lab.eql import ast
from kestrel_lab.eql.constants import fold_constants
from kestrel_lab.eql.dates import date_of
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.texttest import canonical_address
from kestrel_lab.eql.typed import NUMBERS, Kind, Node, is_value
from kestrel_lab.eql.words import shown, subject, with_article, word

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "=="}


def compared(node: ast.Compare, left: Node, right: Node, scope: Scope) -> Node:
    """Return the comparison, the constant on the right if there is one; a null test where that is null.

    Raises:
        QueryError: for operands that do not compare.
    """
    op: str = "==" if node.op == "!=" else node.op
    if left.field is not None and right.field is not None:
        raise QueryError(node.pos, "two fields cannot be compared with each other",
                         "one side must be a constant or an expression")  # fmt: skip
    if is_value(left) and not is_value(right):
        op, left, right = _FLIPPED[op], right, left
    if Kind.NULL in (left.kind, right.kind):
        return _with_null(node, op, left, right, scope)
    right = _checked(node, op, left, right)
    return fold_constants(Node(node.pos, op, Kind.BOOL, (left, right)), scope)


def _with_null(node: ast.Compare, op: str, left: Node, right: Node, scope: Scope) -> Node:
    if op != "==":
        if any(isinstance(side, ast.Literal) and side.value is None for side in (node.left, node.right)):
            raise QueryError(node.pos, f"`{node.op}` does not order null", "use == null or != null")
        # null for every event, but not the constant: `(a < ?nowhere) == true` is no null test
        return fold_constants(Node(node.pos, op, Kind.BOOL, (left, right)), scope)
    other = left if right.kind is Kind.NULL else right
    return fold_constants(Node(node.pos, "is_null", Kind.BOOL, (other,)), scope)


def _checked(node: ast.Compare, op: str, left: Node, right: Node) -> Node:
    """Return the right side as it compares with the left one."""
    kinds = {left.kind, right.kind}
    if kinds == {Kind.BOOL} or kinds == {Kind.IP} or kinds == {Kind.IP, Kind.TEXT}:
        if op != "==":
            what = "conditions" if left.field is None and Kind.BOOL in kinds else f"{word(left.kind)}s"
            what = "IP addresses" if Kind.IP in kinds else what
            raise QueryError(node.pos, f"`{node.op}` does not order {what}", "use == or !=")
        if left.kind is Kind.IP and is_value(right):
            check_address(right)
        return right
    if Kind.DATE in kinds:
        return date_of(left, right)
    if kinds == {Kind.TEXT} or kinds <= set(NUMBERS):
        return right
    raise mismatch(left, right)


def check_address(node: Node) -> None:
    """Check that a constant is an IP address.

    Raises:
        QueryError: if it is none.
    """
    if not isinstance(node.value, bytes) or canonical_address(node.value) is None:
        text = node.value.decode() if isinstance(node.value, bytes) else ""
        do = "a block of addresses takes cidrMatch" if "/" in text else "write it as 10.0.0.1 or fe80::1"
        raise QueryError(node.pos, f'"{text}" is no IP address', do)


def mismatch(left: Node, right: Node) -> QueryError:
    """Return the fault of comparing operands of different types; `pos` is that of the right one."""
    if left.field is None and left.kind is Kind.BOOL and not is_value(left):
        return QueryError(right.pos, "a condition compares with true, false or null")
    if left.field is None:
        what = f"{with_article(left.kind)} cannot be compared with {with_article(right.kind)}"
        return QueryError(right.pos, what, _hint(left, right))
    what = f"{subject(left)} is {with_article(left.kind)} and cannot be compared with {with_article(right.kind)}"
    return QueryError(right.pos, what, _hint(left, right))


def _hint(left: Node, right: Node) -> str:
    if not is_value(right) or isinstance(right.value, bool):
        return "string(...) makes a string of it" if left.kind is Kind.TEXT and right.kind is not Kind.BOOL else ""
    if left.kind is Kind.TEXT:
        return f'write it as a string: "{shown(right)}"'
    if left.kind in NUMBERS and isinstance(right.value, bytes) and right.value.lstrip(b"-").isdigit():
        return f"write it without quotes: {right.value.decode()}"
    return ""
