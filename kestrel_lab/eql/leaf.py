"""Leaves: one comparison or pattern match of one field with constants."""

from __future__ import annotations

from typing import NamedTuple

from kestrel_lab.eql import ast, numbers, text
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.ir import FALSE, TRUE, Expr, Flag, NumberOp, Present, TextLeaf, TextOp, all_of, any_of, negation
from kestrel_lab.eql.unsupported import refuse_operand
from kestrel_lab.schema.types import EqlType, Field

_FLIPPED: dict[ast.CompareOp, ast.CompareOp] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_ORDER: dict[str, TextOp] = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
_NUMBER_OPS: dict[str, NumberOp] = {op: op for op in ("==", "<", "<=", ">", ">=")}
_NUMBERS = (EqlType.INT, EqlType.UINT, EqlType.FLOAT)


class Found(NamedTuple):
    """Where a leaf is true, where it is null, and whether what is written is its negation."""

    true: Expr
    null: Expr
    negated: bool = False


ALWAYS_NULL = Found(FALSE, TRUE)


def missing(field: Field) -> Expr:
    """Return where a field has no value."""
    return negation(Present(field.name))


def compare_leaf(node: ast.Compare, scope: Scope) -> Found:
    """Return the leaf of a comparison between a field and a constant.

    Raises:
        QueryError: for two fields, a type error, an unknown field.
    """
    op, left, right = node.op, node.left, node.right
    if isinstance(left, ast.Literal) and not isinstance(right, ast.Literal):
        op, left, right = _FLIPPED[op], right, left
    if isinstance(left, ast.Literal) and isinstance(right, ast.Literal):
        return _constants(node, left, right)
    if not isinstance(left, ast.Name):
        refuse_operand(left)
    if isinstance(right, ast.Name):
        raise QueryError(node.pos, "two fields cannot be compared with each other", "one side must be a constant")
    if not isinstance(right, ast.Literal):
        refuse_operand(right)
    field = scope.find(left)
    if right.value is None:
        return _null_test(node, op, field)
    if field is None:
        return ALWAYS_NULL._replace(negated=op == "!=")
    return Found(_compare(node.pos, "==" if op == "!=" else op, field, right), missing(field), op == "!=")


def match_leaf(node: ast.Match, scope: Scope) -> Found:
    """Return the leaf of `in`, `:`, `like` and their kin.

    Raises:
        QueryError: for anything but a field on the left and constants of its type on the right.
    """
    if isinstance(node.left, ast.Literal):
        raise QueryError(node.left.pos, f"the left side of `{node.kind}` must be a field")
    if not isinstance(node.left, ast.Name):
        refuse_operand(node.left)
    items = tuple(_constant(node, item) for item in node.items)
    field = scope.find(node.left)
    if node.kind in ("in", "in~"):
        return _membership(node, field, items)
    return _pattern(node, field, items)


def _constants(node: ast.Compare, left: ast.Literal, right: ast.Literal) -> Found:
    if left.value is None or right.value is None:
        if node.op not in ("==", "!="):
            return ALWAYS_NULL
        same = left.value is None and right.value is None
        return Found(numbers.constants(node.op, same, True), FALSE)
    if _word(left.value) != _word(right.value):
        raise QueryError(right.pos, f"a {_word(left.value)} cannot be compared with a {_word(right.value)}")
    return Found(numbers.constants(node.op, left.value, right.value), FALSE)


def _null_test(node: ast.Compare, op: str, field: Field | None) -> Found:
    if op not in ("==", "!="):
        raise QueryError(node.pos, f"`{op}` does not order null", "use == null or != null")
    present: Expr = FALSE if field is None else Present(field.name)
    return Found(present if op == "!=" else negation(present), FALSE)


