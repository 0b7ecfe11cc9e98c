"""The index of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kestrel_lab.engine.scanning.columns import ColumnMemory
from kestrel_lab.engine.scanning.index.layout import Gates, gates_of
from kestrel_lab.engine.scanning.index.looks import FirstLook, SecondLook
from kestrel_lab.engine.scanning.index.states import States
from kestrel_lab.engine.scanning.index.step import Step
from kestrel_lab.engine.scanning.plan import StagePlan, TablePlan
from kestrel_lab.engine.scanning.window import Window
from kestrel_lab.engine.text.classes import TooManyClassesError
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import Schema

Candidates = tuple[StagePlan, Array]


class TableIndex:
    """The index of one table. A stage's rows depend on the stage and the rows alone, never on the other stages."""

    def __init__(self, plan: TablePlan, columns: ColumnMemory, schema: Schema) -> None:
        """Take the stages of the table."""
        by_actions: dict[bytes, list[StagePlan]] = {}
        for stage in plan.stages:
            if not stage.gates:
                by_actions.setdefault(stage.actions.tobytes(), []).append(stage)
        self._open = [_Open(stages) for stages in by_actions.values()]
        self._gates = gates_of(plan, columns, schema)
        self._states = States(self._gates)
        self._steps = list(_steps(self._states, self._gates))

    def candidates(self, window: Window) -> list[Candidates]:
        """Return, for each stage that has any, the rows it has to look at (counted from the window's start, rising).

        Stages come in (rule, stage) order. Stages that look at the same rows may share one array.

        Raises:
            TooManyClassesError: if the rows are too different from each other; fewer of them may do.
        """
        found = [c for group in self._open for c in group.candidates(window)]
        if self._gates.units:
            if self._states.crowded:
                self._states.forget()
            states = self._states.first(window.actions)
            for step in self._steps:
                step.advance(window, states)
                if self._states.crowded and len(window) > 1:
                    raise TooManyClassesError
            found += self._by_stage(states)
        return sorted(found, key=lambda c: (c[0].rule, c[0].number))

    def _by_stage(self, states: Array) -> Iterator[Candidates]:
        """Yield the rows of each living unit, given the last state of each row."""
        rows = np.flatnonzero(states)
        own_states = states.take(rows)
        counts = np.bincount(own_states)
        present = np.flatnonzero(counts)
        places = np.zeros(len(counts), np.uint16)  # small integers are sorted by radix
        places[present] = np.arange(len(present))
        alive = self._states.alive(present)
        order = np.argsort(places.take(own_states), kind="stable")
        by_state = np.split(rows.take(order), np.cumsum(counts[present])[:-1])
        shared: dict[bytes, Array] = {}
        for unit in np.flatnonzero(alive.any(axis=0)).tolist():
            which = alive[:, unit]
            key = which.tobytes()
            own = shared.get(key)
            if own is None:
                parts = [by_state[n] for n in np.flatnonzero(which).tolist()]
                own = shared[key] = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
            yield from ((stage, own) for stage in self._gates.units[unit])


class _Open:
    """Stages without a clause that look at the same actions: they see all of those rows."""

    def __init__(self, stages: Sequence[StagePlan]) -> None:
        self._stages, self._actions = stages, stages[0].actions

    def candidates(self, window: Window) -> Iterator[Candidates]:
        if (self._actions & window.present).any():
            rows = np.flatnonzero(self._actions[window.actions])
            yield from ((stage, rows) for stage in self._stages)


def _steps(states: States, gates: Gates) -> Iterator[Step]:
    """Yield all first looks, then all second ones, each with the clauses that it is the last for."""
    tracked = set(states.tracked.tolist())
    closed: set[int] = set()
    first, second = list[Step](), list[Step]()
    for field in reversed(gates.fields):
        closing = [c for c in field.clauses.tolist() if c in tracked and c not in closed]
        closed.update(closing)
        first.append(Step(states, field, FirstLook(states, gates, field, np.array(closing, np.int64))))
    closed.clear()
    for field in reversed(gates.fields):
        doubtful = field.clauses[field.asks[field.doubtful].any(axis=0)].tolist()
        closing = [c for c in doubtful if c not in closed]
        closed.update(closing)
        if doubtful:
            second.append(Step(states, field, SecondLook(states, gates, field, np.array(closing, np.int64))))
    yield from [*reversed(first), *reversed(second)]
