"""The writer of a recording: an epoch is committed once its record stands in the journal."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from kestrel_lab.recording.contents import ContentStore, ContentWriter
from kestrel_lab.recording.expired import Expired
from kestrel_lab.recording.files import RecorderLock, disk_limits, is_locked, sync_folder, write_file
from kestrel_lab.recording.journal import JournalWriter
from kestrel_lab.recording.layout import JOURNAL, LOCK, MAJOR, MINOR, RESERVE, SCHEMA, long_hash, sealed_folder
from kestrel_lab.recording.manifest import new_manifest, pinned_hashes, write_manifest
from kestrel_lab.recording.opened import OpenSegment
from kestrel_lab.recording.packs import write_pack
from kestrel_lab.recording.pool import use_plain_memory
from kestrel_lab.recording.records import SealRecord, gaps_to_json
from kestrel_lab.recording.reserve import Reserve
from kestrel_lab.recording.sealer import Sealer
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.captured import CaptureUse
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.errors import LimitError, UsageError

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RecordingWriter:
    """Writes `NAME.krec/`. Use from one thread; sealing happens in another one of its own."""

    def __init__(
        self, path: Path, info: SourceInfo, facts: Mapping[str, Any] = _NOTHING, *, keep: Mapping[str, Any] = _NOTHING
    ) -> None:
        """Make the folder, mode 0700, and take the recorder's lock.

        Args:
            facts: what else is true of the recording, as JSON data (kernel, versions, offsets, clocks).
            keep: further top-level keys of the manifest, kept as they are.

        Raises:
            UsageError: if the folder exists, another recorder holds it, or it cannot be made.
            LimitError: when the disk is full.
        """
        use_plain_memory()
        self.path, self._schema = path, info.schema
        _make_folder(path)
        try:
            self._lock = RecorderLock(path / LOCK)
        except BlockingIOError:
            raise _taken(path) from None
        self._manifest = json.loads(json.dumps(dict(keep) | new_manifest(info, facts)))
        self._manifest_lock = threading.Lock()
        try:
            self._reserve = Reserve(path / RESERVE)
            lock = json.dumps(info.schema.lock(), separators=(",", ":"))
            write_file(path / SCHEMA, lock.encode() + b"\n")
            self._journal = JournalWriter(path / JOURNAL)
            self._journal.append({"k": "open", "format": [MAJOR, MINOR], "pinned": pinned_hashes(self._manifest)})
            write_manifest(path, self._manifest)
        except LimitError:
            self._lock.release()
            shutil.rmtree(path)
            raise
        self._packs: dict[str, Mapping[str, bytes]] = {}
        self._segment: OpenSegment | None = None
        self._last_epoch = -1
        self._contents = ContentStore(path, self._journal)
        self._seals: dict[int, SealRecord] = {}
        self._times: dict[int, tuple[int, int]] = {}  # of the first and the last event of each segment
        self._sealed_bytes = 0
        self._full: LimitError | None = None
        self._sealer = Sealer(path, self._journal, self._note_seal)

    @property
    def bytes_written(self) -> int:
        """Bytes of events, strings and entities on disk now: sealed files, streams and the journal."""
        own = self._segment.size if self._segment else 0
        return self._sealed_bytes + self._sealer.open_bytes + own + self._journal.length

    @property
    def unsealed(self) -> list[tuple[int, str]]:
        """Segments that could not be sealed and why; they stay readable as streams."""
        return [(segment.index, reason) for segment, reason in self._sealer.failed]

    def store_pack(self, pack_hash: str, files: Mapping[str, bytes]) -> None:
        """Store the files of a rule pack, if none with this hash is there; may be called from another thread.

        Args:
            files: by path relative to the pack, with forward slashes.

        Raises:
            UsageError: for a file name that would leave the folder.
            LimitError: when the disk is full.
        """
        if pack_hash not in self._packs:
            write_pack(self.path, pack_hash, files)
            self._packs[pack_hash] = dict(files)

    def add_pack(self, use: PackUse, files: Mapping[str, bytes]) -> None:
        """Append a row of the schedule, and store its pack unless that was done.

        Raises:
            UsageError, LimitError: as `store_pack`.
        """
        self.store_pack(use.pack_hash, files)
        stored = self._packs[use.pack_hash]  # another wording of the same rules has the same hash
        self._journal.append({
            "k": "pack", "from": use.from_event_id, "hash": use.pack_hash, "actions": list(use.actions),
            "files": {name: long_hash(data) for name, data in sorted(stored.items())},
        })  # fmt: skip
        self._update_manifest(packs={"from_event_id": use.from_event_id, "hash": use.pack_hash})

    def add_capture(self, use: CaptureUse) -> None:
        """Say what is captured from an event on.

        Raises:
            LimitError: when the disk is full.
        """
        self._journal.append({"k": "capture", **use.to_json()})

    def begin(self) -> ContentWriter:
        """Return a new content of an executed file, to be filled from any one thread."""
        return self._contents.begin()

    def commit(self, epoch: Epoch) -> None:
        """Append an epoch; when this returns it survives a kill of this process.

        Raises:
            LimitError: when the disk is full; nothing of the epoch was written, what came before stays readable.
        """
        if self._full:
            raise self._full
        if epoch.number <= self._last_epoch:
            raise ValueError(f"epoch {epoch.number} after epoch {self._last_epoch}")
        try:
            self._commit(epoch)
        except LimitError as error:
            self._full = error
            raise

    def expire(self, segment: int, why: str) -> bool:
        """Remove a sealed segment; return whether it was there. What it held stays in the journal.

        Args:
            why: `keep` or `budget`.

        Raises:
            LimitError: when the disk is so full that this cannot be noted; nothing was removed.
        """
        with self._manifest_lock:
            seal = self._seals.pop(segment, None)
        if seal is None:
            return False
        expired = Expired.of(seal, self._times[segment], why)
        try:
            self._journal.append({"k": "expired", **expired.to_json()})
            self._journal.sync()
        except LimitError:
            self._seals[segment] = seal
            raise
        shutil.rmtree(sealed_folder(self.path, segment))
        with self._manifest_lock:
            self._sealed_bytes -= sum(seal.files.values())
            del self._times[segment]
        with suppress(LimitError):  # the journal has it; the manifest catches up at the next seal or at close
            self._expired(expired)
        return True

    def note_expired(self, expired: Expired) -> None:
        """Say of a copy that a segment had gone from what it is a copy of."""
        self._journal.append({"k": "expired", **expired.to_json()})
        self._expired(expired)

    @property
    def sealed(self) -> dict[int, int]:
        """The sealed segments that are there, and their sizes in bytes."""
        with self._manifest_lock:
            return {index: sum(seal.files.values()) for index, seal in self._seals.items()}

    def _expired(self, expired: Expired) -> None:
        self._update_manifest(expired=expired.to_json())

    def add_gaps(self, gaps: Sequence[Gap]) -> None:
        """Add rows of the gap map that belong to no epoch."""
        if gaps:
            self._journal.append(gaps_to_json(tuple(gaps)))

    def note_missing(self, epochs: tuple[int, int], event_ids: tuple[int, int], reason: str) -> None:
        """Say that epochs (inclusive) were there and are not in this copy."""
        self._journal.append({"k": "missing", "epochs": epochs, "ids": event_ids, "why": reason})

    def close(self, ledger: Ledger | None, *, end: Literal["sealed", "cut"] = "sealed") -> str:
        """Seal what is open, write the ledger, end the recording and return its head hash (hex).

        Args:
            ledger: None only for a copy of a recording that never had one.
            end: `cut` for a copy of a recording whose own end was cut.

        Raises:
            LimitError: when the disk is so full that not even the last record fits; every epoch stays readable.
        """
        self._contents.close()
        self._finish_segment()
        self._sealer.finish()
        self._reserve.remove()
        self._sealer.retry()
        words = None if ledger is None else asdict(ledger)
        try:
            self._journal.append({
                "k": "close", "end": end, "ledger": words, "seal": self._sealer.previous,
                "journal": list(self._journal.state()),
            })  # fmt: skip
            self._journal.sync()
            head = self._journal.state()[1]
            self._update_manifest(complete=end == "sealed", head=head, ledger=words)
        finally:
            self._journal.close()
            self._lock.release()
        (self.path / LOCK).unlink(missing_ok=True)
        sync_folder(self.path)
        return head

    def _commit(self, epoch: Epoch) -> None:
        segment = self._segment_of(epoch)
        record, pieces = segment.encode(epoch)
        size = sum(len(piece) for piece in pieces.values())
        self._reserve.keep(self._sealer.open_bytes + segment.size + size)
        before = segment.lengths()
        segment.append(pieces)
        try:
            self._journal.append(record.to_json())
        except LimitError:
            segment.rewind(before)
            raise
        segment.committed(record)
        first = self._times.get(segment.index, (epoch.ts_min_ns, 0))[0]
        self._times[segment.index] = first, epoch.ts_max_ns
        self._last_epoch = epoch.number

    def _segment_of(self, epoch: Epoch) -> OpenSegment:
        if self._segment is None or self._segment.index != epoch.segment.index:
            self._finish_segment()
            self._segment = OpenSegment(self.path, epoch.segment.index, self._schema)
        return self._segment

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if segment.records:
            self._sealer.submit(segment)
        else:
            segment.close()
            shutil.rmtree(segment.folder)

    def _note_seal(self, record: SealRecord) -> None:
        with self._manifest_lock:
            self._seals[record.segment] = record
            self._sealed_bytes += sum(record.files.values())
        own = self._segment.size if self._segment else 0
        self._reserve.release(self._sealer.open_bytes + own)
        entry = {key: value for key, value in record.to_json().items() if key not in ("k", "files")}
        try:
            self._update_manifest(segments=entry)
        except LimitError:
            # The journal has it; the manifest catches up at the next seal or at close.
            return

    def _update_manifest(self, **changes: Any) -> None:
        with self._manifest_lock:
            for key, value in changes.items():
                if isinstance(self._manifest.get(key), list):
                    self._manifest[key].append(value)
                else:
                    self._manifest[key] = value
            write_manifest(self.path, self._manifest)


def _taken(path: Path) -> UsageError:
    return UsageError("another recorder writes to this folder", where=str(path), do="choose another name")


def _make_folder(path: Path) -> None:
    if is_locked(path / LOCK):
        raise _taken(path)
    if path.exists():
        raise UsageError("the folder exists", where=str(path), do="choose another name, or move it away")
    try:
        with disk_limits(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
    except OSError as error:
        raise UsageError(
            f"the folder cannot be made ({error.strerror})", where=str(path), do="choose a place you can write to"
        ) from error
