"""What an index finds the rows of a stage by, and what that leaves open of its condition.

Rows that come out of the index are of the stage's actions and pass its clauses, all of them and for sure. So what these
say of a condition need not be evaluated again: of many, nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kestrel_lab.engine.packs.gates import Clause, implied, ordered
from kestrel_lab.eql import Program, Stage
from kestrel_lab.eql.ir import And, Expr, all_of
from kestrel_lab.eql.residual import residual
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A stage through the index.

    Attributes:
        gates: a row that it finds passes a literal of each.
        left: what holds, of those rows, for the ones that satisfy the stage.
    """

    gates: tuple[Clause, ...]
    left: Expr


def narrowed(stage: Stage, schema: Schema) -> Narrowed:
    """Return what an index finds a stage's rows by, and what is left of its condition."""
    expr = residual(stage.expr, stage.actions, schema)
    items = expr.items if isinstance(expr, And) else (expr,)
    found = [(item, implied(item, schema.fields)) for item in items]
    gates = ordered((clause for _, of in found for clause in of.clauses), schema.fields)
    return Narrowed(gates, all_of(tuple(item for item, of in found if not of.exact)))


def left_of(program: Program, schema: Schema) -> Program:
    """Return a program of what is left of each condition."""
    left = {id(s): replace(s, expr=narrowed(s, schema).left) for s in program.distinct_stages}
    until = None if program.until is None else left[id(program.until)]
    return replace(program, stages=tuple(left[id(stage)] for stage in program.stages), until=until)
