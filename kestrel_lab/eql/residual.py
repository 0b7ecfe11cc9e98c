"""What is left of a condition where it is known which actions the events are of."""

from __future__ import annotations

from collections.abc import Set

from kestrel_lab.eql.interest import may_be
from kestrel_lab.eql.ir import FALSE, TRUE, And, Expr, Not, Or, all_of, any_of, negation
from kestrel_lab.schema.schema import Schema


def residual(root: Expr, actions: Set[int], schema: Schema) -> Expr:
    """Return a condition that says the same of every event of the actions (codes), without what they decide alone."""
    mask = sum(1 << bit for bit, action in enumerate(schema.actions) if action.code in actions)
    work: list[tuple[Expr, bool]] = [(root, False)]
    results: list[Expr] = []
    while work:
        node, ready = work.pop()
        if not isinstance(node, And | Or | Not):
            true, false = may_be(node, schema)
            results.append(FALSE if not true & mask else TRUE if not false & mask else node)
            continue
        parts = (node.item,) if isinstance(node, Not) else node.items
        if not ready:
            work.append((node, True))
            work.extend((part, False) for part in reversed(parts))
            continue
        found = tuple(results[-len(parts) :])
        del results[-len(parts) :]
        results.append(_joined(node, found))
    return results.pop()


def _joined(node: And | Or | Not, items: tuple[Expr, ...]) -> Expr:
    if isinstance(node, Not):
        return negation(items[0])
    return all_of(items) if isinstance(node, And) else any_of(items)
