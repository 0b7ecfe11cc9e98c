"""Events as ndjson or as lines: by columns, each distinct value written once, never field by field in each row."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kestrel_lab.cli import output, units
from kestrel_lab.cli.told import told
from kestrel_lab.schema.access import Coded, Numbers, Text, python_values, resolve
from kestrel_lab.schema.actions import Action
from kestrel_lab.schema.epoch import Array, Epoch, Rows, SourceInfo
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.joined import JoinedRows
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.values import to_json

if TYPE_CHECKING:
    from kestrel_lab.recording import EpochRecord

#: Raw 128-bit ids; the dump has them as hex under their ECS names.
_RAW = {f.name for f in FIELDS if f.name.startswith("kestrel.") and f.name.endswith("entity_id")}
#: Told of every event as it was recorded, to the nanosecond.
_TIMES = {"@timestamp", "kestrel.ts_boot_ns"}
_BATCH_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Range:
    """Which events to show: ids and boot times in ns, all inclusive."""

    first_id: int = 0
    last_id: int = 2**64 - 1
    from_ns: int = 0
    to_ns: int = 2**64 - 1

    def touches(self, epoch: Epoch | EpochRecord) -> bool:
        """Return whether an epoch may hold an event of the range."""
        return (
            epoch.last_event_id >= self.first_id
            and epoch.first_event_id <= self.last_id
            and epoch.ts_max_ns >= self.from_ns
            and epoch.ts_min_ns <= self.to_ns
        )

    def rows(self, data: Rows) -> npt.NDArray[np.integer]:
        """Return the row numbers of one table that lie inside."""
        ids, times = data.column("event_id"), data.column("ts_boot_ns")
        inside = (ids >= self.first_id) & (ids <= self.last_id) & (times >= self.from_ns) & (times <= self.to_ns)
        return np.flatnonzero(inside)


class Picked:
    """Which events to show: those of these ids."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = np.unique(np.fromiter(ids, np.uint64))

    def touches(self, epoch: Epoch | EpochRecord) -> bool:
        """Return whether an epoch holds one of them."""
        first, last = np.searchsorted(self._ids, [epoch.first_event_id, epoch.last_event_id + 1])
        return bool(first < last)

    def rows(self, data: Rows) -> npt.NDArray[np.integer]:
        """Return the row numbers of one table that are among them."""
        return np.flatnonzero(np.isin(data.column("event_id"), self._ids))


@dataclass(frozen=True, slots=True)
class Batch:
    """Epochs of one segment taken together, and for each table the wall offset of every row, ns."""

    epoch: Epoch
    wall_offsets: Mapping[str, npt.NDArray[np.int64]]


def batches(epochs: Iterable[Epoch], rows: int = _BATCH_ROWS) -> Iterator[Batch]:
    """Join small epochs of one segment, so that the cost of a column is paid once for many of them."""
    held: list[Epoch] = []
    for epoch in epochs:
        if held and (held[0].segment.index != epoch.segment.index or sum(e.rows for e in held) >= rows):
            yield _join(held)
            held = []
        held.append(epoch)
    if held:
        yield _join(held)


def _join(epochs: Sequence[Epoch]) -> Batch:
    tables: dict[str, Rows] = {}
    offsets: dict[str, npt.NDArray[np.int64]] = {}
    for table in dict.fromkeys(name for epoch in epochs for name in epoch.tables):
        holding = [epoch for epoch in epochs if table in epoch.tables]
        tables[table] = JoinedRows([epoch.tables[table] for epoch in holding])
        offsets[table] = np.repeat([e.wall_offset_ns for e in holding], [len(e.tables[table]) for e in holding])
    rows = sum(epoch.rows for epoch in epochs)
    return Batch(replace(epochs[-1], first_event_id=epochs[0].first_event_id, rows=rows, tables=tables), offsets)


def ndjson(info: SourceInfo, epochs: Iterable[Epoch], wanted: Range) -> Iterator[bytes]:
    """Yield chunks of ndjson, events in id order; a field without a value is left out."""
    return _chunks(info, epochs, wanted, _objects)


def lines(info: SourceInfo, epochs: Iterable[Epoch], wanted: Range) -> Iterator[bytes]:
    """Yield chunks of lines for people: id, time, pid, process, action, what it was done to."""
    return _chunks(info, epochs, wanted, _sentences)


def by_id(info: SourceInfo, epochs: Iterable[Epoch], wanted: Picked, fmt: output.Format) -> Iterator[tuple[int, str]]:
    """Yield the id and the text of each event wanted, in id order: an ndjson object, or a line for people."""
    render = _objects if fmt == "ndjson" else _sentences
    for found in _rendered(info, epochs, wanted, render):
        yield from found


_Render = Callable[[SourceInfo, Batch, str, "npt.NDArray[np.integer]"], Iterable[str]]


def _chunks(info: SourceInfo, epochs: Iterable[Epoch], wanted: Range, render: _Render) -> Iterator[bytes]:
    for found in _rendered(info, epochs, wanted, render):
        yield ("\n".join([text for _, text in found]) + "\n").encode()


