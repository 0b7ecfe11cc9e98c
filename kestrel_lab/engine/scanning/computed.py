"""Columns of computed tests: numbers a column at a time, everything else once per distinct combination of values.

What a row gets depends on its own values alone, however rows are cut into windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.scanning.vector import evaluate, is_vectorised
from kestrel_lab.eql.compute import Computation, FieldValue
from kestrel_lab.eql.leaftests import ScalarTest
from kestrel_lab.schema.access import Coded, Numbers, lookup
from kestrel_lab.schema.epoch import Array

_MEMO = 65_536  # combinations that are remembered between calls


class ComputedColumn:
    """One computed test over the rows that it is asked for."""

    def __init__(self, test: ScalarTest) -> None:
        self._test, self._computation, self._vectorised = test, Computation(test), is_vectorised(test)
        self._memo: dict[tuple[object, ...], bool] = {}

    def column(self, values: Sequence[Coded | Numbers]) -> npt.NDArray[np.bool_]:
        """Return for each row whether the test is true, given the columns of its fields in their order."""
        rows = len(values[0].codes if isinstance(values[0], Coded) else values[0].values)
        numbers = [found for found in values if isinstance(found, Numbers)]
        if self._vectorised and len(numbers) == len(values):
            return evaluate(self._test, dict(zip(self._test.fields, numbers, strict=True)), rows)
        if rows == 0:
            return np.zeros(0, np.bool_)
        distinct, places = zip(*map(_distinct, values), strict=True)
        combinations, inverse = np.unique(np.column_stack(places), axis=0, return_inverse=True)
        holds = [self._holds([d[i] for d, i in zip(distinct, row, strict=True)]) for row in combinations.tolist()]
        return np.array(holds, np.bool_)[inverse.reshape(-1)]

    def _holds(self, values: Sequence[FieldValue]) -> bool:
        key = tuple(map(_key, values))
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            found = self._memo[key] = self._computation.holds(values)
        return found


def _distinct(found: Coded | Numbers) -> tuple[Sequence[FieldValue], Array]:
    """Return the distinct values of a column, and each row's index into them."""
    if isinstance(found, Coded):
        codes, inverse = np.unique(found.codes, return_inverse=True)
        if found.dictionary.alike is not None:
            codes, again = np.unique(found.dictionary.alike(codes), return_inverse=True)
            inverse = again[inverse]
        return lookup(found.dictionary, codes.tolist()), inverse
    bits = found.values.view("u8") if found.values.dtype == np.float64 else found.values
    distinct, inverse = np.unique(bits, return_inverse=True)
    if found.valid is not None:
        inverse = np.where(found.valid, inverse, len(distinct))
    return [*distinct.view(found.values.dtype).tolist(), None], inverse


def _key(value: FieldValue) -> object:
    """Return what tells a value from every other: 1, 1.0, True, 0.0 and -0.0 are five."""
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return value.hex() if isinstance(value, float) else (type(value), value)
