"""Queries: items and join keys to stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kestrel_lab.eql import ast
from kestrel_lab.eql.check import check_condition
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.interest import actions_of, required_tests
from kestrel_lab.eql.ir import Computed, Pipe, Program, Stage, TextLeaf, leaves
from kestrel_lab.eql.limits import MAX_STAGES, MAX_TESTS
from kestrel_lab.schema.types import EqlType, Field

_Keys = list[tuple[ast.Name, Field | None]]


def check_query(query: ast.Query, scope: Scope) -> Program:
    """Return the program of a query.

    Raises:
        QueryError: for an unknown field, a type error, or what the language does not have.
    """
    body, pipes = query.body, tuple(Pipe(p.kind, p.count) for p in query.pipes)
    if isinstance(body, ast.Filter):
        program = Program("event", (_stage(body, scope, []),), None, None, frozenset(scope.used), pipes)
    elif isinstance(body, ast.Sequence):
        program = _sequence(body, scope, pipes)
    else:
        program = _sample(body, scope)
    found = (leaf for stage in program.distinct_stages for leaf in leaves(stage.expr))
    if len({leaf.test for leaf in found if isinstance(leaf, TextLeaf | Computed)}) > MAX_TESTS:
        raise QueryError(body.pos, f"the query has more than {MAX_TESTS:,} different tests", "split the rule")
    return replace(program, rewrites=tuple(scope.rewrites))


def _sequence(query: ast.Sequence, scope: Scope, pipes: tuple[Pipe, ...]) -> Program:
    count = sum(item.runs for item in query.items)
    if count < 2:
        raise QueryError(query.pos, "a sequence needs at least two items", "one item alone is an event query")
    if count > MAX_STAGES:
        raise QueryError(query.pos, f"the sequence has more than {MAX_STAGES:,} items, runs counted")
    _check_missing(query)
    items = query.items if query.until is None else (*query.items, query.until)
    stages = _stages(query.by, items, scope)
    until = stages.pop() if query.until is not None else None
    repeated = tuple(stage for item, stage in zip(query.items, stages, strict=True) for _ in range(item.runs))
    return Program("sequence", repeated, until, query.maxspan, frozenset(scope.used), pipes)


def _check_missing(query: ast.Sequence) -> None:
    missing = [item for item in query.items if item.missing]
    if not missing:
        return
    if len(missing) == len(query.items):
        raise QueryError(query.pos, "a sequence needs an event that is there", "not every item can be `![...]`")
    if query.maxspan is None:
        raise QueryError(missing[0].pos, "missing events need a maxspan: without one they never come to an end",
                         "write `sequence by ... with maxspan=5m`")  # fmt: skip


def _sample(query: ast.Sample, scope: Scope) -> Program:
    if len(query.items) < 2:
        raise QueryError(query.pos, "a sample needs at least two items", "one item alone is an event query")
    if not query.by and not query.items[0].by:
        raise QueryError(query.pos, "a sample needs at least one join key", "write `sample by host.id ...`")
    return Program("sample", tuple(_stages(query.by, query.items, scope)), None, None, frozenset(scope.used))


def _stages(by: tuple[ast.Node, ...], items: Sequence[ast.Item], scope: Scope) -> list[Stage]:
    keys = [_keys((*by, *item.by), scope) for item in items]
    for item, own, number in zip(items, keys, range(len(keys)), strict=True):
        _check_keys(item, own, keys[:number])
    return [_stage(item.filter, scope, own, item.missing) for item, own in zip(items, keys, strict=True)]


def _stage(node: ast.Filter, scope: Scope, keys: _Keys, missing: bool = False) -> Stage:
    expr = check_condition(node.condition, scope)
    by = tuple(None if field is None else field.name for _, field in keys)
    actions = actions_of(node.category, expr, scope.schema)
    optional = tuple(name.optional for name, _ in keys)
    return Stage(node.category, expr, by, actions, required_tests(expr, scope.known), optional, missing)


def _keys(nodes: tuple[ast.Node, ...], scope: Scope) -> _Keys:
    out: _Keys = []
    for node in nodes:
        if not isinstance(node, ast.Name):
            raise QueryError(node.pos, "a join key must be a field", "an expression is no key")
        out.append((node, scope.find(node)))
    return out


def _check_keys(item: ast.Item, own: _Keys, before: Sequence[_Keys]) -> None:
    """Check an item's keys against those of the items before it: as many, and each of the type of the first that has
    one; a field that does not exist is null and goes with every type."""
    if before and len(own) != len(before[0]):
        raise QueryError(item.pos, f"number of join keys: {len(own)} in this item, {len(before[0])} in the first",
                    "every item needs the same number")  # fmt: skip
    for number, (name, field) in enumerate(own):
        other = next((keys[number][1] for keys in before if keys[number][1] is not None), None)
        if field is not None and other is not None and _kind(field) != _kind(other):
            what = f"`{field.name}` is a {_kind(field)}, but an earlier item joins by `{other.name}`, a {_kind(other)}"
            raise QueryError(name.pos, what, "keys join only within one type")


def _kind(field: Field) -> str:
    return "number" if field.type in (EqlType.INT, EqlType.UINT, EqlType.FLOAT) else str(field.type)
