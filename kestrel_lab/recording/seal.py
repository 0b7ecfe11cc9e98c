"""Sealing: a segment's streams become Arrow files, compressed, with real dictionaries, and a seal that hashes them."""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kestrel_lab.recording.decode import footer_blocks
from kestrel_lab.recording.encode import plain_array
from kestrel_lab.recording.files import disk_limits, sync_folder, write_file
from kestrel_lab.recording.layout import ENTITY, MAJOR, MINOR, PARTIAL, SEAL, long_hash, sealed_folder, short_hash
from kestrel_lab.recording.records import EpochRecord, SealRecord
from kestrel_lab.recording.stores import Stores
from kestrel_lab.recording.streams import Streams
from kestrel_lab.schema.arrow import arrow_field
from kestrel_lab.schema.epoch import Rows
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Column, Physical

#: rows gathered before a batch is written; epochs are never split, so a batch may hold up to 65,535 more
BATCH_ROWS = 32_768
_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=3), use_threads=False)


@dataclass(frozen=True, slots=True)
class Sealing:
    """What sealing a segment needs to know: its epochs, and which columns of each table hold anything."""

    root: Path
    schema: Schema
    index: int
    records: Sequence[EpochRecord]
    held: Mapping[str, Collection[str]]


def seal_segment(work: Sealing, previous: str, journal: tuple[int, str]) -> SealRecord:
    """Write the files and the seal of a segment and return the record that makes them count.

    The streams stay; nothing refers to the new files until the record stands in the journal.

    Args:
        previous: hash of the seal before, empty for none.
        journal: bytes and hash of the journal so far.

    Raises:
        LimitError: when the disk is full; what was written is removed.
        BrokenPartError: if the streams do not hold what was written.
    """
    folder = sealed_folder(work.root, work.index)
    try:
        with disk_limits(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = _write_files(work, folder)
        first, last = work.records[0], work.records[-1]
        seal = {
            "format": [MAJOR, MINOR],
            "segment": work.index,
            "fingerprint": work.schema.fingerprint,
            "previous": previous,
            "journal": list(journal),
            "epochs": [first.number, last.number],
            "ids": [first.first_event_id, last.last_event_id],
            "files": files,
        }
        data = json.dumps(seal, separators=(",", ":")).encode()
        write_file(folder / SEAL, data)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sizes = {f"{name}.arrow": entry["size"] for name, entry in files.items()}
    return SealRecord(
        work.index, long_hash(data), first.number, last.number, first.first_event_id, last.last_event_id, sizes
    )


def _write_files(work: Sealing, folder: Path) -> dict[str, Any]:
    streams = Streams(work.root, work.index, work.records, Stores(work.schema))
    streams.absorb(work.records[-1])
    names = dict.fromkeys(table for record in work.records for table in record.tables)
    out = {name: _write(work, folder, name, streams, _groups(work.records, name, streams)) for name in names}
    return out | {ENTITY: _write(work, folder, ENTITY, streams, iter([[streams.entities]]))}


def _groups(records: Sequence[EpochRecord], table: str, streams: Streams) -> Iterator[list[Rows]]:
    """Yield runs of whole epochs that make one batch each."""
    group: list[Rows] = []
    rows = 0
    for record in records:
        if table not in record.tables:
            continue
        group.append(streams.table(record, table))
        rows += len(group[-1])
        if rows >= BATCH_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _write(work: Sealing, folder: Path, name: str, streams: Streams, groups: Iterator[list[Rows]]) -> dict[str, Any]:
    columns = [c for c in work.schema.columns_of(name) if c.name in work.held.get(name, ())]
    dictionaries = {
        c.name: streams.strings(f"{name}:{c.name}").dictionary()
        for c in columns
        if c.physical.coded or c.physical is Physical.CODES
    }
    schema = _schema(work, name, columns)
    path = folder / f"{name}.arrow"
    partial = path.with_name(path.name + PARTIAL)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    counts: list[int] = []
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema, options=_OPTIONS) as writer:
        for group in groups:
            arrays = [_column(c, group, dictionaries.get(c.name)) for c in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            counts.append(sum(len(rows) for rows in group))
    entry = _describe(partial, counts) | {"columns": [c.name for c in columns]}
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    partial.rename(path)
    sync_folder(folder)
    return entry


def _schema(work: Sealing, name: str, columns: Sequence[Column]) -> pa.Schema:
    meta: dict[str | bytes, str | bytes] = {
        "table": name,
        "segment": str(work.index),
        "fingerprint": work.schema.fingerprint,
        "format": f"{MAJOR}.{MINOR}",
    }
    return pa.schema([_field(c) for c in columns], metadata=meta)


def _field(column: Column) -> pa.Field[Any]:
    field = arrow_field(column)
    if column.physical.coded:
        return field.with_type(pa.dictionary(pa.int32(), pa.binary())).with_nullable(True)
    if column.physical is Physical.CODES:
        return field.with_type(pa.list_(pa.field("item", pa.dictionary(pa.int32(), pa.binary()), nullable=False)))
    return field


def _column(column: Column, group: Sequence[Rows], dictionary: pa.Array[Any] | None) -> pa.Array[Any]:
    if column.physical is Physical.CODES:
        return _list_column(column, group, dictionary)
    values = np.concatenate([rows.column(column.name) for rows in group])
    if column.physical.coded:
        return pa.DictionaryArray.from_arrays(pa.array(values), dictionary)
    valid = [rows.valid(column.name) for rows in group] if column.nullable else []
    if all(v is None for v in valid):
        return plain_array(column, values, None)
    masks = [np.ones(len(r), np.bool_) if v is None else v for r, v in zip(group, valid, strict=True)]
    return plain_array(column, values, np.concatenate(masks))


def _list_column(column: Column, group: Sequence[Rows], dictionary: pa.Array[Any] | None) -> pa.Array[Any]:
    (rows,) = group
    offsets, codes = rows.lists(column.name)
    items = pa.DictionaryArray.from_arrays(codes, dictionary)
    return pa.ListArray.from_arrays(pa.array(offsets.astype("i4")), items, type=_field(column).type)


def _describe(path: Path, rows: Sequence[int]) -> dict[str, Any]:
    """Return the seal's entry of a file: where its head, its batches and its tail lie, and their hashes."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as all_,
    ):
        size = len(all_)
        footer = int.from_bytes(all_[size - 10 : size - 6], "little")
        blocks = footer_blocks(all_[size - 10 - footer :])

        def region(start: int, length: int) -> list[Any]:
            return [start, length, short_hash(all_[start : start + length])]

        end = blocks[-1][0] + blocks[-1][1]
        return {
            "size": size,
            "head": region(0, blocks[0][0]),
            "batches": [[*region(*block), count] for block, count in zip(blocks, rows, strict=True)],
            "tail": region(end, size - end),
        }
