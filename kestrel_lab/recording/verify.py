"""Checking every byte of a recording against the hashes that were written with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from kestrel_lab.recording.contents import read_content
from kestrel_lab.recording.damage import Damage, damage_of
from kestrel_lab.recording.layout import JOURNAL, LONG, SCHEMA
from kestrel_lab.recording.opening import open_recording
from kestrel_lab.recording.reader import Recording
from kestrel_lab.recording.records import EpochRecord, SealRecord
from kestrel_lab.recording.sealed import Sealed, unlisted_seal
from kestrel_lab.recording.stores import Stores
from kestrel_lab.recording.streams import BrokenPartError, Streams
from kestrel_lab.schema.epoch import End
from kestrel_lab.schema.errors import DamagedError
from kestrel_lab.schema.lock import fingerprint


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        end: how the recording ends; `missing` says in words what one lacks that was not ended in order.
        head: the head hash; equal to what the recorder printed if nothing was changed or cut off.
        segments, epochs, events: what was checked.
        damage: every damaged part.
    """

    path: Path
    end: End
    head: str
    segments: int
    epochs: int
    events: int
    damage: tuple[Damage, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the recorder ended it in order."""
        return self.end == "sealed"

    @property
    def ok(self) -> bool:
        """Whether no damage was found. A cut recording may be ok: everything that was committed is there."""
        return not self.damage


def verify(path: Path) -> VerifyReport:
    """Check every hash of a recording: segments, seals and their chain, journal, packs, contents, schema, live log.

    Raises:
        UsageError, DamagedError, IncompatibleError: if it cannot be opened at all.
    """
    recording = open_recording(path)
    try:
        damage = list(dict.fromkeys(_all_damage(recording)))
        return VerifyReport(
            path=path, end=recording.end, head=recording.head, segments=len(recording.journal.segments),
            epochs=len(recording.index), events=sum(r.rows for r in recording.index), damage=tuple(damage),
            missing=tuple(recording.missing),
        )  # fmt: skip
    finally:
        recording.close()


def _all_damage(recording: Recording) -> Iterator[Damage]:
    journal = recording.journal
    yield from journal.damage
    yield from journal.holes.values()
    yield from _chain(recording)
    for index, records in sorted(journal.segments.items()):
        seal = journal.seals.get(index)
        if seal is None:
            yield from _streams(recording, index, records)
        else:
            yield from _sealed(recording, seal, records)
    yield from _others(recording)


def _streams(recording: Recording, index: int, records: list[EpochRecord]) -> Iterator[Damage]:
    streams = Streams(recording.root, index, records, Stores(recording.info.schema))
    for record in records:
        try:
            streams.load(record)
        except BrokenPartError as error:
            yield damage_of(index, error.reason, error.records)
        except FileNotFoundError:
            try:
                seal = recording.journal.seal_of(index) or unlisted_seal(recording.root, index, records)
            except BrokenPartError as error:
                yield damage_of(index, error.reason, error.records)
            else:
                yield from _sealed(recording, seal, records)
            return


def _sealed(recording: Recording, seal: SealRecord, records: list[EpochRecord]) -> Iterator[Damage]:
    try:
        sealed = Sealed(recording.root, seal, records, Stores(recording.info.schema))
    except BrokenPartError as error:
        yield damage_of(seal.segment, error.reason, error.records)
        return
    for file in sealed.files.values():
        try:
            file.check()
        except BrokenPartError as error:
            yield damage_of(seal.segment, error.reason, error.records)
            if not file.path.exists():
                continue
        for number in range(len(file.batches)):
            try:
                file.batch(number)
            except BrokenPartError as error:
                yield damage_of(seal.segment, error.reason, error.records)


def _chain(recording: Recording) -> Iterator[Damage]:
    """Check that each seal names the one before it and the journal as it stood."""
    data = (recording.root / JOURNAL).read_bytes()
    prefix, at, previous = blake2b(digest_size=LONG), 0, ""
    expired = {one.segment for one in recording.expired}
    for seal in recording.journal.seals.values():
        if seal.segment in expired:
            previous = seal.hash
            continue
        try:
            sealed = Sealed(
                recording.root, seal, recording.journal.segments[seal.segment], Stores(recording.info.schema)
            ).data
        except BrokenPartError:
            previous = seal.hash
            continue  # reported with the segment
        length, digest = sealed["journal"]
        prefix.update(data[at:length])
        at = max(at, length)
        if prefix.hexdigest() != digest:
            yield Damage(-1, -1, -1, (), f"the journal before segment {seal.segment}'s seal is not what was sealed")
        if sealed["previous"] != previous:
            yield Damage(seal.segment, -1, -1, (), "the seal does not follow the one before it")
        previous = seal.hash
    closed = recording.journal.closed
    if closed is not None:
        length, digest = closed["journal"]
        prefix.update(data[at:length])
        if prefix.hexdigest() != digest or closed["seal"] != previous:
            yield Damage(-1, -1, -1, (), "the journal is not what was closed")


def _others(recording: Recording) -> Iterator[Damage]:
    try:
        lock = json.loads((recording.root / SCHEMA).read_bytes())
        same = fingerprint(lock) == recording.info.schema.fingerprint
    except (FileNotFoundError, ValueError):
        same = False
    if not same:
        yield Damage(-1, -1, -1, (), f"{SCHEMA} is missing or damaged")
    try:
        _ = recording.packs
    except DamagedError as error:
        yield Damage(-1, -1, -1, (), error.what)
    for digest in recording.journal.contents:
        try:
            for _ in read_content(recording, digest):
                pass
        except DamagedError as error:
            yield Damage(-1, -1, -1, (), error.what)
    for reason in recording.live.damage:
        yield Damage(-1, -1, -1, (), reason)
