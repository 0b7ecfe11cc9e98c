"""Synthetic epochs from plain dictionaries, for tests of everything above the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingSegment
from kestrel_lab.schema.columns import COMMON_COLUMNS, ENTITY_COLUMNS, FLAG_LATE, TABLE_COLUMNS
from kestrel_lab.schema.epoch import End, Epoch, Rows, SourceInfo
from kestrel_lab.schema.ids import entity_id
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Physical

_GIVEN = {"pid", "start_ns", "parent", "first_event_id", "name", "executable", "working_directory", "args"}
BOOT_ID = bytes(range(16))
INFO = SourceInfo(
    recording_id="test",
    host={"host.os.type": "linux", "host.id": "h1", "host.name": "box"},
    schema=BUILTIN,
    boot_id=BOOT_ID.hex(),
)


@dataclass
class MemorySource:
    """A source over epochs held in memory. Satisfies `EpochSource`."""

    stored: list[Epoch]
    info: SourceInfo = INFO
    end: End = "sealed"

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        yield from self.stored[start:]


@dataclass
class Builder:
    """Turns events into epochs.

    An event is a mapping: `table`, `action`, `ts` (boot ns, default: 1 ms after the last), physical row columns by
    name (text as str or bytes), and the acting process: `pid` plus optionally `name, executable, args,
    working_directory, ppid`, and other columns of the entity table.
    An `exec` or `fork` makes a new image; later events of the pid refer to it.
    """

    epoch_rows: int = 8
    segment_epochs: int = 1_000_000
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def source(self, events: Sequence[Mapping[str, Any]]) -> MemorySource:
        epochs: list[Epoch] = []
        segment, images, event_id, ts, running = GrowingSegment(0), {}, 1, 1_000_000_000, 0
        for start in range(0, len(events), self.epoch_rows):
            if len(epochs) and len(epochs) % self.segment_epochs == 0:
                segment, images = _next_segment(segment, images)
            part, rows = events[start : start + self.epoch_rows], []
            for event in part:
                ts = event.get("ts", ts + 1_000_000)
                rows.append(_row(segment, images, event, event_id, ts))
                event_id += 1
            stamps = [r["ts_boot_ns"] for r in rows]
            epochs.append(
                Epoch(
                    number=len(epochs), segment=segment, first_event_id=event_id - len(rows), rows=len(rows),
                    ts_min_ns=min(stamps), ts_max_ns=max(stamps), event_time_ns=running,
                    clock_boot_ns=0, clock_wall_ns=1_700_000_000_000_000_000,
                    tables=_tables(rows), string_counts=segment.string_counts(),
                    entity_count=len(segment.entities), late=any(r["flags"] & FLAG_LATE for r in rows),
                )
            )  # fmt: skip
            running = max(running, *stamps)
        return MemorySource(epochs)


def source(events: Sequence[Mapping[str, Any]], epoch_rows: int = 8, segment_epochs: int = 1_000_000) -> MemorySource:
    """Return a source over the events, cut into epochs of `epoch_rows`."""
    return Builder(epoch_rows, segment_epochs).source(events)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _image(segment: GrowingSegment, images: dict[int, int], event: Mapping[str, Any], event_id: int) -> int:
    pid = event.get("pid", 0)
    if not pid:
        return 0
    fresh = event.get("action") in ("exec", "fork") and event["table"] == "process"
    if pid in images and not fresh:
        return images[pid]
    strings = segment.strings
    args = event.get("args")
    images[pid] = segment.entities.add(
        {
            "entity_id": entity_id(BOOT_ID, pid, event.get("start_ns", 1)),
            "pid": pid,
            "start_ns": event.get("start_ns", 1),
            "parent": images.get(event.get("ppid", 0), 0),
            "first_event_id": event_id,
            "name": strings("entity:name").code(_bytes(event.get("name"))),
            "executable": strings("entity:executable").code(_bytes(event.get("executable"))),
            "working_directory": strings("entity:working_directory").code(_bytes(event.get("working_directory"))),
            "args": strings("entity:args").codes([_bytes(a) for a in args]) if args else [],
        }
        | _more(segment, images, event)
    )
    return images[pid]


def _more(segment: GrowingSegment, images: dict[int, int], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else an event says of its process: texts, numbers, and pids of the processes it is related to."""
    out: dict[str, Any] = {}
    for column in ENTITY_COLUMNS:
        value = event.get(column.name)
        if value is None or column.name in _GIVEN:
            continue
        if column.physical is Physical.CODE:
            out[column.name] = segment.strings(f"entity:{column.name}").code(_bytes(value))
        elif column.physical is Physical.REF:
            out[column.name] = images[value]
        else:
            out[column.name] = value + 1
    return out


def _row(
    segment: GrowingSegment, images: dict[int, int], event: Mapping[str, Any], event_id: int, ts: int
) -> dict[str, Any]:
    table = event["table"]
    row: dict[str, Any] = {
        "table": table,
        "event_id": event_id,
        "ts_boot_ns": ts,
        "action": BUILTIN.action_code(table, event["action"]),
        "flags": event.get("flags", 0),
        "entity": _image(segment, images, event, event_id),
    }
    for column in COMMON_COLUMNS + TABLE_COLUMNS[table]:
        if column.name in row:
            continue
        value = event.get(column.name)
        if column.physical.coded:
            row[column.name] = segment.strings(f"{table}:{column.name}").code(_bytes(value))
        elif column.physical is Physical.REF:
            row[column.name] = images.get(value or 0, 0)
        else:
            row[column.name] = value
    return row


def _tables(rows: list[dict[str, Any]]) -> dict[str, Rows]:
    out: dict[str, Rows] = {}
    for table in dict.fromkeys(r["table"] for r in rows):
        own = [r for r in rows if r["table"] == table]
        columns, valid = {}, {}
        for column in COMMON_COLUMNS + TABLE_COLUMNS[table]:
            values = [r[column.name] for r in own]
            columns[column.name] = np.array([v or 0 for v in values], dtype=DTYPES[column.physical])
            valid[column.name] = np.array([v is not None for v in values])
        out[table] = ArrayRows(table, len(own), columns, valid)
    return out


def _next_segment(old: GrowingSegment, images: dict[int, int]) -> tuple[GrowingSegment, dict[int, int]]:
    """Start a segment with a snapshot of every live image and its ancestors, renumbered."""
    new, moved = GrowingSegment(old.index + 1), {0: 0}

    def move(ref: int) -> int:
        if ref in moved:
            return moved[ref]
        entities = old.entities
        row: dict[str, Any] = {n: entities.column(n)[ref] for n in ("pid", "start_ns", "exec_seq", "first_event_id")}
        row["entity_id"] = bytes(entities.column("entity_id")[ref])
        for column in ENTITY_COLUMNS:
            if column.nullable:
                row[column.name] = entities.column(column.name)[ref]
            elif column.physical is Physical.REF:
                row[column.name] = move(int(entities.column(column.name)[ref]))
        for name in (c.name for c in ENTITY_COLUMNS if c.physical is Physical.CODE):
            code = int(entities.column(name)[ref])
            text = old.strings(f"entity:{name}").values(code, code + 1)[0] if code else None
            row[name] = new.strings(f"entity:{name}").code(text)
        offsets, codes = entities.lists("args")
        texts = [
            old.strings("entity:args").values(c, c + 1)[0] for c in codes[offsets[ref] : offsets[ref + 1]].tolist()
        ]
        row["args"] = new.strings("entity:args").codes(texts)
        moved[ref] = new.entities.add(row)
        return moved[ref]

    return new, {pid: move(ref) for pid, ref in images.items()}
