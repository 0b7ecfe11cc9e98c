"""What an index finds the rows of a stage by, and what that leaves open of its condition.

Rows that come out of the index are of the stage's actions and pass its clauses and bars, all of them and for sure. So
what these say of a condition need not be evaluated again: of many, nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kestrel_lab.engine.packs.gates import Clause, bars_of, clauses_of, decides
from kestrel_lab.eql import Program, Stage, TextTest
from kestrel_lab.eql.ir import Expr, all_of, conjuncts
from kestrel_lab.eql.residual import residual
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A stage through the index.

    Attributes:
        gates, bars: a row that it finds passes a test of each gate, and no bar.
        left: what holds, of those rows, for the ones that satisfy the stage.
    """

    gates: tuple[Clause, ...]
    bars: tuple[TextTest, ...]
    left: Expr


def narrowed(stage: Stage, schema: Schema) -> Narrowed:
    """Return what an index finds a stage's rows by, and what is left of its condition."""
    expr = all_of(conjuncts(residual(stage.expr, stage.actions, schema)))
    gates, bars = clauses_of(expr, schema.fields), bars_of(expr, schema.fields)
    left = tuple(item for item in conjuncts(expr) if not decides(gates, bars, item))
    return Narrowed(gates, bars, all_of(left))


def left_of(program: Program, schema: Schema) -> Program:
    """Return a program of what is left of each condition."""
    left = {id(s): replace(s, expr=narrowed(s, schema).left) for s in program.distinct_stages}
    until = None if program.until is None else left[id(program.until)]
    return replace(program, stages=tuple(left[id(stage)] for stage in program.stages), until=until)
