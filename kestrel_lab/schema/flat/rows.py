"""Epochs from flat events: columns that hold an epoch's events, and the dictionaries of its segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingSegment, GrowingStrings
from kestrel_lab.schema.epoch import MAX_BYTES, Array, Epoch
from kestrel_lab.schema.flat.convert import CONVERT, bytes_of
from kestrel_lab.schema.flat.flatten import Cell
from kestrel_lab.schema.flat.infer import COMMON
from kestrel_lab.schema.flat.layout import FlatEvent
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Column, EqlType, Field, Physical, Row
from kestrel_lab.schema.values import array_text

EPOCH_ROWS = 16_384
#: A segment ends when its dictionaries hold so many bytes, or it has so many rows.
SEGMENT_BYTES, SEGMENT_ROWS = 64 << 20, 1 << 20
FIRST_EVENT_ID = 1


_COMMON = frozenset(c.name for c in COMMON)


class EpochBuilder:
    """Makes epochs of events that come in order; the event's time since 1970 is its `ts_boot_ns`."""

    def __init__(self, schema: Schema, epoch_rows: int = EPOCH_ROWS) -> None:
        widest = max((len(schema.columns_of(table)) for table in schema.tables), default=1)
        self._schema, self._epoch_rows = schema, max(1, min(epoch_rows, MAX_BYTES // (8 * widest)))
        self._actions = {a.event_categories: a for a in schema.actions}
        self._segment = GrowingSegment(0)
        self._segment_rows = self._number = self._time = 0
        self._next_id = FIRST_EVENT_ID
        self._writers: dict[str, dict[str, _Writer]] = {}
        self._tables: dict[str, _Table] = {}
        self._rows = self._bytes = 0
        self._times: list[int] = []
        self._renew()

    def add(self, event: FlatEvent, size: int = 0) -> None:
        """Take the next event; `size` is about how many bytes it holds."""
        action = self._actions[event.categories]
        table = self._tables.get(action.table)
        if table is None:
            table = self._tables[action.table] = _Table(self._writers[action.table])
        table.add(event.fields, self._next_id + self._rows, event.time_ns, action.code)
        self._times.append(event.time_ns)
        self._rows += 1
        self._bytes += size

    @property
    def full(self) -> bool:
        """Whether `epoch` should be taken now."""
        return self._rows >= self._epoch_rows or self._bytes >= MAX_BYTES

    def epoch(self) -> Epoch:
        """Return the epoch of the events added since the last one; there is at least one."""
        held = [name for name in self._schema.tables if name in self._tables]
        out = Epoch(
            number=self._number, segment=self._segment, first_event_id=self._next_id, rows=self._rows,
            ts_min_ns=min(self._times), ts_max_ns=max(self._times), event_time_ns=self._time,
            clock_boot_ns=0, clock_wall_ns=0,
            tables={name: self._tables[name].rows(self._schema, name) for name in held},
            string_counts=self._segment.string_counts(),
            entity_count=len(self._segment.entities),
        )  # fmt: skip
        self._number += 1
        self._next_id += self._rows
        self._segment_rows += self._rows
        self._time = max(self._time, out.ts_max_ns)
        self._tables, self._rows, self._bytes, self._times = {}, 0, 0, []
        if self._segment_rows >= SEGMENT_ROWS or self._segment.bytes >= SEGMENT_BYTES:
            self._segment, self._segment_rows = GrowingSegment(self._segment.index + 1), 0
            self._renew()
        return out

    def rest(self) -> Iterator[Epoch]:
        """Yield the epoch of what is left, if anything is."""
        if self._rows:
            yield self.epoch()

    def _renew(self) -> None:
        for table in self._schema.tables:
            kinds = self._schema.columns_by_name(table)
            own = [(f, f.source.column) for f in self._schema.fields.values() if isinstance(f.source, Row)]
            self._writers[table] = {
                f.name: _writer(f, kinds[column], table, self._segment)
                for f, column in own
                if table in f.tables and column not in _COMMON
            }


class _Table:
    """The rows of one table in one epoch: for each field the rows that have it, and their values."""

    def __init__(self, writers: Mapping[str, _Writer]) -> None:
        self._writers = writers
        self._cells: dict[str, tuple[list[int], list[Cell]]] = {}
        self._common: list[tuple[int, int, int]] = []

    def add(self, fields: Mapping[str, Cell], event_id: int, time_ns: int, action: int) -> None:
        row = len(self._common)
        self._common.append((event_id, time_ns, action))
        cells = self._cells
        for name, value in fields.items():
            held = cells.get(name)
            if held is None:
                cells[name] = [row], [value]
            else:
                held[0].append(row)
                held[1].append(value)

    def rows(self, schema: Schema, name: str) -> ArrayRows:
        count = len(self._common)
        common = np.array(self._common, "u8")
        columns: dict[str, Array] = {c.name: common[:, i].astype(DTYPES[c.physical]) for i, c in enumerate(COMMON)}
        valid = {}
        for field, (rows, values) in self._cells.items():
            writer = self._writers[field]
            found = writer.column(values)
            if len(rows) == count:
                columns[writer.name] = found
                continue
            whole = columns[writer.name] = np.zeros(count, found.dtype)
            whole[rows] = found
            if writer.nullable:
                mask = valid[writer.name] = np.zeros(count, np.bool_)
                mask[rows] = True
        return ArrayRows(name, count, columns, valid, schema)


class _Writer:
    """Turns the values of one field into what its column holds: numbers, booleans and dates as they are."""

    def __init__(self, column: Column) -> None:
        self.name, self.nullable = column.name, column.nullable
        self._dtype = DTYPES[column.physical]

    def column(self, values: Sequence[Cell]) -> Array:
        """Return the part of a column that holds these values."""
        return np.array(values, self._dtype)


class _TextWriter(_Writer):
    """Texts become codes; what is no text in a field of texts is written as text."""

    def __init__(self, column: Column, strings: GrowingStrings) -> None:
        super().__init__(column)
        self._strings = strings
        self._codes: dict[str, int] = {}

    def column(self, values: Sequence[Cell]) -> Array:
        known, code = self._codes.get, self._code
        return np.array([known(v) or code(v) for v in values], self._dtype)

    def _code(self, value: Cell) -> int:
        code = self._strings.code(bytes_of(value))
        if type(value) is str:
            self._codes[value] = code
        return code


class _ArrayWriter(_Writer):
    """Arrays become codes of their JSON text."""

    def __init__(self, column: Column, strings: GrowingStrings, kind: EqlType) -> None:
        super().__init__(column)
        self._strings = strings
        self._convert: Callable[[Cell], Cell] = bytes_of if kind in (EqlType.STRING, EqlType.IP) else CONVERT[kind]
        self._codes: dict[tuple[str, ...], int] = {}

    def column(self, values: Sequence[Cell]) -> Array:
        return np.array([self._code(v) for v in values], self._dtype)

    def _code(self, value: Cell) -> int:
        items = value if type(value) is list else [value]
        if any(type(item) is not str for item in items):
            return self._strings.code(array_text([self._convert(item) for item in items]))
        key = tuple(items)
        code = self._codes.get(key)
        if code is None:
            code = self._codes[key] = self._strings.code(array_text([self._convert(item) for item in items]))
        return code


def _writer(field: Field, column: Column, table: str, segment: GrowingSegment) -> _Writer:
    strings = segment.strings(f"{table}:{column.name}") if column.physical.coded else None
    if strings is None:
        return _Writer(column)
    if column.physical is Physical.JSON:
        return _ArrayWriter(column, strings, field.type)
    return _TextWriter(column, strings)
