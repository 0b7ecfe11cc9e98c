"""Conditions: syntax tree to typed expressions.

Each condition becomes a pair: where it is true, and where it is false. In a filter the two are each other's
complement, for a leaf on a missing value is false. Inside an operand of a comparison they are not: there a missing
value makes a leaf neither, which `null` tests can see. Passes are loops over a work list, never recursive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kestrel_lab.eql import ast
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.functions import call_leaf, is_test
from kestrel_lab.eql.ir import Const, Expr, Flag, all_of, any_of, negation
from kestrel_lab.eql.leaf import ALWAYS_NULL, Found, compare_leaf, match_leaf, missing
from kestrel_lab.eql.unsupported import refuse_operand
from kestrel_lab.schema.types import EqlType


@dataclass(frozen=True, slots=True)
class Truth:
    """Where a condition is true and where it is false."""

    true: Expr
    false: Expr


@dataclass(frozen=True, slots=True)
class _Visit:
    """Work: look at a node, or (`ready`) put together the results of its parts. `nulls`: missing makes neither."""

    node: ast.Node
    nulls: bool
    ready: bool = False


_Results: TypeAlias = list[Truth]


def check_condition(root: ast.Node, scope: Scope) -> Expr:
    """Return the expression of a filter's condition.

    Raises:
        QueryError: for an unknown field, a type error, or what is not supported.
    """
    work, results = [_Visit(root, False)], _Results()
    while work:
        visit = work.pop()
        if visit.ready:
            _combine(visit, results)
            continue
        parts = _parts(visit, scope)
        if parts:
            work.append(_Visit(visit.node, visit.nulls, True))
            work.extend(reversed(parts))
        else:
            results.append(_leaf(visit.node, visit.nulls, scope))
    return results.pop().true


def _parts(visit: _Visit, scope: Scope) -> list[_Visit]:
    node = visit.node
    if isinstance(node, ast.Not):
        return [_Visit(node.item, visit.nulls)]
    if isinstance(node, ast.Junction):
        return [_Visit(item, visit.nulls) for item in node.items]
    if isinstance(node, ast.Compare):
        found = _compared(node)
        if found is not None:
            if visit.nulls and found[1] is None:
                raise QueryError(node.pos, "a null test inside the operand of another comparison is not supported yet")
            return [_Visit(found[0], True)]
    return []


def _is_condition(node: ast.Node) -> bool:
    """Return whether a node, as an operand, is a condition and not a value."""
    return isinstance(node, ast.Compare | ast.Match | ast.Not | ast.Junction) or is_test(node)


def _compared(node: ast.Compare) -> tuple[ast.Node, bool | None] | None:
    """Return the condition that a comparison compares and the constant it is compared with; None for other kinds."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if _is_condition(side):
            if not isinstance(other, ast.Literal):
                raise QueryError(node.pos, "only a constant can stand on the other side of a compared condition")
            if node.op not in ("==", "!="):
                raise QueryError(node.pos, f"`{node.op}` does not order conditions", "use == or !=")
            if other.value is None or isinstance(other.value, bool):
                return side, other.value
            raise QueryError(other.pos, "a condition compares with true, false or null")
    return None


def _combine(visit: _Visit, results: _Results) -> None:
    node = visit.node
    if isinstance(node, ast.Not):
        item = results.pop()
        results.append(Truth(item.false, item.true))
    elif isinstance(node, ast.Junction):
        items = results[-len(node.items) :]
        del results[-len(node.items) :]
        trues, falses = tuple(i.true for i in items), tuple(i.false for i in items)
        if node.op == "and":
            results.append(Truth(all_of(trues), any_of(falses)))
        else:
            results.append(Truth(any_of(trues), all_of(falses)))
    elif isinstance(node, ast.Compare):
        results.append(_compared_condition(node, results.pop(), visit.nulls))


def _compared_condition(node: ast.Compare, item: Truth, nulls: bool) -> Truth:
    """Return `condition == true`, `!= false`, `== null` and the like."""
    found = _compared(node)
    value = found[1] if found else None
    if value is None:
        known = any_of((item.true, item.false))
        out = Truth(negation(known), known)
    else:
        true, false = (item.true, item.false) if value else (item.false, item.true)
        out = Truth(true, false if nulls else negation(true))
    return out if node.op == "==" else Truth(out.false, out.true)


def _leaf(node: ast.Node, nulls: bool, scope: Scope) -> Truth:
    if isinstance(node, ast.Literal):
        if not isinstance(node.value, bool):
            raise QueryError(node.pos, "a condition is needed here, not a value", "compare it with something")
        return Truth(Const(node.value), Const(not node.value))
    if isinstance(node, ast.Name):
        found = _bare(node, scope)
    elif isinstance(node, ast.Compare):
        found = compare_leaf(node, scope)
    elif isinstance(node, ast.Match):
        found = match_leaf(node, scope)
    elif isinstance(node, ast.Call):
        found = call_leaf(node, scope)
    else:
        refuse_operand(node)
    false = negation(found.true)
    if nulls:
        false = all_of((negation(found.null), false))
    return Truth(false, found.true) if found.negated else Truth(found.true, false)


def _bare(node: ast.Name, scope: Scope) -> Found:
    field = scope.find(node)
    if field is None:
        return ALWAYS_NULL
    if field.type is not EqlType.BOOL:
        raise QueryError(node.pos, f"`{node.name}` is a {field.type}, not a condition",
                    f"compare it, or write `{node.name} != null`")  # fmt: skip
    return Found(Flag(field.name), missing(field))
