"""The streams of a segment as its epochs' records describe them: read, checked, decoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from kestrel_lab.recording.decode import BatchColumns, MalformedError, after_schema
from kestrel_lab.recording.encode import STRINGS_SCHEMA
from kestrel_lab.recording.layout import ENTITY, STRINGS, open_folder, short_hash
from kestrel_lab.recording.records import EpochRecord
from kestrel_lab.recording.stores import StoredEntities, StoredRows, StoredStrings, Stores


class BrokenPartError(Exception):
    """Some bytes of a segment are not what was written.

    Args:
        reason: what is wrong, with the file's name.
        records: every epoch that cannot be read because of it.
    """

    def __init__(self, reason: str, records: Sequence[EpochRecord]) -> None:
        self.reason, self.records = reason, records
        super().__init__(reason)


def read_at(path: Path, start: int, length: int) -> bytes:
    """Return bytes of a file; fewer if it ends before. Opens and closes it: sealing may remove it at any time."""
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), length, start)


class Streams:
    """An open segment's files. `records` may grow; they are its epochs in order."""

    def __init__(self, root: Path, index: int, records: Sequence[EpochRecord], stores: Stores) -> None:
        self._folder, self._records = open_folder(root, index), records
        self._absorbed = 0  # records whose strings and entities are loaded
        self._ends = {STRINGS: 0, ENTITY: 0}
        self._broken: BrokenPartError | None = None
        self._stores = stores

    def strings(self, key: str) -> StoredStrings:
        """Return a dictionary as far as it was loaded."""
        return self._stores.strings[key]

    @property
    def entities(self) -> StoredEntities:
        """The entity table as far as it was loaded."""
        return self._stores.entities

    def load(self, record: EpochRecord) -> dict[str, StoredRows]:
        """Return the tables of an epoch, once the strings and entities up to it are loaded.

        Raises:
            BrokenPartError: if bytes are missing or damaged.
            FileNotFoundError: if the streams are gone: sealed since, or lost.
        """
        self.absorb(record)
        return {table: self.table(record, table) for table in record.tables}

    def table(self, record: EpochRecord, table: str) -> StoredRows:
        """Return the rows of one table of an epoch."""
        count = record.tables[table][1]
        batch = self._columns(table, self.piece(record, table), record)
        if batch.rows != count:
            raise BrokenPartError(f"{table}.arrows holds {batch.rows} rows, not {count}", [record])
        return StoredRows(self._stores.schema, table, batch, 0, count)

    def piece(self, record: EpochRecord, name: str) -> memoryview:
        """Return the bytes an epoch appended to a stream, checked."""
        extent = record.extents[name]
        data = read_at(self._folder / f"{name}.arrows", extent.start, extent.length)
        if len(data) < extent.length:
            raise BrokenPartError(f"{name}.arrows is cut short", [record])
        if short_hash(data) != extent.hash:
            raise BrokenPartError(f"{name}.arrows is damaged", [record])
        return memoryview(data)

    def absorb(self, record: EpochRecord) -> None:
        """Load strings and entities of all epochs up to this one: codes mean nothing without those before them.

        Raises:
            BrokenPartError: if some of them cannot be read.
        """
        while self._absorbed < len(self._records) and self._records[self._absorbed].number <= record.number:
            if self._broken:
                break
            try:
                self._absorb_one(self._records[self._absorbed])
            except BrokenPartError as error:
                self._broken = BrokenPartError(error.reason, self._records[self._absorbed :])
                break
            self._absorbed += 1
        if self._broken and record.number >= self._broken.records[0].number:
            raise self._broken

    def _absorb_one(self, record: EpochRecord) -> None:
        for name in (STRINGS, ENTITY):
            extent = record.extents.get(name)
            if extent is None:
                continue
            if extent.start != self._ends[name]:
                raise BrokenPartError(f"a damaged journal line hides part of {name}.arrows", [record])
            message = self.piece(record, name)
            if name == ENTITY:
                self._stores.entities.append(self._columns(ENTITY, message, record))
            else:
                self._add_strings(_body(message, extent.start == 0, record))
            self._ends[name] += extent.length

    def _add_strings(self, message: memoryview) -> None:
        batch = pa.ipc.read_record_batch(pa.py_buffer(message), STRINGS_SCHEMA)
        names, keys = self._stores.schema.keys, batch.column(0).to_numpy()
        starts = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist()]
        for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
            self._stores.strings[names[keys[start]]].append(batch.column(1).slice(start, stop - start))

    def _columns(self, name: str, message: memoryview, record: EpochRecord) -> BatchColumns:
        try:
            body = _body(message, record.extents[name].start == 0, record)
            return BatchColumns(body, self._stores.schema.columns_of(name))
        except MalformedError as error:
            raise BrokenPartError(f"{name}.arrows: {error}", [record]) from error


def _body(message: memoryview, first: bool, record: EpochRecord) -> memoryview:
    """Return an epoch's record batch message; the first epoch of a stream brings the schema too."""
    if not first:
        return message
    try:
        return after_schema(message)
    except MalformedError as error:
        raise BrokenPartError(str(error), [record]) from error
