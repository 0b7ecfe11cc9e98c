"""States: what is known of a row when some of its fields have been looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.scanning.index.layout import Gates, Links, Mask
from kestrel_lab.engine.text.vectors import Vectors
from kestrel_lab.schema.epoch import Array

_MAX_BITS = 32 << 20  # of all states; beyond, they are forgotten and found anew


@dataclass(frozen=True, slots=True)
class Known:
    """What some states mean, a row each.

    Attributes:
        alive: units that may still want such rows.
        likely: tracked clauses of which a test passes or may pass; sure: of which one passes.
    """

    alive: Mask
    likely: Mask
    sure: Mask


class States:
    """The states of a table by number; 0 is that of rows that no unit wants.

    Attributes:
        tracked: clauses that one look at one field may leave open, by number.
        generation: numbers mean the same until it changes.
    """

    def __init__(self, gates: Gates) -> None:
        """Take the gates."""
        self._gates = gates
        fields = np.zeros(gates.needs.shape[1], np.int64)
        doubtful = np.zeros(gates.needs.shape[1], np.bool_)
        for of_field in gates.fields:
            fields[of_field.clauses] += 1
            doubtful[of_field.clauses[of_field.asks[of_field.doubtful].any(axis=0)]] = True
        self.tracked = np.flatnonzero((fields > 1) | doubtful)
        self._needs = Links(gates.needs[:, self.tracked])
        self.generation = 0
        self.forget()

    def forget(self) -> None:
        """Forget all of them."""
        self.generation += 1
        self._vectors = Vectors(len(self._gates.units) + 2 * len(self.tracked))
        units = self._gates.actions.T
        nothing = np.zeros((256, len(self.tracked)), np.bool_)
        self._first = self.number(Known(units, nothing, nothing)).astype(np.int32)

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def crowded(self) -> bool:
        """Whether there are too many."""
        return self._vectors.bits.size > _MAX_BITS

    def first(self, actions: Array) -> npt.NDArray[np.int32]:
        """Return the states of rows of which the action codes alone are known."""
        return self._first[actions]

    def known(self, states: Array) -> Known:
        """Return a copy of what states mean."""
        units, tracked = len(self._gates.units), len(self.tracked)
        bits = self._vectors.bits[states]
        return Known(bits[:, :units], bits[:, units : units + tracked], bits[:, units + tracked :])

    def alive(self, states: Array) -> Mask:
        """Return which units may still want rows in some states."""
        return self._vectors.bits[states, : len(self._gates.units)]

    def awaited(self, alive: Mask) -> Mask:
        """Return, for each row, the tracked clauses that living units need."""
        return self._needs.any_of(alive)

    def number(self, known: Known) -> npt.NDArray[np.uint32]:
        """Return the number of each state; of clauses that nobody needs any more nothing is kept."""
        awaited = self.awaited(known.alive)
        return self._vectors.number(np.concatenate([known.alive, known.likely & awaited, known.sure & awaited], axis=1))
