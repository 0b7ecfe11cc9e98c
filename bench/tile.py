"""A long recording from a short one: its epochs repeated with fresh event ids, times, processes, paths and arguments.

Every repetition brings its own entity table, and a new string for every second distinct path and every fourth
distinct argument, so that dictionaries and entities grow as they would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.epoch import MAX_ROWS, Array, Epoch, Rows, Segment
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Physical

#: where the recorder ends a segment
SEGMENT_ROWS = 1_000_000
SEGMENT_ENTITIES = 100_000
#: every n-th distinct string of these dictionaries is fresh in each repetition
FRESH = {"file:file.path": 2, "file:file.Ext.original.path": 2, "entity:args": 4}
_GAP_NS = 1_000_000
_EPOCH_NS = 50_000_000


def faster(base: Sequence[Epoch], factor: int) -> list[Epoch]:
    """Return the same events `factor` times as fast: times compressed, epochs as they would close at that rate."""
    start, out, group = base[0].ts_min_ns, list[Epoch](), list[Epoch]()
    for epoch in base:
        rows = sum(e.rows for e in group)
        if group and (epoch.ts_max_ns - group[0].ts_min_ns > factor * _EPOCH_NS or rows + epoch.rows > MAX_ROWS):
            out.append(_merged(group, start, factor))
            group = []
        group.append(epoch)
    return [*out, _merged(group, start, factor)]


def _merged(group: Sequence[Epoch], start: int, factor: int) -> Epoch:
    def at(ns: int) -> int:
        return start + (ns - start) // factor

    tables = {}
    for name in dict.fromkeys(t for e in group for t in e.tables):
        parts = [e.tables[name] for e in group if name in e.tables]
        columns, valid = {}, {}
        for column in BUILTIN.columns_of(name):
            columns[column.name] = np.concatenate([p.column(column.name) for p in parts])
            if column.nullable:
                masks = [(p.valid(column.name), len(p)) for p in parts]
                valid[column.name] = np.concatenate([np.ones(n, np.bool_) if m is None else m for m, n in masks])
        columns["ts_boot_ns"] = start + (columns["ts_boot_ns"] - np.uint64(start)) // np.uint64(factor)
        tables[name] = ArrayRows(name, sum(map(len, parts)), columns, valid)
    return replace(
        group[-1], first_event_id=group[0].first_event_id, rows=sum(e.rows for e in group), tables=tables,
        ts_min_ns=at(min(e.ts_min_ns for e in group)), ts_max_ns=at(max(e.ts_max_ns for e in group)), gaps=(),
        late=any(e.late for e in group),
    )  # fmt: skip


def tiled(base: Sequence[Epoch], events: int) -> Iterator[Epoch]:
    """Yield epochs with at least `events` events in all.

    Args:
        base: all epochs of one segment, the first starting at event_id 1 or later.
    """
    rows = sum(e.rows for e in base)
    tiles = -(-events // rows)
    per_segment = max(min(SEGMENT_ROWS // rows, SEGMENT_ENTITIES // len(base[-1].segment.entities)), 1)
    segment, number, next_id, running = GrowingSegment(0), 0, base[0].first_event_id, 0
    span = max(e.ts_max_ns for e in base) - min(e.ts_min_ns for e in base) + _GAP_NS
    for tile in range(tiles):
        if tile and tile % per_segment == 0:
            segment = GrowingSegment(segment.index + 1)
        copy = _Tile(tile, base[-1].segment, segment, next_id - base[0].first_event_id, tile * span)
        for epoch in base:
            made = copy.epoch(epoch, number, running)
            running = made.event_time_after_ns
            number += 1
            yield made
        next_id += rows


class _Tile:
    """One repetition: what codes, refs, ids and times become in it."""

    def __init__(self, tile: int, old: Segment, new: GrowingSegment, ids: int, ns: int) -> None:
        self._tile, self._old, self._new, self._ids, self._ns = tile, old, new, ids, ns
        self._codes: dict[str, Array] = {}
        self._first = len(new.entities)
        self._add_entities()

    def epoch(self, old: Epoch, number: int, running: int) -> Epoch:
        """Return this repetition's copy of an epoch."""
        tables = {name: self._rows(name, rows) for name, rows in old.tables.items()}
        return Epoch(
            number=number, segment=self._new, first_event_id=old.first_event_id + self._ids, rows=old.rows,
            ts_min_ns=old.ts_min_ns + self._ns, ts_max_ns=old.ts_max_ns + self._ns, event_time_ns=running,
            clock_boot_ns=old.clock_boot_ns, clock_wall_ns=old.clock_wall_ns, tables=tables,
            string_counts=self._new.string_counts(), entity_count=len(self._new.entities), late=old.late,
        )  # fmt: skip

    def _code_map(self, key: str) -> Array:
        found = self._codes.get(key)
        if found is None:
            old, new, every = self._old.strings(key), self._new.strings(key), FRESH.get(key, 0)
            suffix = b"-%d" % self._tile
            values = (v + suffix if every and i % every == 0 else v for i, v in enumerate(old.values(1, len(old))))
            found = self._codes[key] = np.concatenate([np.zeros(1, "i4"), new.codes(values)])
        return found

    def _rows(self, table: str, old: Rows) -> Rows:
        columns, valid = {}, {}
        for column in BUILTIN.columns_of(table):
            values = old.column(column.name)
            if column.physical.coded:
                values = self._code_map(f"{table}:{column.name}")[values]
            elif column.physical is Physical.REF:
                values = self._refs(values)
            elif column.name == "event_id":
                values = values + np.uint64(self._ids)
            elif column.name == "ts_boot_ns":
                values = values + np.uint64(self._ns)
            columns[column.name] = values
            mask = old.valid(column.name)
            if mask is not None:
                valid[column.name] = mask
        return ArrayRows(table, len(old), columns, valid)

    def _refs(self, refs: Array) -> Array:
        return np.where(refs == 0, 0, refs + np.uint32(self._first - 1)).astype("u4")

    def _add_entities(self) -> None:
        old = self._old.entities
        columns = {c.name: old.column(c.name) for c in ENTITY_COLUMNS if c.physical is not Physical.CODES}
        columns["start_ns"] = columns["start_ns"] + np.uint64(self._ns)
        columns["first_event_id"] = columns["first_event_id"] + np.uint64(self._ids)
        for column in ENTITY_COLUMNS:
            if column.physical is Physical.REF:
                columns[column.name] = self._refs(columns[column.name])
            elif column.physical is Physical.CODE:
                columns[column.name] = self._code_map(f"entity:{column.name}")[columns[column.name]]
        offsets, codes = old.lists("args")
        arguments = self._code_map("entity:args")[codes]
        for ref in range(1, len(old)):
            row: dict[str, Any] = {name: values[ref] for name, values in columns.items()}
            row["entity_id"] = blake2b(bytes(row["entity_id"]) + b"%d" % self._tile, digest_size=16).digest()
            row["args"] = arguments[offsets[ref] : offsets[ref + 1]]
            self._new.entities.add(row)
