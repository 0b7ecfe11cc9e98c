"""A sealed segment: Arrow files whose regions the seal names and hashes; columns are decompressed when asked for."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kestrel_lab.recording.decode import BatchColumns, MalformedError, dictionary_values
from kestrel_lab.recording.layout import ENTITY, SEAL, long_hash, sealed_folder, short_hash
from kestrel_lab.recording.records import EpochRecord, SealRecord
from kestrel_lab.recording.stores import StoredEntities, StoredRows, StoredStrings, Stores
from kestrel_lab.recording.streams import BrokenPartError, read_at
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Column, Physical


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of a sealed file with their blake2b-128; `first_row` and `rows` for a record batch."""

    offset: int
    length: int
    hash: str
    first_row: int = 0
    rows: int = 0


class SealedFile:
    """One Arrow file of a sealed segment, as its seal describes it."""

    def __init__(
        self, schema: Schema, folder: Path, name: str, data: dict[str, Any], records: Sequence[EpochRecord]
    ) -> None:
        self.name, self.path, self._records = name, folder / f"{name}.arrow", records
        self.size: int = data["size"]
        self._schema = schema
        present = set(data["columns"])
        self.columns: tuple[Column, ...] = tuple(c for c in schema.columns_of(name) if c.name in present)
        self.head, self.tail = Region(*data["head"]), Region(*data["tail"])
        self.batches: list[Region] = []
        row = 0
        for offset, length, digest, rows in data["batches"]:
            self.batches.append(Region(offset, length, digest, row, rows))
            row += rows
        self.rows = row
        self._starts = [batch.first_row for batch in self.batches]
        self._cached: tuple[int, BatchColumns] | None = None

    def hurt_by(self, batch: Region | None = None) -> list[EpochRecord]:
        """Return the epochs with rows in this file, or in one of its batches."""
        if self.name == ENTITY:
            return list(self._records)
        out = []
        for record in self._records:
            start, rows = record.tables.get(self.name, (0, 0))
            if rows and (batch is None or (start < batch.first_row + batch.rows and start + rows > batch.first_row)):
                out.append(record)
        return out

    def check(self) -> None:
        """Check the file's size, head and footer.

        Raises:
            BrokenPartError: if it is missing, cut, or one of them is damaged.
        """
        try:
            found = self.path.stat().st_size
        except FileNotFoundError:
            raise BrokenPartError(f"{self.path.name} is missing", self.hurt_by()) from None
        if found != self.size:
            raise BrokenPartError(f"{self.path.name} has {found} bytes, not {self.size}", self.hurt_by())
        self.read(self.head, "head (schema and dictionaries)")
        self.read(self.tail, "footer")

    def read(self, region: Region, what: str, batch: Region | None = None) -> bytes:
        """Return the bytes of a region, checked; `batch` is the one it belongs to, if any."""
        try:
            data = read_at(self.path, region.offset, region.length)
        except FileNotFoundError:
            raise BrokenPartError(f"{self.path.name} is missing", self.hurt_by()) from None
        if short_hash(data) != region.hash:
            raise BrokenPartError(f"{self.path.name}: its {what} is damaged", self.hurt_by(batch))
        return data

    def batch(self, number: int) -> BatchColumns:
        """Return a batch; the last one stays cached.

        Raises:
            BrokenPartError: naming the epochs with rows in it.
        """
        if self._cached is None or self._cached[0] != number:
            region = self.batches[number]
            data = self.read(region, f"record batch {number}", region)
            try:
                self._cached = number, BatchColumns(memoryview(data), self.columns)
            except MalformedError as error:
                raise BrokenPartError(f"{self.path.name}: {error}", self.hurt_by(region)) from error
        return self._cached[1]

    def rows_of(self, start: int, count: int) -> StoredRows:
        """Return rows by their place in the segment; they lie in one batch."""
        number = bisect_right(self._starts, start) - 1
        return StoredRows(self._schema, self.name, self.batch(number), start - self._starts[number], count)

    def dictionaries(self) -> dict[str, pa.Array[Any]]:
        """Return the values of each dictionary of the file by column; entry 0 is null."""
        head = self.read(self.head, "head (schema and dictionaries)")
        names = [c.name for c in self.columns if c.physical.coded or c.physical is Physical.CODES]
        return dict(zip(names, dictionary_values(memoryview(head)), strict=True))


class Sealed:
    """A sealed segment. Same manners as `Streams`."""

    def __init__(self, root: Path, seal: SealRecord, records: Sequence[EpochRecord], stores: Stores) -> None:
        """Read the seal.

        Args:
            stores: filled here as they are asked for, on from what they hold.

        Raises:
            BrokenPartError: if the seal is missing or not the one the journal names.
        """
        folder = sealed_folder(root, seal.segment)
        self.data = read_seal(folder, seal, records)
        self._stores = stores
        self.files = {
            name: SealedFile(stores.schema, folder, name, data, records) for name, data in self.data["files"].items()
        }
        self._checked: set[str] = set()
        self._filled: set[str] = set()

    @property
    def entities(self) -> StoredEntities:
        """The entity table, whole."""
        found = self._stores.entities
        if ENTITY not in self._filled:
            file = self._file(ENTITY)
            for number, region in enumerate(file.batches):
                skip = max(len(found) - region.first_row, 0)
                if skip < region.rows:
                    found.append(file.batch(number), skip)
            self._filled.add(ENTITY)
        return found

    def strings(self, key: str) -> StoredStrings:
        """Return a dictionary, whole."""
        table = key.partition(":")[0]
        if f"{table}:" not in self._filled and table in self.files:
            for column, values in self._file(table).dictionaries().items():
                store = self._stores.strings[f"{table}:{column}"]
                store.append(values.slice(len(store)))
        self._filled.add(f"{table}:")
        return self._stores.strings[key]

    def fill(self) -> None:
        """Load every dictionary and entity now: somebody holds stores that streams had begun to fill."""
        _ = self.entities
        for key in self._stores.strings:
            self.strings(key)

    def load(self, record: EpochRecord) -> dict[str, StoredRows]:
        """Return the tables of an epoch.

        Raises:
            BrokenPartError: if bytes are missing or damaged.
        """
        _ = self.entities
        return {table: self._file(table).rows_of(*span) for table, span in record.tables.items()}

    def _file(self, name: str) -> SealedFile:
        file = self.files[name]
        if name not in self._checked:
            file.check()
            self._checked.add(name)
        return file


def read_seal(folder: Path, seal: SealRecord, records: Sequence[EpochRecord]) -> dict[str, Any]:
    """Return the seal of a segment, checked against the journal's record of it."""
    try:
        data = (folder / SEAL).read_bytes()
    except FileNotFoundError:
        raise BrokenPartError("the segment is missing: it has no seal", records) from None
    if long_hash(data) != seal.hash:
        raise BrokenPartError(f"{SEAL} is damaged", records)
    out: dict[str, Any] = json.loads(data)
    return out


def unlisted_seal(root: Path, segment: int, records: Sequence[EpochRecord]) -> SealRecord:
    """Return the record of a seal whose journal line is damaged, from the seal itself.

    Raises:
        BrokenPartError: if there is no such seal: the segment is missing.
    """
    try:
        data = (sealed_folder(root, segment) / SEAL).read_bytes()
        seal = json.loads(data)
    except (FileNotFoundError, ValueError):
        raise BrokenPartError("the segment is missing: it has neither streams nor a seal", records) from None
    return SealRecord.from_json(seal | {"seg": segment, "hash": long_hash(data), "files": {}})