def _rendered(
    info: SourceInfo, epochs: Iterable[Epoch], wanted: Range | Picked, render: _Render
) -> Iterator[list[tuple[int, str]]]:
    """Yield the ids and texts of a batch of epochs at a time, in id order; none is empty."""
    for batch in batches(epochs):
        ids: list[int] = []
        texts: list[str] = []
        for table, data in batch.epoch.tables.items():
            rows = wanted.rows(data)
            if len(rows):
                ids += data.column("event_id")[rows].tolist()
                texts += render(info, batch, table, rows)
        if ids:
            yield sorted(zip(ids, texts, strict=True), key=lambda found: found[0])


def _objects(info: SourceInfo, batch: Batch, table: str, rows: npt.NDArray[np.integer]) -> Iterable[str]:
    boot = batch.epoch.tables[table].column("ts_boot_ns")[rows].astype(np.int64)
    wall = np.datetime_as_string((boot + batch.wall_offsets[table][rows]).astype("M8[ns]"))
    columns = [
        [f'"@timestamp":"{time}Z"' for time in wall.tolist()],
        [f'"kestrel.ts_boot_ns":{time}' for time in boot.tolist()],
    ]
    for field in info.schema.fields.values():
        if table in field.tables and field.name not in _RAW and field.name not in _TIMES:
            columns.append(_members(field.name, resolve(info, batch.epoch, table, field.name, rows)))
    return ["{" + ",".join(filter(None, cells)) + "}" for cells in zip(*columns, strict=True)]


def _members(name: str, found: Coded | Numbers) -> list[str]:
    """Return `"name":value` for each row, empty where missing."""
    if isinstance(found, Coded):
        distinct, inverse = np.unique(found.codes, return_inverse=True)
        written = [
            "" if text is None else f'"{name}":{json.dumps(to_json(text), separators=(",", ":"))}'
            for text in _texts(found, distinct)
        ]
        return [written[i] for i in inverse.tolist()]
    numbers = found.values.tolist()
    if found.values.dtype.kind in "iu":
        members = [f'"{name}":{number}' for number in numbers]
    else:
        members = [f'"{name}":{json.dumps(to_json(number))}' for number in numbers]
    if found.valid is None:
        return members
    return [member if present else "" for member, present in zip(members, found.valid.tolist(), strict=True)]


def _texts(found: Coded, distinct: npt.NDArray[np.integer]) -> list[Text]:
    """Return the values of ascending codes; a dense run is read at once."""
    codes = distinct.tolist()
    values = found.dictionary.values
    if codes[-1] - codes[0] < 4 * len(codes):
        run = values(codes[0], codes[-1] + 1)
        return [run[code - codes[0]] if code else None for code in codes]
    return [values(code, code + 1)[0] if code else None for code in codes]


def _sentences(info: SourceInfo, batch: Batch, table: str, rows: npt.NDArray[np.integer]) -> Iterable[str]:
    def text(field: str, rows: npt.NDArray[np.integer] = rows) -> list[str]:
        found = python_values(resolve(info, batch.epoch, table, field, rows))
        return ["" if value is None else _cell(value) for value in found]

    data = batch.epoch.tables[table]
    wall = data.column("ts_boot_ns")[rows].astype(np.int64) + batch.wall_offsets[table][rows]
    parts = [
        [f"{i:>10}" for i in data.column("event_id")[rows].tolist()],
        [units.clock(time) for time in wall.tolist()],
        [f"{pid:>7}" for pid in text("process.pid")],
        [f"{name:15}" for name in text("process.name")],
        [f"{action:20}" for action in text("event.action")],
        _details(info.schema, table, data.column("action")[rows], rows, text),
        _failures(info, batch, table, rows),
    ]
    return ["  ".join(filter(None, cells)).rstrip() for cells in zip(*parts, strict=True)]


def _details(
    schema: Schema, table: str, actions: Array, rows: npt.NDArray[np.integer],
    text: Callable[[str, npt.NDArray[np.integer]], list[str]],
) -> list[str]:  # fmt: skip
    """Return what each event was about, by the fields that its action tells."""
    out = [""] * len(rows)
    for code in np.unique(actions).tolist():
        places = np.flatnonzero(actions == code)
        cells = [text(field, rows[places]) for field in told(schema, table, schema.action(code).name)]
        for place, found in zip(places.tolist(), zip(*cells, strict=True), strict=True):
            out[place] = "  ".join(filter(None, found))
    return out


def _failures(info: SourceInfo, batch: Batch, table: str, rows: npt.NDArray[np.integer]) -> list[str]:
    """Return the name of the error of acts that failed."""
    if table not in info.schema.fields["kestrel.ret"].tables:
        return [""] * len(rows)
    found = python_values(resolve(info, batch.epoch, table, "kestrel.ret", rows))
    return [errno.errorcode.get(-ret, "") if isinstance(ret, int) and ret < 0 else "" for ret in found]


def _cell(value: object) -> str:
    return output.printable(value) if isinstance(value, bytes) else str(value)


def count_actions(schema: Schema, epochs: Iterable[Epoch]) -> list[tuple[Action, int]]:
    """Return how many events of each action there are, in code order; actions without any are left out."""
    counts = np.zeros(256, np.int64)
    for epoch in epochs:
        for data in epoch.tables.values():
            counts += np.bincount(data.column("action"), minlength=256)
    return [(schema.action(code), int(counts[code])) for code in np.flatnonzero(counts).tolist()]
