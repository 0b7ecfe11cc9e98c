"""What a look at a field says: the first takes what may pass as passing, the second decides what is still open."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kestrel_lab.engine.scanning.index.layout import FieldGates, Gates, Links, Mask
from kestrel_lab.engine.scanning.index.states import Known, States
from kestrel_lab.schema.epoch import Array


class Look(Protocol):
    """One look at one field. Rows of all arguments belong together."""

    def wanted(self, known: Known) -> Mask:
        """Return which states want to know the field."""
        ...

    def asked(self, known: Known, passed: Mask, maybe: Mask) -> Mask:
        """Return which tests of the field must be decided first (a column each), of what passes and what may."""
        ...

    def after(self, known: Known, passed: Mask, maybe: Mask) -> Known:
        """Return what is known after it."""
        ...


class _Clauses:
    """The clauses of a field, and those that it closes: of which it is the last that such looks are for."""

    def __init__(self, states: States, gates: Gates, field: FieldGates, closing: Array) -> None:
        place = {clause: place for place, clause in enumerate(states.tracked.tolist())}
        self.states, self.field = states, field
        tracked = np.array([clause in place for clause in field.clauses.tolist()], np.bool_)
        self.columns = np.flatnonzero(tracked)  # of the clauses of the field that are tracked,
        self.places = np.array([place[c] for c in field.clauses[tracked].tolist()], np.int64)  # these
        self.alone = np.flatnonzero(~tracked)
        self.closing = np.array([place[c] for c in closing.tolist()], np.int64)
        self._needs_closing = Links(gates.needs[:, closing].T)

    def closed(self, alive: Mask, clauses: Mask) -> Mask:
        """Return which units live on, given what of the tracked clauses is so."""
        return alive & ~self._needs_closing.any_of(~clauses[:, self.closing])

    def open(self, known: Known) -> Mask:
        """Return which tracked clauses of the field somebody needs that are not sure yet."""
        return (self.states.awaited(known.alive) & ~known.sure)[:, self.places]


class FirstLook:
    """Satisfies `Look`."""

    def __init__(self, states: States, gates: Gates, field: FieldGates, closing: Array) -> None:
        """Take the field, and the tracked clauses of which it is the last field."""
        self._clauses = _Clauses(states, gates, field, closing)
        needs_alone = gates.needs[:, field.clauses[self._clauses.alone]]
        self._needing = needs_alone.any(axis=1)  # units that one look decides something for
        self._needs_alone, self._asks = Links(needs_alone.T), Links(field.asks)

    def wanted(self, known: Known) -> Mask:
        """Return which states want to know the field."""
        return _any(np.concatenate([known.alive & self._needing, self._clauses.open(known)], axis=1))

    def asked(self, known: Known, passed: Mask, maybe: Mask) -> Mask:
        """Return that nothing must be decided."""
        return np.zeros_like(passed)

    def after(self, known: Known, passed: Mask, maybe: Mask) -> Known:
        """Return what is known after it."""
        clauses = self._clauses
        sure, likely = self._asks.any_of(passed), self._asks.any_of(passed | maybe)
        alive = known.alive & ~self._needs_alone.any_of(~sure[:, clauses.alone])
        known.sure[:, clauses.places] |= sure[:, clauses.columns]
        known.likely[:, clauses.places] |= likely[:, clauses.columns]
        return Known(clauses.closed(alive, known.likely), known.likely, known.sure)


class SecondLook:
    """Satisfies `Look`. It is for doubtful tests alone: all others have been seen to."""

    def __init__(self, states: States, gates: Gates, field: FieldGates, closing: Array) -> None:
        """Take the field, and the tracked clauses of which it is the last field with a doubtful test."""
        self._clauses = _Clauses(states, gates, field, closing)
        asks = field.asks & field.doubtful[:, None]
        self._asks, self._asked_by = Links(asks), Links(asks[:, self._clauses.columns].T)
        self._doubtful = asks[:, self._clauses.columns].any(axis=0)

    def wanted(self, known: Known) -> Mask:
        """Return which states want to know the field."""
        return _any(self._open(known))

    def asked(self, known: Known, passed: Mask, maybe: Mask) -> Mask:
        """Return which tests of the field must be decided first."""
        open_ = self._open(known) & ~self._asks.any_of(passed)[:, self._clauses.columns]
        return self._asked_by.any_of(open_) & maybe

    def after(self, known: Known, passed: Mask, maybe: Mask) -> Known:
        """Return what is known after it."""
        clauses = self._clauses
        known.sure[:, clauses.places] |= self._asks.any_of(passed)[:, clauses.columns]
        return Known(clauses.closed(known.alive, known.sure), known.likely, known.sure)

    def _open(self, known: Known) -> Mask:
        return self._clauses.open(known) & self._doubtful


def _any(rows: Mask) -> Mask:
    found: Mask = np.logical_or.reduce(rows, axis=1)
    return found
