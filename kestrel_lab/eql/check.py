"""Conditions: syntax tree to typed expressions, by way of the typed tree."""

from __future__ import annotations

from kestrel_lab.eql import ast
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.infer import infer
from kestrel_lab.eql.ir import Expr, TextLeaf, all_of, any_of, leaves, negation
from kestrel_lab.eql.leaf import leaf
from kestrel_lab.eql.rewrite import REWRITES
from kestrel_lab.eql.typed import Node, fold_tree


def check_condition(root: ast.Node, scope: Scope) -> Expr:
    """Return the expression of a filter's condition.

    Raises:
        QueryError: for an unknown field, a type error, or a limit.
    """

    def parts(node: Node) -> tuple[Node, ...]:
        return tuple(_rewritten(a, scope) for a in node.args) if node.op in ("and", "or", "not") else ()

    return fold_tree(_rewritten(infer(root, scope), scope), parts, lambda node, found: _lowered(node, found, scope))


def _rewritten(node: Node, scope: Scope) -> Node:
    """Return the node after every rewrite that applies to it."""
    work = True
    while work:
        work = False
        for rewrite in REWRITES:
            found = rewrite(node)
            if found is not None:
                scope.note(rewrite.__name__.replace("_", " "), node, found)
                node, work = found, True
    return node


def _lowered(node: Node, found: tuple[Expr, ...], scope: Scope) -> Expr:
    if node.op == "not":
        return negation(found[0])
    if node.op in ("and", "or"):
        out = all_of(found) if node.op == "and" else any_of(found)
        if _tests(out) - {test for part in found for test in _tests(part)}:
            scope.note("merge tests", node, out)
        return out
    out = leaf(node)
    scope.note("leaf", node, out)
    return out


def _tests(expr: Expr) -> set[object]:
    return {found.test for found in leaves(expr) if isinstance(found, TextLeaf)}
