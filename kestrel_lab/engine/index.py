"""The index: which rows a stage has to look at. Stages whose actions are absent cost nothing; a stage sees only rows
that pass a test of every clause it has (its gates), found for all stages together, so that cost hardly grows with
their number.

Gates of short, much repeated strings come first, so that long ones are only looked at for rows that are still wanted.
A stage's rows depend on the stage and the rows alone, never on the other rules or on that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.classes import Classes
from kestrel_lab.engine.columns import ColumnMemory
from kestrel_lab.engine.plan import StagePlan, TablePlan, key_of_test
from kestrel_lab.engine.window import Window, union
from kestrel_lab.schema.epoch import Array

Candidates = tuple[StagePlan, Array]


@dataclass(frozen=True, slots=True)
class _Test:
    """A test of a gate: its field, and its column in the bits of the field's classes."""

    field: str
    classes: Classes
    number: int

    @property
    def ask(self) -> tuple[int, ...]:
        """What to ask the classes for: the test, if they do not know it by themselves."""
        return (self.number,) if self.classes.doubtful[self.number] else ()


_Gate: TypeAlias = tuple[_Test, ...]  # at least one of them must pass


@dataclass(frozen=True, slots=True, eq=False)
class _Gated:
    """A stage and its gates."""

    stage: StagePlan
    gates: tuple[_Gate, ...]


@dataclass(frozen=True, slots=True)
class _Cohort:
    """Rows that have passed the first `passed` gates of each member."""

    rows: Array
    passed: int
    members: Sequence[_Gated]


class _Open:
    """Stages without a gate that look at the same actions: they see all of those rows."""

    def __init__(self, stages: Sequence[StagePlan]) -> None:
        self._stages, self._actions = stages, stages[0].actions

    def candidates(self, window: Window) -> Iterator[Candidates]:
        if (self._actions & window.present).any():
            rows = np.flatnonzero(self._actions[window.actions])
            yield from ((stage, rows) for stage in self._stages)


class _Keyed:
    """Stages of which the first gate has a test of one field."""

    def __init__(self, members: Sequence[tuple[_Gated, _Test]]) -> None:
        self._field, self._classes = members[0][1].field, members[0][1].classes
        by_test: dict[int, dict[bytes, list[_Gated]]] = {}
        for gated, test in members:
            by_test.setdefault(test.number, {}).setdefault(gated.stage.actions.tobytes(), []).append(gated)
        self._tests = np.array(list(by_test))
        self._ask = tuple(dict.fromkeys(number for _, test in members for number in test.ask))
        self._stages = [list(of_test.values()) for of_test in by_test.values()]
        self._actions = np.logical_or.reduce([gated.stage.actions for gated, _ in members])
        self._any = np.zeros(0, np.bool_)
        self._version = (0, 0)

    def rows(self, window: Window) -> Iterator[tuple[Array, list[_Gated]]]:
        """Return the rows that pass one of the tests of this field, with the stages that they pass it for."""
        if not (self._actions & window.present).any():
            return
        rows = np.flatnonzero(self._actions[window.actions])
        classes = self._classes.of(window.coded(self._field, rows), self._ask)
        hit = np.flatnonzero(self._passing()[classes])
        if not len(hit):
            return
        rows = rows[hit]
        distinct, inverse = np.unique(classes[hit], return_inverse=True)
        passed = self._classes.bits[distinct][:, self._tests]
        for number in np.flatnonzero(passed.any(axis=0)).tolist():
            of_test = rows[passed[inverse, number]]
            actions = window.actions[of_test]
            for members in self._stages[number]:
                own = of_test[members[0].stage.actions[actions]]
                if len(own):
                    yield own, members

    def _passing(self) -> npt.NDArray[np.bool_]:
        """Return for each class whether it passes any of the tests."""
        if self._version != self._classes.version:
            generation, known = self._version
            known = known if generation == self._classes.version[0] else 0
            new = self._classes.bits[known:][:, self._tests].any(axis=1)
            self._any = np.concatenate([self._any[:known], new])
            self._version = self._classes.version
        return self._any


