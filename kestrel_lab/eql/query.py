"""Queries: items and join keys to stages."""

from __future__ import annotations

from kestrel_lab.eql import ast
from kestrel_lab.eql.check import check_condition
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.interest import actions_of, required_tests
from kestrel_lab.eql.ir import Program, Stage, TextLeaf, leaves
from kestrel_lab.eql.limits import MAX_STAGES, MAX_TESTS
from kestrel_lab.schema.types import EqlType, Field

_Keys = list[tuple[ast.Name, Field | None]]


def check_query(query: ast.Query, scope: Scope) -> Program:
    """Return the program of a query.

    Raises:
        QueryError: for an unknown field, a type error, or what is not supported.
    """
    program = _event(query, scope) if isinstance(query, ast.Filter) else _sequence(query, scope)
    found = (leaf for stage in program.distinct_stages for leaf in leaves(stage.expr))
    if len({leaf.test for leaf in found if isinstance(leaf, TextLeaf)}) > MAX_TESTS:
        raise QueryError(query.pos, f"the query has more than {MAX_TESTS:,} different tests", "split the rule")
    return program


def _event(query: ast.Filter, scope: Scope) -> Program:
    return Program("event", (_stage(query, scope, []),), None, None, frozenset(scope.used))


def _sequence(query: ast.Sequence, scope: Scope) -> Program:
    count = sum(item.runs for item in query.items)
    if count < 2:
        raise QueryError(query.pos, "a sequence needs at least two items", "one item alone is an event query")
    if count > MAX_STAGES:
        raise QueryError(query.pos, f"the sequence has more than {MAX_STAGES:,} items, runs counted")
    items = query.items if query.until is None else (*query.items, query.until)
    keys = [_keys((*query.by, *item.by), scope) for item in items]
    for item, own in zip(items, keys, strict=True):
        _check_keys(item, own, keys[0])
    kept = [i for i in range(len(keys[0])) if any(own[i][1] is not None for own in keys)]
    _refuse_null_keys(keys, kept)
    stages = [_stage(i.filter, scope, [k[n] for n in kept]) for i, k in zip(items, keys, strict=True)]
    until = stages.pop() if query.until is not None else None
    repeated = tuple(stage for item, stage in zip(query.items, stages, strict=True) for _ in range(item.runs))
    return Program("sequence", repeated, until, query.maxspan, frozenset(scope.used))


def _stage(node: ast.Filter, scope: Scope, keys: _Keys) -> Stage:
    expr = check_condition(node.condition, scope)
    by = tuple(field.name for _, field in keys if field is not None)
    actions = actions_of(node.category, expr, scope.known)
    optional = tuple(name.optional for name, _ in keys)
    return Stage(node.category, expr, by, actions, required_tests(expr, scope.known), optional)


def _keys(nodes: tuple[ast.Node, ...], scope: Scope) -> _Keys:
    out: _Keys = []
    for node in nodes:
        if not isinstance(node, ast.Name):
            raise QueryError(node.pos, "a join key must be a field", "expressions as keys are not supported yet")
        out.append((node, scope.find(node)))
    return out


def _check_keys(item: ast.Item, own: _Keys, first: _Keys) -> None:
    if len(own) != len(first):
        raise QueryError(item.pos, f"number of join keys: {len(own)} in this item, {len(first)} in the first",
                    "every item needs the same number")  # fmt: skip
    for (name, field), (_, other) in zip(own, first, strict=True):
        if field is not None and other is not None and _kind(field) != _kind(other):
            what = f"`{field.name}` is a {_kind(field)}, but the first item joins by `{other.name}`, a {_kind(other)}"
            raise QueryError(name.pos, what, "keys join only within one type")


def _refuse_null_keys(keys: list[_Keys], kept: list[int]) -> None:
    """A key that is null in every item joins everything and falls away; one null in some items is refused."""
    for own in keys:
        for index in kept:
            name, field = own[index]
            if field is None:
                what = f"the join key `{name.name}` does not exist here, but those of other items do"
                raise QueryError(name.pos, what, "joining null with a field is not supported yet")


def _kind(field: Field) -> str:
    return "number" if field.type in (EqlType.INT, EqlType.UINT, EqlType.FLOAT) else str(field.type)
