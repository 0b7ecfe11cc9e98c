"""What the scan of an epoch has found so far: rows that passed, fuel, and rules that stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from kestrel_lab.engine.scanning.plan import StagePlan
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.values import Value

#: A stage on a table.
Place: TypeAlias = tuple[str, StagePlan]
#: Values that a rule made itself, by name, one for each of some rows.
Made: TypeAlias = Mapping[str, list[Value]]


class Progress:
    """One scan under way. Rules are named by their position in the pack.

    Attributes:
        left: fuel by rule, as the runtime counts it; `used`: as it is told.
        stopped: by rule that ran out of fuel or trapped, its limit and whether it trapped.
        hits: rows that passed; `made`: what rules captured of them themselves.
    """

    def __init__(self, fuel: int) -> None:
        self._fuel = fuel
        self.left: dict[int, int] = {}
        self.stopped: dict[int, tuple[int, bool]] = {}
        self.used: dict[int, int] = {}
        self.hits: dict[Place, list[Array]] = {}
        self.made: dict[Place, Made] = {}
        self.evaluations = 0
        self._charged: dict[Place, int] = {}

    def fuel_left(self, rule: int) -> int:
        """Return what a rule may still use."""
        return self.left.get(rule, self._fuel)

    def epochs_begun(self, which: Place, holding: Holding) -> int:
        """Return how many epochs rows (after those of earlier calls) are the first candidates of."""
        last = self._charged.get(which, -1)
        self._charged[which] = holding.last
        return holding.epochs - int(holding.first == last)

    def stop(self, rule: int, limit: int, *, trapped: bool) -> None:
        """Give a rule up that ran out of fuel or trapped: it has no figure, and counts as having used its limit."""
        self.left[rule] = 0
        self.used[rule] = limit
        self.stopped[rule] = limit, trapped


class Holding(NamedTuple):
    """Which epochs of a span hold some of certain rows: the first, the last, and how many."""

    first: int
    last: int
    epochs: int

    @classmethod
    def of(cls, rows: Array, starts: Array) -> Holding:
        """Return it for rows (rising, at least one), given the row that each epoch begins with."""
        if len(starts) == 1:
            return cls(0, 0, 1)
        epochs = np.flatnonzero(np.diff(np.searchsorted(rows, starts), append=len(rows)))
        return cls(int(epochs[0]), int(epochs[-1]), len(epochs))
