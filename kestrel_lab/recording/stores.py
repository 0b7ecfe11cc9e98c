"""A stored segment's dictionaries and entities in memory, filled from streams or from sealed files alike."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kestrel_lab.recording.decode import BatchColumns
from kestrel_lab.schema.build import DTYPES, Growable
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Physical

#: Values that are made Python objects together, and kept as long as their segment is.
_BLOCK = 512


class StoredStrings:
    """One dictionary. Values stay in Arrow arrays; Python objects are made for what is asked. Satisfies `Strings`."""

    def __init__(self) -> None:
        self._chunks: list[pa.Array[Any]] = []
        self._starts: list[int] = []
        self._size = 1
        self._blocks: dict[tuple[int, int], list[bytes]] = {}

    def __len__(self) -> int:
        return self._size

    def append(self, values: pa.Array[Any]) -> None:
        """Append the values of the next codes."""
        if len(values):
            self._chunks.append(values)
            self._starts.append(self._size)
            self._size += len(values)

    def values(self, start: int, stop: int) -> list[bytes]:
        """Return the strings with codes `start` (1 or more) to `stop`, exclusive."""
        out: list[bytes] = []
        at = max(start, 1)
        while at < min(stop, self._size):
            i = bisect_right(self._starts, at) - 1
            chunk, offset = self._chunks[i], at - self._starts[i]
            block = offset // _BLOCK
            if (i, block) not in self._blocks:  # a block at once, because one value alone costs nearly as much
                self._blocks[i, block] = _python(chunk.slice(block * _BLOCK, _BLOCK))
            part = self._blocks[i, block][offset - block * _BLOCK : offset - block * _BLOCK + stop - at]
            out += part
            at += len(part)
        return out

    def dictionary(self) -> pa.Array[Any]:
        """Return all values as one array whose entry 0 is null."""
        return pa.concat_arrays([pa.array([None], type=pa.binary()), *self._chunks])


def _python(values: pa.Array[Any]) -> list[bytes]:
    found: list[Any] = values.to_pylist()
    return found


class StoredEntities:
    """The entity table. Satisfies `Rows`."""

    def __init__(self) -> None:
        self._columns = {c.name: Growable(DTYPES[c.physical]) for c in ENTITY_COLUMNS}
        self._offsets = {c.name: Growable("i8") for c in ENTITY_COLUMNS if c.physical is Physical.CODES}
        for offsets in self._offsets.values():
            offsets.append([0])
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, batch: BatchColumns, skip: int = 0) -> None:
        """Append the rows of a batch from row `skip` on; columns it lacks are 0."""
        for column in ENTITY_COLUMNS:
            name, data = column.name, self._columns[column.name]
            if column.physical is Physical.CODES:
                offsets, codes = batch.lists(name) if name in batch else _no_lists(batch.rows)
                self._offsets[name].append(offsets[skip + 1 :] - offsets[skip] + len(data))
                data.append(codes[offsets[skip] :])
            else:
                found = batch.column(name) if name in batch else np.zeros(batch.rows, DTYPES[column.physical])
                data.append(found[skip:])
        self._rows += batch.rows - skip

    def column(self, name: str) -> Array:
        """Return a column as far as it was loaded."""
        return self._columns[name].view()

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return None: entity columns are not nullable."""
        return None

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return (offsets, codes) of a list column."""
        return self._offsets[name].view(), self._columns[name].view()


def _no_lists(rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    return np.zeros(rows + 1, "i8"), np.zeros(0, "i4")


class Stores:
    """Everything of a segment that its rows refer to. Outlives the change from streams to sealed files."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.strings = {key: StoredStrings() for key in schema.keys}
        self.entities = StoredEntities()


class StoredRows:
    """Rows `start` to `start + count` of a stored batch. Satisfies `Rows`."""

    def __init__(self, schema: Schema, table: str, batch: BatchColumns, start: int, count: int) -> None:
        self._kinds, self._batch = schema.columns_by_name(table), batch
        self._start, self._stop = start, start + count

    def __len__(self) -> int:
        return self._stop - self._start

    def column(self, name: str) -> Array:
        """Return a physical column; zeros if the segment holds nothing of it.

        Raises:
            KeyError: if the table has no such column.
        """
        kind = self._kinds[name]
        if name not in self._batch:
            return np.zeros(len(self), DTYPES[kind.physical])
        return self._batch.column(name)[self._start : self._stop]

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return which rows have a value, None if all have."""
        kind = self._kinds[name]
        if name not in self._batch:
            return np.zeros(len(self), np.bool_) if kind.nullable else None
        found = self._batch.valid(name)
        if found is None:
            return None
        part = found[self._start : self._stop]
        return None if part.all() else part

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Raise KeyError: event tables hold no lists; entities do."""
        raise KeyError(name)