def _compare(pos: int, op: str, field: Field, literal: ast.Literal) -> Expr:
    value = literal.value
    if field.type in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
        return numbers.compare(field.name, field.type, _NUMBER_OPS[op], value)
    if field.type is EqlType.BOOL and isinstance(value, bool):
        if op != "==":
            raise QueryError(pos, f"`{op}` does not order booleans", "use == or !=")
        flag = Flag(field.name)
        return flag if value else all_of((Present(field.name), negation(flag)))
    if field.type is EqlType.STRING and isinstance(value, str):
        if op == "==":
            return TextLeaf(text.equal(field.name, [value]))
        return TextLeaf(text.order(field.name, _ORDER[op], value))
    if field.type is EqlType.IP and isinstance(value, str):
        if op != "==":
            raise QueryError(pos, f"`{op}` does not order IP addresses", "use == or !=")
        return TextLeaf(text.address(field.name, [literal]))
    raise _type_fault(field, literal)


def _constant(node: ast.Match, item: ast.Node) -> ast.Literal:
    if isinstance(item, ast.Literal):
        return item
    if not isinstance(item, ast.Name):
        refuse_operand(item)
    raise QueryError(item.pos, f"`{node.kind}` takes constants, not fields")


def _membership(node: ast.Match, field: Field | None, items: tuple[ast.Literal, ...]) -> Found:
    found = [i for i in items if i.value is not None]  # nothing equals null
    if field is None:
        return ALWAYS_NULL._replace(negated=node.negated)
    for item in found:
        if not _fits(field, item.value):
            raise _type_fault(field, item)
    return Found(_any_item(node, field, found), missing(field), node.negated)


def _any_item(node: ast.Match, field: Field, items: list[ast.Literal]) -> Expr:
    if not items:
        return FALSE
    if field.type is EqlType.IP:
        return TextLeaf(text.address(field.name, items))
    if field.type is EqlType.STRING:
        return TextLeaf(text.equal(field.name, [str(i.value) for i in items], fold=node.kind == "in~"))
    return any_of(tuple(dict.fromkeys(_compare(node.pos, "==", field, i) for i in items)))


def _pattern(node: ast.Match, field: Field | None, items: tuple[ast.Literal, ...]) -> Found:
    texts: list[str] = []
    for item in items:
        if not isinstance(item.value, str):
            raise QueryError(
                item.pos, f"`{node.kind}` takes strings, not {_article(item.value)}", "numbers take == and in"
            )
        texts.append(item.value)
    if field is None:
        return ALWAYS_NULL
    if field.type is not EqlType.STRING:
        do = "use == or cidrMatch" if field.type is EqlType.IP else "use == or in"
        raise QueryError(
            node.left.pos, f"`{node.kind}` matches strings, and `{field.name}` is of type {field.type}", do
        )
    if node.kind in ("regex", "regex~"):
        return Found(TextLeaf(text.regex(field.name, items, fold=node.kind == "regex~")), missing(field))
    return Found(TextLeaf(text.like(field.name, texts, fold=node.kind != "like")), missing(field))


def _fits(field: Field, value: object) -> bool:
    word = _word(value)
    return word == {EqlType.STRING: "string", EqlType.IP: "string", EqlType.BOOL: "boolean"}.get(field.type, "number")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "null" if value is None else "number"


def _article(value: object) -> str:
    word = _word(value)
    return word if word == "null" else f"a {word}"


def _type_fault(field: Field, literal: ast.Literal) -> QueryError:
    do, value = "", literal.value
    if field.type is EqlType.STRING and not isinstance(value, bool):
        do = f'write it as a string: "{value}"'
    elif field.type in _NUMBERS and isinstance(value, str) and value.lstrip("-").isdecimal():
        do = f"write it without quotes: {value}"
    kind = "an ip" if field.type is EqlType.IP else f"a {_type_word(field.type)}"
    return QueryError(literal.pos, f"`{field.name}` is {kind} and cannot be compared with {_article(value)}", do)


def _type_word(kind: EqlType) -> str:
    return {EqlType.INT: "number", EqlType.UINT: "number", EqlType.FLOAT: "number", EqlType.BOOL: "boolean"}.get(
        kind, str(kind)
    )
