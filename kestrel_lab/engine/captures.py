"""Captured fields of hits: looked up only for the hits that end in an alert or stay pending, or before travelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.fields import BY_FIELD_NAME
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

Capture = Mapping[str, Value]


def captured_fields(captures: Sequence[str], table: str) -> tuple[str, ...]:
    """Return the fields to capture from an event of a table: those named (or the default set) that it can have."""
    return tuple(name for name in captures or DEFAULT if table in BY_FIELD_NAME[name].tables)


@dataclass(frozen=True, slots=True)
class _Origin:
    info: SourceInfo
    epoch: Epoch
    table: str


class Captures:
    """Captured fields of some rows of one table of an epoch. Pickling looks all of them up."""

    def __init__(self, info: SourceInfo, epoch: Epoch, table: str, fields: tuple[str, ...], rows: Array) -> None:
        self._origin: _Origin | None = _Origin(info, epoch, table)
        self._fields, self._rows = fields, rows
        self._stored: list[list[Value]] = []

    def take(self, indexes: Sequence[int]) -> list[Capture]:
        """Return the captures of some of the rows, by their place among them."""
        if self._origin is None:
            columns = [[column[i] for i in indexes] for column in self._stored]
        else:
            columns = self._look_up(self._origin, self._rows[indexes])
        if not columns:
            return [{} for _ in indexes]
        return [dict(zip(self._fields, row, strict=True)) for row in zip(*columns, strict=True)]

    def _look_up(self, origin: _Origin, rows: Array) -> list[list[Value]]:
        return [python_values(resolve(origin.info, origin.epoch, origin.table, f, rows)) for f in self._fields]

    def __getstate__(self) -> tuple[tuple[str, ...], list[list[Value]]]:
        stored = self._stored if self._origin is None else self._look_up(self._origin, self._rows)
        return self._fields, stored

    def __setstate__(self, state: tuple[tuple[str, ...], list[list[Value]]]) -> None:
        self._origin = None
        self._fields, self._stored = state
