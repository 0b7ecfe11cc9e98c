"""The gates of a table's stages as matrices: which clauses a stage needs, which literals of which field they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.packs.gates import Clause, cost
from kestrel_lab.engine.scanning.columns import ColumnMemory
from kestrel_lab.engine.scanning.plan import StagePlan, TablePlan
from kestrel_lab.engine.text.classes import Classes, key_of_test
from kestrel_lab.schema.schema import Schema

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FieldGates:
    """What the clauses ask of one field.

    Attributes:
        clauses: those with a literal of it, rising.
        tests: of the literals, columns of the bits of `classes`; holds: whether the test is to pass; doubtful: of each.
        asks: literals x clauses, which clause has which.
    """

    field: str
    classes: Classes
    clauses: npt.NDArray[np.int64]
    tests: npt.NDArray[np.int64]
    holds: Mask
    asks: Mask
    doubtful: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """The stages of a table that have clauses; those with the same ones and the same actions are one unit.

    Attributes:
        units: the stages of each.
        actions: units x 256: for each action code, whether they look at it.
        needs: units x clauses.
        fields: in the order of what it costs to know them.
    """

    units: Sequence[Sequence[StagePlan]]
    actions: Mask
    needs: Mask
    fields: Sequence[FieldGates]


def gates_of(plan: TablePlan, columns: ColumnMemory, schema: Schema) -> Gates:
    """Return the gates of the stages of a table."""
    units: dict[tuple[bytes, frozenset[Clause]], list[StagePlan]] = {}
    for stage in plan.stages:
        if stage.gates:
            units.setdefault((stage.actions.tobytes(), frozenset(stage.gates)), []).append(stage)
    numbers = {clause: n for n, clause in enumerate(dict.fromkeys(c for s in plan.stages for c in s.gates))}
    needs = np.zeros((len(units), len(numbers)), np.bool_)
    for unit, (_, clauses) in enumerate(units):
        needs[unit, [numbers[clause] for clause in clauses]] = True
    actions = np.array([stages[0].actions for stages in units.values()], np.bool_).reshape(-1, 256)
    return Gates(list(units.values()), actions, needs, _fields(plan.table, numbers, columns, schema))


def _fields(table: str, numbers: Mapping[Clause, int], columns: ColumnMemory, schema: Schema) -> list[FieldGates]:
    dear: dict[str, int] = {}
    pairs: dict[str, list[tuple[tuple[int, bool], int]]] = {}
    for clause, number in numbers.items():
        for test, holds in clause:
            dear[test.field] = min(cost(test, schema.fields), dear.get(test.field, cost(test, schema.fields)))
            column = columns.classes_of(table, test.field).number_of(key_of_test(test))
            pairs.setdefault(test.field, []).append(((column, holds), number))
    fields = sorted(pairs, key=lambda f: (dear[f], f))
    return [_field(f, columns.classes_of(table, f), pairs[f]) for f in fields]


def _field(field: str, classes: Classes, pairs: Sequence[tuple[tuple[int, bool], int]]) -> FieldGates:
    literals = {literal: place for place, literal in enumerate(dict.fromkeys(literal for literal, _ in pairs))}
    clauses, place_of_clause = np.unique([clause for _, clause in pairs], return_inverse=True)
    asks = np.zeros((len(literals), len(clauses)), np.bool_)
    asks[[literals[literal] for literal, _ in pairs], place_of_clause] = True
    tests = np.array([test for test, _ in literals], np.int64)
    holds = np.array([holds for _, holds in literals], np.bool_)
    return FieldGates(field, classes, clauses, tests, holds, asks, classes.doubtful[tests])


class Links:
    """Which columns each place of a mask counts for."""

    def __init__(self, table: Mask) -> None:
        """Take a table of places x columns."""
        columns, self._places = np.nonzero(table.T)
        self._width = table.shape[1]
        self._columns, self._starts = np.unique(columns, return_index=True)

    def any_of(self, what: Mask) -> Mask:
        """Return, for each row of a mask, which columns some true place of it counts for."""
        out = np.zeros((len(what), self._width), np.bool_)
        if len(self._columns):
            out[:, self._columns] = np.logical_or.reduceat(what[:, self._places], self._starts, axis=1)
        return out
