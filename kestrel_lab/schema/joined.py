"""The rows of several epochs as one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array, Rows


class JoinedRows:
    """The rows of several epochs of one table, one after the other. Satisfies `Rows`."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._rows = sum(map(len, parts))
        self._columns: dict[str, Array] = {}

    def __len__(self) -> int:
        return self._rows

    def column(self, name: str) -> Array:
        """Return a physical column.

        Raises:
            KeyError: if the table has no such column.
        """
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = np.concatenate([part.column(name) for part in self._parts])
        return found

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return which rows have a value, None if all have."""
        masks = [part.valid(name) for part in self._parts]
        if all(mask is None for mask in masks):
            return None
        pairs = zip(masks, self._parts, strict=True)
        return np.concatenate([np.ones(len(part), np.bool_) if mask is None else mask for mask, part in pairs])

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Raise KeyError: event tables hold no lists; entities do."""
        raise KeyError(name)
