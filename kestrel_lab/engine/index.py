"""The index: which rows a stage has to look at. Stages whose actions are absent cost nothing; a stage with a required
text test sees only rows that pass it, found for all stages together, so that cost hardly grows with their number.

A stage's rows depend on the stage and the rows alone, never on the other rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.classes import Classes
from kestrel_lab.engine.columns import ColumnMemory, Window
from kestrel_lab.engine.plan import StagePlan, TablePlan, key_of_test
from kestrel_lab.schema.epoch import Array

Candidates = tuple[StagePlan, Array]


class _Open:
    """Stages without a key that look at the same actions: they see all of those rows."""

    def __init__(self, stages: Sequence[StagePlan]) -> None:
        self._stages, self._actions = stages, stages[0].actions

    def candidates(self, window: Window, present: npt.NDArray[np.bool_]) -> Iterator[Candidates]:
        if (self._actions & present).any():
            rows = np.flatnonzero(self._actions[window.actions])
            yield from ((stage, rows) for stage in self._stages)


class _Keyed:
    """Stages with a required test of one field."""

    def __init__(self, field: str, stages: Sequence[StagePlan], classes: Classes) -> None:
        self._field, self._classes = field, classes
        by_test: dict[int, list[StagePlan]] = {}
        for stage in stages:
            if stage.key is not None:
                by_test.setdefault(classes.number_of(key_of_test(stage.key)), []).append(stage)
        self._tests = np.array(list(by_test))
        self._stages = list(by_test.values())
        self._actions = np.logical_or.reduce([stage.actions for stage in stages])
        self._any = np.zeros(0, np.bool_)
        self._version = (0, 0)

    def candidates(self, window: Window, present: npt.NDArray[np.bool_]) -> Iterator[Candidates]:
        if not (self._actions & present).any():
            return
        rows = np.flatnonzero(self._actions[window.actions])
        classes = self._classes.of(window.coded(self._field, rows))
        hit = np.flatnonzero(self._passing()[classes])
        if not len(hit):
            return
        rows = rows[hit]
        distinct, inverse = np.unique(classes[hit], return_inverse=True)
        passed = self._classes.bits[distinct][:, self._tests]
        for number in np.flatnonzero(passed.any(axis=0)).tolist():
            of_test = rows[passed[inverse, number]]
            actions = window.actions[of_test]
            for stage in self._stages[number]:
                own = of_test[stage.actions[actions]]
                if len(own):
                    yield stage, own

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
        by_field: dict[str, list[StagePlan]] = {}
        for stage in plan.stages:
            if stage.key is None:
                by_actions.setdefault(stage.actions.tobytes(), []).append(stage)
            else:
                by_field.setdefault(stage.key.field, []).append(stage)
        self._groups: list[_Open | _Keyed] = [_Open(stages) for stages in by_actions.values()]
        self._groups += [
            _Keyed(field, stages, columns.classes_of(plan.table, field)) for field, stages in by_field.items()
        ]

    def candidates(self, window: Window) -> list[Candidates]:
        """Return, for each stage that has any, the rows it has to look at (counted from the window's start, rising).

        Stages come in (rule, stage) order.
        """
        present = np.bincount(window.actions, minlength=256).astype(np.bool_)
        found = [c for group in self._groups for c in group.candidates(window, present)]
        return sorted(found, key=lambda c: (c[0].rule, c[0].number))
