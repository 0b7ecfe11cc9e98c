"""The compiler's stages as text, for `rules explain`: syntax tree, typed tree, rewrites, intermediate form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kestrel_lab.eql import ast
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.infer import infer
from kestrel_lab.eql.ir import (
    And,
    Compare,
    Computed,
    Const,
    Expr,
    Flag,
    Leaf,
    Not,
    Or,
    Present,
    Program,
    Rewrite,
    Stage,
    TextLeaf,
)
from kestrel_lab.eql.leaftests import ScalarTest, Step, TextTest
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.render import render, render_span
from kestrel_lab.eql.typed import Node, args_of, fold_tree
from kestrel_lab.schema.schema import Schema

_MOST_ITEMS = 6
_MOST_CHARACTERS = 400
_INFIX = ("==", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "and", "or")
_N = TypeVar("_N")


def show_syntax(query: str) -> list[str]:
    """Return the syntax tree of a query's items, indented.

    Raises:
        QueryError: if it is no EQL.
    """
    return [
        line
        for number, item in enumerate(_filters(parse(query)))
        for line in (f"[{number}] {item.category or 'any'} where", *_indented(item.condition, _ast_parts, _ast_line))
    ]


def show_types(query: str, schema: Schema) -> list[str]:
    """Return the typed tree of a query's items, indented: every operand with what it is.

    Raises:
        QueryError: if it is no EQL of this schema.
    """
    scope = Scope(schema)
    return [
        line
        for number, item in enumerate(_filters(parse(query)))
        for line in (f"[{number}]", *_indented(infer(item.condition, scope), _node_parts, _node_line))
    ]


def show_rewrites(query: str, program: Program) -> list[str]:
    """Return what the compiler did to the conditions, in order: line:column, what, before and after."""
    return [_rewrite(query, step) for step in program.rewrites]


def _rewrite(query: str, step: Rewrite) -> str:
    pos = step.before.pos
    line, column = query.count("\n", 0, pos) + 1, pos - query.rfind("\n", 0, pos)
    after = show_node(step.after) if isinstance(step.after, Node) else show_expr(step.after)
    return f"{line}:{column}  {step.name}: {show_node(step.before)}  =>  {_cut(after)}"


def show_program(program: Program) -> list[str]:
    """Return the intermediate form, indented: the shape, and each stage's condition."""
    head: str = program.kind
    if program.maxspan_ns is not None:
        head += f" with maxspan={render_span(program.maxspan_ns)}"
    out = [head]
    for number, stage in enumerate(program.all_stages):
        if number and stage is program.all_stages[number - 1]:
            out.append(f"[{number}] the same once more")
        else:
            out += [f"[{number}] {stage_title(program, stage)}", *_indented(stage.expr, expr_parts, part_text)]
    return out + [f"| {pipe.kind} {pipe.count}" for pipe in program.pipes]


def stage_title(program: Program, stage: Stage) -> str:
    """Return a stage's category, its join key, and whether it is `until` or must not be there."""
    kind = "until " if stage is program.until else "no " if stage.missing else ""
    keys = ", ".join(name or "null" for name in stage.by)
    return f"{kind}{stage.category or 'any'}" + (f" by {keys}" if keys else "")


def expr_parts(expr: Expr) -> tuple[Expr, ...]:
    """Return the parts of a condition; none of a leaf."""
    return (expr.item,) if isinstance(expr, Not) else expr.items if isinstance(expr, And | Or) else ()


def part_text(expr: Expr) -> str:
    """Return the word of a junction, or a leaf whole."""
    return {And: "and", Or: "or", Not: "not"}.get(type(expr)) or show_leaf(expr)  # type: ignore[arg-type]


def show_expr(root: Expr) -> str:
    """Return a condition on one line."""

    def text(expr: Expr, parts: tuple[str, ...]) -> str:
        if isinstance(expr, Not):
            return f"not ({parts[0]})"
        return _cut(f" {part_text(expr)} ".join(f"({p})" for p in parts)) if parts else show_leaf(expr)  # type: ignore[arg-type]

    return fold_tree(root, expr_parts, text)


