"""What an index may know about a condition: the actions it can hold for, and tests that every hit passes.

Both are safe guesses: an action is left out, or a test required, only where the condition is surely false otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kestrel_lab.eql.compute import computation, passes_value
from kestrel_lab.eql.ir import And, Computed, Const, Expr, Leaf, Not, Or, TextLeaf, fields_of
from kestrel_lab.eql.leaftests import TextTest
from kestrel_lab.schema.actions import Action
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import ByAction, Constant, Field

#: Bit sets over a schema's actions: where a condition may be true, and where it may be false.
_May: TypeAlias = tuple[int, int]


def actions_of(category: str | None, expr: Expr, schema: Schema) -> frozenset[int]:
    """Return the codes of the actions that are of the category and for which the condition may be true."""
    may = _may(expr, schema)[0]
    return frozenset(
        action.code
        for bit, action in enumerate(schema.actions)
        if may >> bit & 1 and (category is None or category in action.event_categories)
    )


def required_tests(expr: Expr, known: Mapping[str, Field]) -> tuple[TextTest, ...]:
    """Return the text tests that stand as conjuncts at the top, the most selective kind first.

    Tests of what the action alone decides are left out: `actions_of` has used them.
    """
    items = expr.items if isinstance(expr, And) else (expr,)
    tests = [i.test for i in items if isinstance(i, TextLeaf)]
    useful = [t for t in tests if not isinstance(known[t.field].source, ByAction)]
    return tuple(sorted(dict.fromkeys(useful), key=lambda t: _selectivity(t, known)))


def _selectivity(test: TextTest, known: Mapping[str, Field]) -> tuple[bool, int, int]:
    kinds = ("equal", "address", "prefix", "suffix", "contains", "like", "cidr")
    rank = kinds.index(test.op) if test.op in kinds else len(kinds)
    return isinstance(known[test.field].source, Constant), rank, len(test.patterns)


def _may(root: Expr, schema: Schema) -> _May:
    whole = (1 << len(schema.actions)) - 1
    work: list[tuple[Expr, bool]] = [(root, False)]
    results: list[_May] = []
    while work:
        node, ready = work.pop()
        if not isinstance(node, And | Or | Not):
            results.append(_leaf(node, schema, whole))
            continue
        parts = (node.item,) if isinstance(node, Not) else node.items
        if not ready:
            work.append((node, True))
            work.extend((p, False) for p in parts)
            continue
        found = results[-len(parts) :]
        del results[-len(parts) :]
        results.append(_combine(node, found, whole))
    return results.pop()


def _combine(node: And | Or | Not, parts: Sequence[_May], whole: int) -> _May:
    if isinstance(node, Not):
        return parts[0][1], parts[0][0]
    every, some = whole, 0
    for true, false in parts if isinstance(node, And) else ((f, t) for t, f in parts):
        every, some = every & true, some | false
    return (every, some) if isinstance(node, And) else (some, every)


def may_be(leaf: Leaf, schema: Schema) -> tuple[int, int]:
    """Return for which actions a leaf may be true, and for which false: bit sets over the schema's actions."""
    return _leaf(leaf, schema, (1 << len(schema.actions)) - 1)


def _leaf(leaf: Leaf, schema: Schema, whole: int) -> _May:
    if isinstance(leaf, Const):
        return (whole, 0) if leaf.value else (0, whole)
    true = false = 0
    fields = [schema.fields[name] for name in fields_of(leaf)]
    for bit, action in enumerate(schema.actions):
        holds = _computed(leaf, fields, action) if isinstance(leaf, Computed) else _holds(leaf, fields[0], action)
        true |= (holds is not False) << bit
        false |= (holds is not True) << bit
    return true, false


def _computed(leaf: Computed, fields: Sequence[Field], action: Action) -> bool | None:
    """Return the same as `_holds`: it is known where the action has none of the fields."""
    if any(action.table in field.tables for field in fields):
        return None
    return computation(leaf.test).holds([None] * len(fields))


def _holds(leaf: Leaf, field: Field, action: Action) -> bool | None:
    """Return whether a leaf holds for every event of an action (True), for none (False), or it depends (None)."""
    if action.table not in field.tables:
        return False
    if not isinstance(field.source, ByAction):
        return None
    if not isinstance(leaf, TextLeaf):
        return True  # present: an action always has its words
    value = getattr(action, field.source.attribute)
    return passes_value(leaf.test, tuple(w.encode() for w in value) if isinstance(value, tuple) else value.encode())
