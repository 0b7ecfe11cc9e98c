"""Columns for a user's module: for each declared handle what the shim needs, over the rows it is asked about.

A field is places and items: for each row the start and count of its items, which are numbers, or pointers and lengths
of strings. Distinct values are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.user.layout import ENTRIES_AT, ENTRY_BYTES, ITEM_BYTES, Kind
from kestrel_lab.engine.user.module import FieldHandle, Handle, PatternHandle
from kestrel_lab.eql import TextTest
from kestrel_lab.schema.access import Coded, Numbers, lookup, resolve
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.values import Value

_DTYPES = {Kind.I64: "<i8", Kind.U64: "<u8", Kind.F64: "<f8", Kind.BOOL: "<u8"}

#: (table, field, test, codes of some rows) -> whether each passes.
Passes = Callable[[str, TextTest, Coded], npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows of several tables of an epoch, in `event_id` order: each one's table, by number, and its row there."""

    info: SourceInfo
    epoch: Epoch
    tables: Sequence[str]
    table: npt.NDArray[np.intp]
    row: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def part(self, start: int, stop: int) -> RowSet:
        """Return a run of the rows."""
        return RowSet(self.info, self.epoch, self.tables, self.table[start:stop], self.row[start:stop])

    def of_tables(self) -> list[tuple[str, npt.NDArray[np.intp], npt.NDArray[np.int64]]]:
        """Return for each table that has rows here: its name, where they stand, and the rows."""
        out = []
        for number, name in enumerate(self.tables):
            places = np.flatnonzero(self.table == number)
            if len(places):
                out.append((name, places, self.row[places]))
        return out


@dataclass(frozen=True, slots=True)
class Column:
    """What a handle is made of. `items` of strings point into `heap`, from its beginning."""

    kind: Kind
    places: npt.NDArray[np.uint32] | npt.NDArray[np.uint8]
    items: Array
    heap: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of column memory it needs, at most."""
        return self.places.nbytes + self.items.nbytes + len(self.heap) + 3 * ITEM_BYTES


def make_columns(handles: Sequence[Handle], rows: RowSet, passes: Passes) -> list[Column]:
    """Return the column of each handle."""
    out: list[Column] = []
    for handle in handles:
        if isinstance(handle, FieldHandle):
            out.append(_field(handle, rows))
        elif isinstance(handle, PatternHandle):
            out.append(_pattern(handle, rows, passes))
        else:
            out.append(Column(Kind.NAME, np.zeros(0, np.uint8), np.zeros(0, "<u8")))
    return out


def place(columns: Sequence[Column], at: int, write: Callable[[int, npt.NDArray[np.generic]], None]) -> int:
    """Write the columns from byte `at` on, and the table of entries; return where they end."""
    entries = np.zeros((len(columns), ENTRY_BYTES // 4), "<u4")
    for number, column in enumerate(columns):
        starts: list[int] = []
        items = column.items
        for values in (column.places, items, np.frombuffer(column.heap, np.uint8)):
            starts.append(at)
            at = (at + values.nbytes + ITEM_BYTES - 1) & -ITEM_BYTES
        if column.kind is Kind.STRING:
            items = items + np.array([starts[2], 0], "<u4")
        write(starts[0], column.places)
        write(starts[1], items)
        write(starts[2], np.frombuffer(column.heap, np.uint8))
        entries[number, :3] = column.kind, starts[0], starts[1]
    write(ENTRIES_AT, entries)
    return at


def _field(handle: FieldHandle, rows: RowSet) -> Column:
    places = np.zeros((len(rows), 2), "<u4")
    items = _Items(handle.kind)
    for table, at, own in rows.of_tables() if handle.name else ():
        found = resolve(rows.info, rows.epoch, table, handle.name or "", own)
        places[at] = items.add_numbers(found) if isinstance(found, Numbers) else items.add_coded(found)
    return items.column(places)


class _Items:
    """Items of one field, gathered table by table."""

    def __init__(self, kind: Kind) -> None:
        self._kind, self._count = kind, 0
        self._parts: list[Array] = []
        self._heap: list[bytes] = []
        self._heap_size = 0

    def add_numbers(self, found: Numbers) -> Array:
        places = np.empty((len(found.values), 2), "<u4")
        places[:, 0] = np.arange(self._count, self._count + len(found.values))
        places[:, 1] = 1 if found.valid is None else found.valid
        self._append(found.values.astype(_DTYPES[self._kind]))
        return places

    def add_coded(self, found: Coded) -> Array:
        codes, inverse = np.unique(found.codes, return_inverse=True)
        if found.dictionary.alike is not None:
            codes, again = np.unique(found.dictionary.alike(codes), return_inverse=True)
            inverse = again[inverse]
        places: list[tuple[int, int]] = []
        values: list[Value] = []
        for value in lookup(found.dictionary, codes.tolist()):
            own = () if value is None else value if isinstance(value, tuple) else (value,)
            places.append((self._count + len(values), len(own)))
            values += own
        self._append(self._strings(values) if self._kind is Kind.STRING else np.array(values, _DTYPES[self._kind]))
        return np.array(places, "<u4").reshape(-1, 2)[inverse]

    def column(self, places: npt.NDArray[np.uint32]) -> Column:
        empty = np.zeros((0, 2), "<u4") if self._kind is Kind.STRING else np.zeros(0, _DTYPES[self._kind])
        return Column(self._kind, places, np.concatenate([empty, *self._parts]), b"".join(self._heap))

    def _append(self, part: Array) -> None:
        self._parts.append(part)
        self._count += len(part)

    def _strings(self, values: Sequence[Value]) -> Array:
        texts = [v for v in values if isinstance(v, bytes)]
        sizes = np.array([len(t) for t in texts], np.int64)
        starts = self._heap_size + np.cumsum(sizes) - sizes
        self._heap += texts
        self._heap_size += int(sizes.sum())
        return np.column_stack([starts, sizes]).astype("<u4").reshape(-1, 2)


def _pattern(handle: PatternHandle, rows: RowSet, passes: Passes) -> Column:
    out = np.zeros(len(rows), np.uint8)
    for table, at, own in rows.of_tables() if handle.field else ():
        found = resolve(rows.info, rows.epoch, table, handle.field or "", own)
        if isinstance(found, Coded) and handle.test is not None:
            out[at] = passes(table, handle.test, found)
        elif isinstance(found, Coded) and handle.always:
            out[at] = _present(found)
    return Column(Kind.PATTERN, out, np.zeros(0, "<u8"))


def _present(found: Coded) -> npt.NDArray[np.bool_]:
    codes, inverse = np.unique(found.codes, return_inverse=True)
    known: Mapping[int, bool] = dict(
        zip(codes.tolist(), (v is not None for v in lookup(found.dictionary, codes.tolist())), strict=True)
    )
    return np.array([known[c] for c in codes.tolist()], np.bool_)[inverse]
