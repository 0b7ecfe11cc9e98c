"""A window: a run of rows of one table of an epoch, and the codes of its strings as far as they were asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.access import Coded, Dictionary, Numbers, resolve
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo

_UNKNOWN = -1


class Window:
    """Rows `start` to `stop` of a table of an epoch. Rows are counted from `start` everywhere here.

    Attributes:
        actions: their action codes; `present`: for each code, whether some row has it.
    """

    def __init__(self, info: SourceInfo, epoch: Epoch, table: str, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self.actions: Array = epoch.tables[table].column("action")[start:stop]
        self.present = np.bincount(self.actions, minlength=256).astype(np.bool_)
        self._info, self._epoch, self._table = info, epoch, table
        self._found: dict[str, tuple[Array, Coded]] = {}  # asked for once: for which rows, and what
        self._codes: dict[str, tuple[npt.NDArray[np.int32], Dictionary]] = {}  # asked for again: a code a row

    def __len__(self) -> int:
        return self.stop - self.start

    def halves(self) -> tuple[Window, Window]:
        """Return the two halves, apart."""
        middle = (self.start + self.stop) // 2
        return (Window(self._info, self._epoch, self._table, self.start, middle),
                Window(self._info, self._epoch, self._table, middle, self.stop))  # fmt: skip

    def resolve(self, field: str, rows: Array) -> Coded | Numbers:
        """Return a field of some of the rows."""
        return resolve(self._info, self._epoch, self._table, field, rows + self.start)

    def numbers(self, field: str, rows: Array) -> Numbers:
        """Return a number or boolean field of some of the rows.

        Raises:
            TypeError: if it is another kind of field.
        """
        found = self.resolve(field, rows)
        if not isinstance(found, Numbers):
            raise TypeError(f"{field} is no number")
        return found

    def coded(self, field: str, rows: Array) -> Coded:
        """Return a string, IP or array field of some of the rows; codes once found are remembered.

        Raises:
            TypeError: if it is another kind of field.
        """
        known = self._codes.get(field)
        if known is None:
            before = self._found.get(field)
            if before is None:
                coded = self._resolve(field, rows)
                self._found[field] = rows, coded
                return coded
            if before[0] is rows:
                return before[1]
            known = self._codes[field] = np.full(len(self), _UNKNOWN, np.int32), before[1].dictionary
            known[0][before[0]] = before[1].codes
        column, dictionary = known
        codes = column[rows]
        new = codes == _UNKNOWN
        if new.any():
            wanted = rows[new]
            column[wanted] = self._resolve(field, wanted).codes
            codes = column[rows]
        return Coded(codes, dictionary)

    def _resolve(self, field: str, rows: Array) -> Coded:
        found = self.resolve(field, rows)
        if not isinstance(found, Coded):
            raise TypeError(f"{field} is a number")
        return found


def union(parts: Sequence[Array], count: int) -> Array:
    """Return the rows, below `count`, that are in any part, rising. Each part rises."""
    if len(parts) == 1:
        return parts[0]
    marked = np.zeros(count, np.bool_)
    for part in parts:
        marked[part] = True
    return np.flatnonzero(marked)