class TableIndex:
    """The index of one table."""

    def __init__(self, plan: TablePlan, columns: ColumnMemory) -> None:
        by_actions: dict[bytes, list[StagePlan]] = {}
        by_field: dict[str, list[tuple[_Gated, _Test]]] = {}
        for stage in plan.stages:
            gated = _Gated(stage, tuple(_gate(plan, columns, stage, n) for n in range(len(stage.gates))))
            if not gated.gates:
                by_actions.setdefault(stage.actions.tobytes(), []).append(stage)
            for test in gated.gates[0] if gated.gates else ():
                by_field.setdefault(test.field, []).append((gated, test))
        self._open = [_Open(stages) for stages in by_actions.values()]
        self._keyed = [_Keyed(members) for members in by_field.values()]

    def candidates(self, window: Window) -> list[Candidates]:
        """Return, for each stage that has any, the rows it has to look at (counted from the window's start, rising).

        Stages come in (rule, stage) order.
        """
        found = [c for group in self._open for c in group.candidates(window)]
        cohorts = self._first(window)
        while cohorts:
            further: list[_Cohort] = []
            for cohort in cohorts:
                members = [m for m in cohort.members if cohort.passed < len(m.gates)]
                found += [(m.stage, cohort.rows) for m in cohort.members if cohort.passed == len(m.gates)]
                if members:
                    further.append(_Cohort(cohort.rows, cohort.passed, members))
            cohorts = [c for cohort in further for c in _through_gate(window, cohort)]
        return sorted(found, key=lambda c: (c[0].rule, c[0].number))

    def _first(self, window: Window) -> list[_Cohort]:
        """Return the stages with the rows that pass their first gate."""
        out: list[_Cohort] = []
        parts: dict[_Gated, list[Array]] = {}
        for group in self._keyed:
            for rows, members in group.rows(window):
                out.append(_Cohort(rows, 1, [m for m in members if len(m.gates[0]) == 1]))
                for member in members:
                    if len(member.gates[0]) > 1:
                        parts.setdefault(member, []).append(rows)
        return out + [_Cohort(union(rows, len(window)), 1, [member]) for member, rows in parts.items()]


def _gate(plan: TablePlan, columns: ColumnMemory, stage: StagePlan, number: int) -> _Gate:
    tests = ((test, columns.classes_of(plan.table, test.field)) for test in stage.gates[number])
    return tuple(_Test(test.field, classes, classes.number_of(key_of_test(test))) for test, classes in tests)


def _through_gate(window: Window, cohort: _Cohort) -> Iterator[_Cohort]:
    """Return what is left of a cohort after the next gate of each member."""
    by_field: dict[str, list[_Gated]] = {}
    for member in cohort.members:
        gate = member.gates[cohort.passed]
        if len(gate) == 1:
            by_field.setdefault(gate[0].field, []).append(member)
        else:
            rows = _through_any(window, cohort.rows, gate)
            if len(rows):
                yield _Cohort(rows, cohort.passed + 1, [member])
    for members in by_field.values():
        yield from _through_tests(window, cohort, members)


def _through_tests(window: Window, cohort: _Cohort, members: Sequence[_Gated]) -> Iterator[_Cohort]:
    """Put a test of the same field for each member to the rows, all members at once."""
    by_test: dict[int, list[_Gated]] = {}
    for member in members:
        by_test.setdefault(member.gates[cohort.passed][0].number, []).append(member)
    tests = [of_test[0].gates[cohort.passed][0] for of_test in by_test.values()]
    classes, rows = tests[0].classes, cohort.rows
    ask = tuple(number for test in tests for number in test.ask)
    distinct, inverse = np.unique(classes.of(window.coded(tests[0].field, rows), ask), return_inverse=True)
    passed = classes.bits[distinct][:, list(by_test)]
    of_tests = list(by_test.values())
    for number in np.flatnonzero(passed.any(axis=0)).tolist():
        yield _Cohort(rows[passed[inverse, number]], cohort.passed + 1, of_tests[number])


def _through_any(window: Window, rows: Array, gate: _Gate) -> Array:
    """Return the rows that pass any test of a gate; later tests only look at rows that are still out."""
    through = np.zeros(len(rows), np.bool_)
    for test in gate:
        out = np.flatnonzero(~through)
        if len(out):
            classes = test.classes.of(window.coded(test.field, rows[out]), test.ask)
            through[out] = test.classes.bits[classes, test.number]
    return rows[through]