def show_leaf(leaf: Leaf) -> str:
    """Return a leaf on one line, in the words of the intermediate form."""
    match leaf:
        case TextLeaf(test):
            return show_test(test.field, test)
        case Present(field):
            return f"{field} != null"
        case Compare(field, op, value):
            return f"{field} {op} {value}"
        case Flag(field):
            return field
        case Computed(test):
            return show_computed(test)
        case Const(value):
            return "true" if value else "false"


def show_test(subject: str, test: TextTest) -> str:
    """Return a text test of a field, or of what a computed test made of some."""
    if test.program is not None:
        return show_computed(test.program, test.field)
    return f"{subject} {test.op}{'~' if test.fold else ''} {_list([_text(p) for p in test.patterns])}"


def show_computed(test: ScalarTest, field: str = "") -> str:
    """Return a computed test; `field` is the name of the one field that a test of its values leaves out."""
    texts: list[str] = []
    for step in test.steps:
        texts.append(_cut(_step(step, [texts[i] for i in step.args], field)))
    return texts[-1]


def show_node(root: Node) -> str:
    """Return a typed expression on one line."""
    return fold_tree(root, args_of, lambda node, args: _cut(_applied(node.op, list(args), node.fold, node)))


def _step(step: Step, args: list[str], field: str) -> str:
    if step.op == "field":
        return step.field or field
    if step.op == "value":
        return _text(step.value)
    if step.op == "same":
        return args[0]
    if step.test is not None:
        return show_test(args[0], step.test)
    if step.op == "in" and isinstance(step.value, tuple):
        return f"{args[0]} in {_list([_text(v) for v in step.value])}"
    return _applied("==" if step.op == "same_address" else step.op, args, step.fold)


def _applied(op: str, args: list[str], fold: bool, node: Node | None = None) -> str:
    if node is not None and node.field is not None:
        return f"{node.field.name}:{node.kind}{'[]' if node.field.many else ''}"
    if node is not None and op == "value":
        return _text(node.value)
    if op in _INFIX and len(args) > 1:
        return f" {op} ".join(args if op not in ("and", "or") else [f"({a})" for a in args])
    if op in ("in", "like", "regex"):
        return f"{args[0]} {op}{'~' if fold else ''} {_list(args[1:])}"
    if op == "is_null":
        return f"{args[0]} == null"
    return f"not ({args[0]})" if op == "not" else f"{op}{'~' if fold else ''}({', '.join(args)})"


def _filters(query: ast.Query) -> Iterator[ast.Filter]:
    if isinstance(query.body, ast.Filter):
        yield query.body
        return
    yield from (item.filter for item in query.body.items)
    if isinstance(query.body, ast.Sequence) and query.body.until is not None:
        yield query.body.until.filter


def _indented(root: _N, parts: Callable[[_N], tuple[_N, ...]], line: Callable[[_N], str]) -> list[str]:
    out: list[str] = []
    work = [(1, root)]
    while work:
        depth, node = work.pop()
        out.append("  " * depth + line(node))
        work.extend((depth + 1, part) for part in reversed(parts(node)))
    return out


def _ast_parts(node: ast.Node) -> tuple[ast.Node, ...]:
    return node.items if isinstance(node, ast.Junction) else (node.item,) if isinstance(node, ast.Not) else ()


def _ast_line(node: ast.Node) -> str:
    return node.op if isinstance(node, ast.Junction) else "not" if isinstance(node, ast.Not) else render(node)


def _node_parts(node: Node) -> tuple[Node, ...]:
    return node.args if node.op in ("and", "or", "not") else ()


def _node_line(node: Node) -> str:
    return node.op if _node_parts(node) else f"{show_node(node)} : {node.kind}"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return json.dumps(value.decode("utf-8", "backslashreplace"), ensure_ascii=False)
    return "null" if value is None else json.dumps(value)


def _list(items: Sequence[str]) -> str:
    if len(items) <= _MOST_ITEMS + 1:
        return f"({', '.join(items)})"
    return f"({', '.join(items[:_MOST_ITEMS])}, ... {len(items) - _MOST_ITEMS} more)"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."
