"""Captured fields of hits: looked up only for hits that end in an alert, or where the segment or the process ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np

from kestrel_lab.schema.access import Coded, Numbers, lookup, python_values, resolve
from kestrel_lab.schema.codes import distinct
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.picked import PickedLists
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.values import Value

#: What an alert shows of each event where the rule does not say.
DEFAULT = (
    "event.action",
    "process.name",
    "process.executable",
    "process.args",
    "process.pid",
    "process.parent.name",
    "user.id",
    "file.path",
    "file.Ext.original.path",
    "destination.ip",
    "destination.port",
)

#: The id that an imported event had where it came from.
SOURCE_ID = "kestrel.source_id"

Capture = Mapping[str, Value]


def captured_fields(captures: Sequence[str], table: str, schema: Schema) -> tuple[str, ...]:
    """Return the fields to capture from an event of a table: those named (or the default set) that it can have.

    The event's own id from where it was imported is always among them.
    """
    wanted = dict.fromkeys((*(captures or DEFAULT), *([SOURCE_ID] if SOURCE_ID in schema.fields else [])))
    return tuple(name for name in wanted if table in schema.fields[name].tables)


@dataclass(frozen=True, slots=True)
class _Origin:
    info: SourceInfo
    epoch: Epoch
    table: str
    rows: Array


class _Looked(NamedTuple):
    """Values of one field, looked up: for each row its place among distinct values, which columns may share."""

    places: Array
    values: Sequence[Value]

    def some(self, which: Array) -> _Looked:
        """Return some of the rows, without values that few of them would hold on to."""
        places = self.places[which]
        if len(self.values) <= 4 * len(places) + 64:
            return _Looked(places, self.values)
        kept, places = distinct(places)
        if isinstance(self.values, PickedLists):
            return _Looked(places, self.values.pick(kept))
        return _Looked(places, [self.values[place] for place in kept.tolist()])


#: Captured values of one field: as codes of a segment, or looked up.
_Column: TypeAlias = "Coded | Numbers | _Looked | list[Value]"


class Captures:
    """Captured fields of a block of hits: some rows of one table of an epoch.

    They hold on to the epoch until `keep`, and then to its segment until `settle`. Pickling looks all of them up.
    """

    def __init__(
        self, info: SourceInfo, epoch: Epoch, table: str, fields: tuple[str, ...], rows: Array,
        made: Mapping[str, list[Value]] | None = None,
    ) -> None:  # fmt: skip
        """Take the fields and the rows; nothing is looked up yet. `made` are values by name that a rule made itself."""
        self._made = made or {}
        self._origin: _Origin | None = _Origin(info, epoch, table, rows)
        self._fields = (*fields, *self._made)
        self._columns: list[_Column] = []
        self._places: Array | None = None

    def copy(self) -> Captures:
        """Return the same captures, apart: what is kept of the copy is nothing to the original."""
        out = Captures.__new__(Captures)
        out._origin, out._fields, out._columns, out._places = self._origin, self._fields, self._columns, self._places
        out._made = self._made
        return out

    @property
    def source(self) -> tuple[int, str, tuple[str, ...]] | None:
        """What blocks have in common that can be kept as one: epoch, table, fields; None for one that stands alone."""
        return (
            None if self._origin is None or self._made else (id(self._origin.epoch), self._origin.table, self._fields)
        )

    @property
    def rows(self) -> Array:
        """The rows within the table, of captures that have a `source`."""
        return np.zeros(0, np.int64) if self._origin is None else self._origin.rows

    def whole(self) -> Captures:
        """Return the same fields of all rows of the table, apart, of captures that have a `source`."""
        out = self.copy()
        if self._origin is not None:
            every = np.arange(len(self._origin.epoch.tables[self._origin.table]))
            out._origin = replace(self._origin, rows=every)
        return out

    def take(self, indexes: Sequence[int] | Array) -> list[Capture]:
        """Return the captures of some of the rows, by their place in the block."""
        if not self._fields:
            return [{} for _ in indexes]
        columns = [_values(column) for column in self._part(indexes)]
        return [dict(zip(self._fields, row, strict=True)) for row in zip(*columns, strict=True)]

    def keep(self, indexes: Sequence[int] | Array) -> None:
        """Keep only some of the rows, which rise, and let go of the epoch. `take` still counts places in the block."""
        self._columns = self._part(indexes)
        self._places = np.array(indexes, np.int64)
        self._origin = None

    def _part(self, indexes: Sequence[int] | Array) -> list[_Column]:
        if self._origin is not None:
            info, epoch, table = self._origin.info, self._origin.epoch, self._origin.table
            rows = self._origin.rows[np.array(indexes, np.int64)]
            fields = self._fields[: len(self._fields) - len(self._made)]
            found: list[_Column] = [resolve(info, epoch, table, field, rows) for field in fields]
            return found + [[values[i] for i in indexes] for values in self._made.values()]
        places = np.array(indexes, np.int64)
        if self._places is not None:
            places = np.searchsorted(self._places, places)
        return [_some(column, places) for column in self._columns]

    def __getstate__(self) -> tuple[tuple[str, ...], list[_Column], Array | None]:
        columns = self._columns if self._origin is None else self._part(range(len(self._origin.rows)))
        return self._fields, [_values(column) for column in columns], self._places

    def __setstate__(self, state: tuple[tuple[str, ...], list[_Column], Array | None]) -> None:
        self._origin, self._made = None, {}
        self._fields, self._columns, self._places = state


class SharedCaptures:
    """Captures of some rows of a block that others have a part in, too."""

    def __init__(self, whole: Captures, rows: Array) -> None:
        """Take the block, and where its places are counted as the rows of these."""
        self._whole, self.rows = whole, rows

    @property
    def source(self) -> tuple[int, str, tuple[str, ...]] | None:
        """What those that share a block have in common, while it is there."""
        return id(self._whole), "", ()

    def copy(self) -> Captures:
        """Return the block, apart."""
        return self._whole.copy()

    whole = copy

    def take(self, indexes: Sequence[int]) -> list[Capture]:
        """Return the captures of some of the rows, by their place among these."""
        return self._whole.take(self.rows[np.array(indexes, np.int64)])


def settle(blocks: Collection[Captures]) -> None:
    """Look up everything kept of blocks of one segment, each distinct value once, and let go of the segment."""
    found: dict[str, list[Coded]] = {}
    for column in chain.from_iterable(block._columns for block in blocks):
        if isinstance(column, Coded):
            found.setdefault(column.dictionary.key, []).append(column)
    values = {key: _looked_up(columns) for key, columns in found.items()}
    for block in blocks:
        block._columns = [
            next(values[column.dictionary.key]) if isinstance(column, Coded) else column for column in block._columns
        ]


def _looked_up(columns: Sequence[Coded]) -> Iterator[_Looked]:
    """Yield the values of columns that share a dictionary."""
    dictionary = columns[0].dictionary
    codes, inverse = distinct(np.concatenate([column.codes for column in columns]))
    values = lookup(dictionary, codes) if dictionary.lists is None else PickedLists(dictionary.lists, codes)
    for part in np.split(inverse, np.cumsum([len(column.codes) for column in columns[:-1]])):
        yield _Looked(part, values)


def _values(column: _Column) -> list[Value]:
    if isinstance(column, _Looked):
        return [column.values[place] for place in column.places.tolist()]
    return column if isinstance(column, list) else python_values(column)


def _some(column: _Column, which: Array) -> _Column:
    if isinstance(column, list):
        return [column[i] for i in which.tolist()]
    if isinstance(column, _Looked):
        return column.some(which)
    if isinstance(column, Coded):
        return Coded(column.codes[which], column.dictionary)
    return Numbers(column.values[which], None if column.valid is None else column.valid[which])
