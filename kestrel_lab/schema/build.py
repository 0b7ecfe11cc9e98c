"""Segments and rows that grow in memory: what capture, import and tests fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import Physical

DTYPES: Mapping[Physical, str] = {
    Physical.CODE: "i4",
    Physical.JSON: "i4",
    Physical.CODES: "i4",
    Physical.REF: "u4",
    Physical.U8: "u1",
    Physical.U16: "u2",
    Physical.U32: "u4",
    Physical.U64: "u8",
    Physical.I32: "i4",
    Physical.I64: "i8",
    Physical.F64: "f8",
    Physical.BOOL: "?",
    Physical.BIN16: "V16",
}


class GrowingStrings:
    """An append-only dictionary; code 0 is the missing value."""

    def __init__(self) -> None:
        self._codes: dict[bytes, int] = {}
        self._values: list[bytes] = [b""]
        self.bytes = 0  #: bytes of all values

    def __len__(self) -> int:
        return len(self._values)

    def values(self, start: int, stop: int) -> list[bytes]:
        """Return the strings with codes `start` to `stop`, exclusive."""
        return self._values[start:stop]

    def code(self, value: bytes | None) -> int:
        """Return the code of a value, giving it the next one if it is new; None is 0."""
        if value is None:
            return 0
        found = self._codes.get(value)
        if found is None:
            found = self._codes[value] = len(self._values)
            self._values.append(value)
            self.bytes += len(value)
        return found

    def codes(self, values: Iterable[bytes | None]) -> npt.NDArray[np.int32]:
        """Return the codes of distinct or repeated values, int32."""
        return np.fromiter((self.code(v) for v in values), dtype=np.int32)


class Growable:
    """A NumPy array that grows by doubling; `view()` is valid until it grows again."""

    def __init__(self, dtype: str) -> None:
        self._data = np.zeros(64, dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, values: Sequence[object] | Array) -> None:
        """Append values; the old view stays as it was."""
        need = self._size + len(values)
        if need > len(self._data):
            grown = np.zeros(max(need, 2 * len(self._data)), dtype=self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : need] = values
        self._size = need

    def view(self) -> Array:
        """Return what was appended so far, without a copy."""
        return self._data[: self._size]


class FlatLists(NamedTuple):
    """Lists one after the other: how long each is, and the codes of all."""

    sizes: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]


class GrowingEntities:
    """The entity table while it grows. Row 0 is the unknown entity. Satisfies `Rows`."""

    def __init__(self) -> None:
        self._columns = {c.name: Growable(DTYPES[c.physical]) for c in ENTITY_COLUMNS}
        self._offsets = {c.name: Growable("i8") for c in ENTITY_COLUMNS if c.physical is Physical.CODES}
        for offsets in self._offsets.values():
            offsets.append([0])
        self._rows = 0
        self.add({})

    def __len__(self) -> int:
        return self._rows

    def add(self, row: Mapping[str, object]) -> int:
        """Append one entity (absent columns are 0, lists empty) and return its ref.

        Args:
            row: physical values by column name; `args` is a sequence of codes, `entity_id` 16 bytes.
        """
        for column in ENTITY_COLUMNS:
            value = row.get(column.name)
            if column.physical is Physical.CODES:
                codes = value if isinstance(value, (Sequence, np.ndarray)) else ()
                self._columns[column.name].append(codes)
                self._offsets[column.name].append([len(self._columns[column.name])])
            elif column.physical is Physical.BIN16:
                self._columns[column.name].append(
                    np.frombuffer(value if isinstance(value, bytes) else bytes(16), dtype="V16")
                )
            else:
                self._columns[column.name].append([value or 0])
        self._rows += 1
        return self._rows - 1

    def extend(
        self, columns: Mapping[str, Sequence[object] | Array], lists: Mapping[str, Sequence[Sequence[int]] | FlatLists]
    ) -> int:
        """Append many entities at once and return the ref of the first.

        Args:
            columns: values of every column but the lists, one an entity; `entity_id` as 16 bytes each, or an array of
                type V16.
            lists: for each list column, one sequence of codes an entity, or all of them flat.
        """
        first, count = self._rows, len(columns["entity_id"])
        for column in ENTITY_COLUMNS:
            if column.physical is Physical.CODES:
                self._extend_list(column.name, lists[column.name])
            elif column.physical is Physical.BIN16 and not isinstance(columns[column.name], np.ndarray):
                joined = b"".join(cast("Sequence[bytes]", columns[column.name]))
                self._columns[column.name].append(np.frombuffer(joined, dtype="V16"))
            else:
                self._columns[column.name].append(columns[column.name])
        self._rows += count
        return first

    def _extend_list(self, name: str, lists: Sequence[Sequence[int]] | FlatLists) -> None:
        if not isinstance(lists, FlatLists):
            sizes = np.array([len(codes) for codes in lists], np.int64)
            lists = FlatLists(sizes, np.array([code for codes in lists for code in codes], np.int32))
        self._offsets[name].append(len(self._columns[name]) + np.cumsum(lists.sizes, dtype=np.int64))
        self._columns[name].append(lists.codes)

    def column(self, name: str) -> Array:
        """Return a column so far."""
        return self._columns[name].view()

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return None: entity columns are not nullable; row 0 is the unknown entity."""
        return None

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return (offsets, codes) of a list column so far."""
        return self._offsets[name].view(), self._columns[name].view()


class GrowingSegment:
    """A segment while it grows. Satisfies `Segment`."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._strings: dict[str, GrowingStrings] = {}
        self.entities = GrowingEntities()

    def strings(self, key: str) -> GrowingStrings:
        """Return the dictionary `key`, empty at first."""
        found = self._strings.get(key)
        if found is None:
            found = self._strings[key] = GrowingStrings()
        return found

    def string_counts(self) -> dict[str, int]:
        """Return the length of every dictionary now."""
        return {key: len(values) for key, values in self._strings.items()}

    @property
    def bytes(self) -> int:
        """Bytes of all dictionary values."""
        return sum(values.bytes for values in self._strings.values())


class ArrayRows:
    """Rows over NumPy columns. Satisfies `Rows`. Columns left out read as 0, nullable ones as missing."""

    def __init__(
        self,
        table: str,
        rows: int,
        columns: Mapping[str, Array],
        valid: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        schema: Schema = BUILTIN,
    ) -> None:
        self._kinds = schema.columns_by_name(table)
        self._rows, self._columns, self._valid = rows, columns, valid or {}

    def __len__(self) -> int:
        return self._rows

    def column(self, name: str) -> Array:
        """Return a physical column; zeros if it was left out."""
        kind = self._kinds[name]
        found = self._columns.get(name)
        return np.zeros(self._rows, dtype=DTYPES[kind.physical]) if found is None else found

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return which rows have a value; None if all have."""
        if not self._kinds[name].nullable:
            return None
        if name not in self._columns:
            return np.zeros(self._rows, dtype=np.bool_)
        return self._valid.get(name)

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Raise KeyError: event tables hold no lists; entities do."""
        raise KeyError(name)
