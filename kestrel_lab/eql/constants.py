"""Constants are computed at once: an expression of constants becomes its value."""

from __future__ import annotations

from dataclasses import replace

from kestrel_lab.eql.compute import Computation
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.steps import steps_of
from kestrel_lab.eql.typed import Kind, Node, constant, is_value


def fold_constants(node: Node, scope: Scope) -> Node:
    """Return the value of an expression all of whose operands are constants, any other expression as it is.

    Raises:
        QueryError: for a pattern that is refused.
    """
    if not node.args or not all(map(is_value, node.args)):
        return node
    if node.op in ("not", "and", "or") and any(arg.value is None for arg in node.args):
        return node  # what null is there depends on where the condition stands
    found = constant(node.pos, Computation(steps_of(node)).value(()))
    if found.kind is Kind.INT and node.kind in (Kind.UINT, Kind.UNUMBER):
        found = replace(found, kind=Kind.UINT)
    scope.note("fold constants", node, found)
    return found
