"""A stored segment, whichever form it has; it stays the same object when its streams are sealed under the reader."""

from __future__ import annotations

from pathlib import Path

from kestrel_lab.recording.damage import damage_of
from kestrel_lab.recording.index import JournalIndex
from kestrel_lab.recording.layout import open_folder
from kestrel_lab.recording.records import EpochRecord
from kestrel_lab.recording.sealed import Sealed, unlisted_seal
from kestrel_lab.recording.stores import StoredEntities, StoredRows, StoredStrings, Stores
from kestrel_lab.recording.streams import BrokenPartError, Streams
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.schema import Schema


class StoredSegment:
    """What the epochs of a stored segment share. Satisfies `Segment`."""

    def __init__(self, root: Path, index: int, journal: JournalIndex, schema: Schema, owner: object = None) -> None:
        """Take where it lies; `owner` is kept alive, because a packed recording's files go when it goes."""
        self._root, self._index, self._journal, self._owner = root, index, journal, owner
        self._stores = Stores(schema)
        self._source: Streams | Sealed | None = None

    @property
    def index(self) -> int:
        """Position in the recording, from 0."""
        return self._index

    @property
    def entities(self) -> StoredEntities:
        """The entity table, at least as far as the epochs loaded so far refer to it."""
        return self._stores.entities

    def strings(self, key: str) -> StoredStrings:
        """Return a dictionary, at least as far as the epochs loaded so far refer to it."""
        if self._source is None:
            return self._stores.strings[key]
        try:
            return self._source.strings(key)
        except BrokenPartError as error:
            raise damage_of(self._index, error.reason, error.records).error(str(self._root)) from error

    def epoch(self, record: EpochRecord) -> Epoch:
        """Return an epoch. Its tables are read and checked now, decompressed when columns are asked for.

        Raises:
            BrokenPartError: if bytes of it are missing or damaged.
        """
        tables = self._load(record)
        return Epoch(
            number=record.number, segment=self, first_event_id=record.first_event_id, rows=record.rows,
            ts_min_ns=record.ts_min_ns, ts_max_ns=record.ts_max_ns, event_time_ns=record.event_time_ns,
            clock_boot_ns=record.clock_boot_ns, clock_wall_ns=record.clock_wall_ns, tables=tables,
            string_counts=dict(zip(self._stores.strings, record.strings, strict=True)), entity_count=record.entities,
            late=record.late, gaps=record.gaps,
        )  # fmt: skip

    def _load(self, record: EpochRecord) -> dict[str, StoredRows]:
        if self._source is None:
            self._source = self._choose()
        try:
            return self._source.load(record)
        except FileNotFoundError:
            pass
        # The streams went away between two reads: the segment was sealed.
        self._source = sealed = self._sealed()
        sealed.fill()
        return sealed.load(record)

    def _choose(self) -> Streams | Sealed:
        sealed = self._index in self._journal.seals
        if sealed or not open_folder(self._root, self._index).exists():
            return self._sealed()
        return Streams(self._root, self._index, self._records, self._stores)

    @property
    def _records(self) -> list[EpochRecord]:
        return self._journal.segments[self._index]

    def _sealed(self) -> Sealed:
        seal = self._journal.seal_of(self._index) or unlisted_seal(self._root, self._index, self._records)
        return Sealed(self._root, seal, self._records, self._stores)
