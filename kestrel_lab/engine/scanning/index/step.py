"""One look at one field, for many rows at once: from state to state by a table of (state, class of the value)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.scanning.index.layout import FieldGates, Mask
from kestrel_lab.engine.scanning.index.looks import Look
from kestrel_lab.engine.scanning.index.states import States
from kestrel_lab.engine.scanning.window import Window
from kestrel_lab.schema.access import Coded
from kestrel_lab.schema.epoch import Array

_UNKNOWN, _OPEN = -1, -2
_CELLS = 1 << 20  # of the table; if more are needed it is begun anew, and if one window needs more, not kept at all


class Step:
    """A look at a field, and what it has said before."""

    def __init__(self, states: States, field: FieldGates, look: Look) -> None:
        """Take the field and the look."""
        self._states, self._field, self._look = states, field, look
        self._version = (0, 0)

    def advance(self, window: Window, states: npt.NDArray[np.int32]) -> None:
        """Move the rows of a window to their next states, in place."""
        self._renew()
        rows = np.flatnonzero(self._wanted(states))
        if not len(rows):
            return
        coded, before = window.coded(self._field.field, rows), states.take(rows)
        after = self._next(before, self._field.classes.of(coded))
        left = np.flatnonzero(after == _OPEN)
        while len(left):
            part, now = Coded(coded.codes[left], coded.dictionary), before[left]
            after[left] = self._next(now, self._decided(now, part))
            left = left[after[left] == _OPEN]
        states[rows] = after

    def _renew(self) -> None:
        """Forget what was found with other numbers of states or classes."""
        version = self._states.generation, self._field.classes.version[0]
        if version != self._version:
            self._version = version
            self._wants = np.full(64, _UNKNOWN, np.int8)
            self._clear()

    def _clear(self) -> None:
        self._places, self._used = np.full(64, _UNKNOWN, np.int32), 0  # of states, in the table
        self._table = np.full((16, 16), _UNKNOWN, np.int32)

    def _wanted(self, states: Array) -> Mask:
        self._wants = _grown(self._wants, len(self._states))
        found = self._wants.take(states)
        new = found == _UNKNOWN
        if new.any():
            distinct = np.unique(states[new])
            self._wants[distinct] = self._look.wanted(self._states.known(distinct))
            found = self._wants[states]
        return found.view(np.bool_)

    def _next(self, states: Array, classes: Array) -> npt.NDArray[np.int32]:
        """Return the state that each becomes by a class; `_OPEN` where a test must be decided first."""
        count = len(self._field.classes.bits)
        if not self._has_room(states, count):
            pairs, inverse = np.unique(states.astype(np.int64) * count + classes, return_inverse=True)
            return self._found(*np.divmod(pairs, count))[inverse]
        cells = self._places.take(states) * np.int64(self._table.shape[1]) + classes
        found = self._table.take(cells)
        new = found == _UNKNOWN
        if new.any():
            pairs = np.unique(states[new].astype(np.int64) * count + classes[new])
            which, by = np.divmod(pairs, count)
            self._table[self._places[which], by] = self._found(which, by)
            found = self._table.take(cells)
        return found

    def _has_room(self, states: Array, classes: int) -> bool:
        """Give each of the states a place in the table; return whether there is room for them."""
        self._places = _grown(self._places, len(self._states))
        fresh = self._places.take(states) == _UNKNOWN
        new = np.unique(states[fresh]) if fresh.any() else states[:0]
        if (self._used + len(new)) * classes > _CELLS:
            self._clear()
            self._places, new = _grown(self._places, len(self._states)), np.unique(states)
            if len(new) * classes > _CELLS:
                return False
        self._places[new] = self._used + np.arange(len(new))
        self._used += len(new)
        rows, columns = self._table.shape
        if self._used > rows or classes > columns:
            grown = np.full((2 * self._used, 2 * classes), _UNKNOWN, np.int32)
            grown[:rows, :columns] = self._table[: len(grown), : grown.shape[1]]
            self._table = grown
        return True

    def _found(self, states: Array, classes: Array) -> npt.NDArray[np.int32]:
        known, (passed, maybe) = self._states.known(states), self._known_of(classes)
        open_ = self._look.asked(known, passed, maybe).any(axis=1)
        after = self._states.number(self._look.after(known, passed, maybe))
        return np.where(open_, np.int32(_OPEN), after.astype(np.int32))

    def _known_of(self, classes: Array) -> tuple[Mask, Mask]:
        """Return which literals of the field hold, and which may: those that do not are decided by the first look."""
        of_field = self._field
        passed = of_field.classes.bits[classes][:, of_field.tests] == of_field.holds
        return passed, of_field.classes.maybe[classes][:, of_field.tests]

    def _decided(self, states: Array, coded: Coded) -> npt.NDArray[np.uint32]:
        """Decide what the states ask of the values; return the classes that these have then."""
        classes = self._field.classes
        found = classes.of(coded)
        pairs, inverse = np.unique(states.astype(np.int64) * len(classes.bits) + found, return_inverse=True)
        which, by = np.divmod(pairs, len(classes.bits))
        asked = self._look.asked(self._states.known(which), *self._known_of(by))
        for test in np.flatnonzero(asked.any(axis=0)).tolist():
            rows = np.flatnonzero(asked[inverse, test])
            classes.of(Coded(coded.codes[rows], coded.dictionary), (int(self._field.tests[test]),))
        return classes.of(coded)


def _grown(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return values with room for so many, the new ones unknown."""
    if size <= len(values):
        return values
    return np.concatenate([values, np.full(2 * size - len(values), _UNKNOWN, values.dtype)])
