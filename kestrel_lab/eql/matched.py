"""`in`, `:`, `like` and `regex`, typed: an expression and constants; `:` is a `like` that ignores case."""

from __future__ import annotations

from kestrel_lab.eql import ast
from kestrel_lab.eql.compared import check_address, mismatch
from kestrel_lab.eql.constants import fold_constants
from kestrel_lab.eql.dates import date_of
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.typed import NUMBERS, Kind, Node, constant, is_value
from kestrel_lab.eql.words import subject, with_article, word


def matched(node: ast.Match, left: Node, items: tuple[Node, ...], scope: Scope) -> Node:
    """Return the match without its negation; its arguments are the expression and the constants that can match.

    Raises:
        QueryError: for anything but constants on the right, or a type error.
    """
    for item in items:
        if not is_value(item):
            raise QueryError(
                item.pos, f"`{node.kind}` takes constants, not {'fields' if item.field else 'expressions'}"
            )
    if node.kind in ("in", "in~"):
        found = _members(left, items)
    else:
        found = items
        _check_patterns(node, left, items)
    if left.kind is Kind.NULL:
        return constant(node.pos, None)
    op = {"in": "in", "in~": "in", "regex": "regex", "regex~": "regex"}.get(node.kind, "like")
    fold = node.kind == ":" or node.kind.endswith("~")
    return fold_constants(Node(node.pos, op, Kind.BOOL, (left, *found), fold), scope)


def _members(left: Node, items: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the items that something can equal: nothing equals null."""
    found = tuple(item for item in items if item.kind is not Kind.NULL)
    if left.kind is Kind.NULL:
        return found
    if left.kind is Kind.DATE:
        return tuple(date_of(left, item) for item in found)
    for item in found:
        wanted = Kind.TEXT if left.kind is Kind.IP else left.kind
        if item.kind is not wanted and not (item.kind in NUMBERS and left.kind in NUMBERS):
            raise mismatch(left, item)
        if left.kind is Kind.IP:
            check_address(item)
    return found


def _check_patterns(node: ast.Match, left: Node, items: tuple[Node, ...]) -> None:
    for item in items:
        if item.kind is not Kind.TEXT:
            do = "numbers take == and in" if item.kind in NUMBERS else ""
            raise QueryError(item.pos, f"`{node.kind}` takes strings, not {with_article(item.kind)}", do)
    if left.kind not in (Kind.TEXT, Kind.NULL):
        what = "an expression" if left.field is None else subject(left)
        type_ = word(left.kind) if left.field is None else left.field.type
        do = "use == or cidrMatch" if left.kind is Kind.IP else "use == or in, or string(...)"
        raise QueryError(left.pos, f"`{node.kind}` matches strings, and {what} is of type {type_}", do)
