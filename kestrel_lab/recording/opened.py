"""A segment being written: one Arrow IPC stream a table, one for entities, one for the strings of all dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from kestrel_lab.recording.encode import STRINGS_SCHEMA, batch_message, rows_batch, stream_head
from kestrel_lab.recording.files import Appender, disk_limits
from kestrel_lab.recording.layout import ENTITY, STRINGS, open_folder, short_hash
from kestrel_lab.recording.records import EpochRecord, Extent
from kestrel_lab.schema.epoch import Epoch, Rows, Segment
from kestrel_lab.schema.schema import Schema


class OpenSegment:
    """The streams of the segment that is being written."""

    def __init__(self, root: Path, index: int, schema: Schema) -> None:
        """Make the segment's folder; its streams come with their first rows."""
        self.index, self.schema = index, schema
        self.folder = open_folder(root, self.index)
        with disk_limits(self.folder):
            self.folder.mkdir(mode=0o700, parents=True)
        self.records: list[EpochRecord] = []
        self.held: dict[str, set[str]] = defaultdict(set)
        self._files: dict[str, Appender] = {}
        self._strings = [1] * len(schema.keys)
        self._entities = 0
        self._rows: dict[str, int] = defaultdict(int)

    @property
    def size(self) -> int:
        """Bytes of all its streams."""
        return sum(file.length for file in self._files.values())

    def encode(self, epoch: Epoch) -> tuple[EpochRecord, dict[str, bytes | memoryview]]:
        """Return an epoch's record and what it appends to each stream. Nothing is written yet."""
        strings = self._string_counts(epoch.string_counts)
        pieces: dict[str, bytes | memoryview] = {}
        batches = {STRINGS: self._new_strings(epoch.segment, strings), ENTITY: self._new_entities(epoch)}
        for table, rows in epoch.tables.items():
            batches[table] = self._batch(table, rows, 0, len(rows))
        for name, batch in batches.items():
            if batch is not None:
                message = batch_message(batch)
                pieces[name] = message if name in self._files else stream_head(batch.schema) + bytes(message)
        record = EpochRecord(
            number=epoch.number, segment=self.index, first_event_id=epoch.first_event_id, rows=epoch.rows,
            ts_min_ns=epoch.ts_min_ns, ts_max_ns=epoch.ts_max_ns, event_time_ns=epoch.event_time_ns,
            clock_boot_ns=epoch.clock_boot_ns, clock_wall_ns=epoch.clock_wall_ns, late=epoch.late,
            entities=epoch.entity_count, strings=tuple(strings),
            tables={table: (self._rows[table], len(rows)) for table, rows in epoch.tables.items()},
            extents={name: self._extent(name, piece) for name, piece in pieces.items()}, gaps=tuple(epoch.gaps),
        )  # fmt: skip
        return record, pieces

    def append(self, pieces: Mapping[str, bytes | memoryview]) -> None:
        """Append an epoch's pieces to the streams.

        Raises:
            LimitError: when the disk is full; every stream is as it was.
        """
        before = {name: file.length for name, file in self._files.items()}
        try:
            for name, piece in pieces.items():
                if name not in self._files:
                    self._files[name] = Appender(self.folder / f"{name}.arrows")
                self._files[name].append(piece)
        except BaseException:  # Ctrl-C too: half an epoch must not stay
            self.rewind(before)
            raise

    def lengths(self) -> dict[str, int]:
        """Return the length of every stream, for `rewind`."""
        return {name: file.length for name, file in self._files.items()}

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """Take back what was appended since `lengths` was read."""
        for name in list(self._files):
            if name in lengths:
                self._files[name].rewind(lengths[name])
            else:
                self._files.pop(name).close()
                (self.folder / f"{name}.arrows").unlink()

    def committed(self, record: EpochRecord) -> None:
        """Note that an epoch's record stands in the journal."""
        self.records.append(record)
        self._strings, self._entities = list(record.strings), record.entities
        for table, (start, rows) in record.tables.items():
            self._rows[table] = start + rows

    def close(self) -> None:
        """Close the streams."""
        for file in self._files.values():
            file.close()

    def _string_counts(self, counts: Mapping[str, int]) -> list[int]:
        out = self._strings.copy()
        for key, count in counts.items():
            out[self.schema.key_numbers[key]] = max(count, 1)
        return out

    def _new_strings(self, segment: Segment, counts: list[int]) -> pa.RecordBatch | None:
        keys: list[int] = []
        values: list[bytes] = []
        for i, (old, new) in enumerate(zip(self._strings, counts, strict=True)):
            if new > old:
                values += segment.strings(self.schema.keys[i]).values(old, new)
                keys += [i] * (new - old)
        if not values:
            return None
        return pa.RecordBatch.from_arrays(
            [pa.array(np.array(keys, dtype="u2")), pa.array(values, type=pa.binary())], schema=STRINGS_SCHEMA
        )

    def _new_entities(self, epoch: Epoch) -> pa.RecordBatch | None:
        if epoch.entity_count <= self._entities:
            return None
        return self._batch(ENTITY, epoch.segment.entities, self._entities, epoch.entity_count)

    def _batch(self, name: str, rows: Rows, start: int, stop: int) -> pa.RecordBatch:
        batch, held = rows_batch(self.schema, name, rows, start, stop)
        self.held[name] |= held
        return batch

    def _extent(self, name: str, piece: bytes | memoryview) -> Extent:
        start = self._files[name].length if name in self._files else 0
        return Extent(start, len(piece), short_hash(piece))
