"""A part of a query as text, on one line, for messages. Long lists are cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from kestrel_lab.eql import ast

_MOST_ITEMS = 3
_UNITS = ((86_400 * 10**9, "d"), (3_600 * 10**9, "h"), (60 * 10**9, "m"), (10**9, "s"), (10**6, "ms"))
_Parts: TypeAlias = "list[str | ast.Node]"


def render(root: ast.Node) -> str:
    """Return a condition or a value as text; parentheses stand wherever a condition stands in another."""
    out: list[str] = []
    work: _Parts = [root]
    while work:
        part = work.pop()
        if isinstance(part, str):
            out.append(part)
        else:
            work.extend(reversed(_parts(part)))
    return "".join(out)


def render_span(span_ns: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of."""
    size, unit = next((size, unit) for size, unit in _UNITS if span_ns % size == 0)
    return f"{span_ns // size}{unit}"


def _parts(node: ast.Node) -> _Parts:
    match node:
        case ast.Literal(value=value):
            return [json.dumps(value, ensure_ascii=False)]
        case ast.Name(name=name, optional=optional):
            return [f"?{name}" if optional else name]
        case ast.Call(name=name, fold=fold, args=args):
            return [f"{name}{'~' if fold else ''}(", *_list(args), ")"]
        case ast.Arithmetic(op=op, left=left, right=right):
            return [op, *_operand(right)] if left is None else [*_operand(left), f" {op} ", *_operand(right)]
        case ast.Compare(op=op, left=left, right=right):
            return [*_operand(left), f" {op} ", *_operand(right)]
        case ast.Match(kind=kind, negated=negated, left=left, items=items):
            many = len(items) > 1 or kind in ("in", "in~")
            word = f"{' not' if negated else ''} {kind} {'(' if many else ''}"
            return [*_operand(left), word, *_list(items), ")" if many else ""]
        case ast.Not(item=item):
            return ["not ", *_operand(item)]
        case ast.Junction(op=op, items=items):
            return [p for i, item in enumerate(items) for p in ([f" {op} "] if i else []) + _operand(item)]


def _operand(node: ast.Node) -> _Parts:
    inner = isinstance(node, ast.Arithmetic | ast.Compare | ast.Match | ast.Not | ast.Junction)
    return ["(", node, ")"] if inner else [node]


def _list(items: Sequence[ast.Node]) -> _Parts:
    shown = items if len(items) <= _MOST_ITEMS + 1 else items[:_MOST_ITEMS]
    out: _Parts = [p for i, item in enumerate(shown) for p in ([", ", item] if i else [item])]
    return [*out, ", ..."] if len(shown) < len(items) else out
