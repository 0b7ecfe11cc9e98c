"""What is left of a condition where it is known which actions the events are of."""

from __future__ import annotations

from collections.abc import Set

from kestrel_lab.eql.interest import may_be
from kestrel_lab.eql.ir import FALSE, TRUE, And, Expr, Not, Or, all_of, any_of, negation
from kestrel_lab.eql.typed import fold_tree
from kestrel_lab.schema.schema import Schema


def residual(root: Expr, actions: Set[int], schema: Schema) -> Expr:
    """Return a condition that says the same of every event of the actions (codes), without what they decide alone.

    In it, `not` stands over leaves only.
    """
    mask = sum(1 << bit for bit, action in enumerate(schema.actions) if action.code in actions)

    def joined(signed: _Signed, found: tuple[Expr, ...]) -> Expr:
        node, sense = signed
        if isinstance(node, Not):
            return found[0]
        if isinstance(node, And | Or):
            return all_of(found) if isinstance(node, And) == sense else any_of(found)
        true, false = may_be(node, schema)
        left = FALSE if not true & mask else TRUE if not false & mask else node
        return left if sense else negation(left)

    return fold_tree((root, True), _parts, joined)


#: A part of a condition, and whether it stands under an even number of `not`.
_Signed = tuple[Expr, bool]


def _parts(signed: _Signed) -> tuple[_Signed, ...]:
    node, sense = signed
    if isinstance(node, Not):
        return ((node.item, not sense),)
    return tuple((item, sense) for item in node.items) if isinstance(node, And | Or) else ()
