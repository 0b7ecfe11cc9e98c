"""Tailing a recording while it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from kestrel_lab.recording.damage import damage_of
from kestrel_lab.recording.files import is_locked
from kestrel_lab.recording.index import JournalIndex
from kestrel_lab.recording.layout import LOCK
from kestrel_lab.recording.manifest import read_manifest, source_info
from kestrel_lab.recording.packs import read_pack
from kestrel_lab.recording.pool import use_plain_memory
from kestrel_lab.recording.segment import StoredSegment
from kestrel_lab.recording.streams import BrokenPartError
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.epoch import End, Epoch, Gap
from kestrel_lab.schema.errors import DamagedError

_SHORTEST = 0.001  # seconds between looks: short after an epoch, longer while nothing comes
LONGEST_S = 0.02


class Follower:
    """A growing recording as a source that ends when the recorder does. Satisfies `EpochSource`."""

    def __init__(self, path: Path, wait: Callable[[float], bool], longest_s: float = LONGEST_S) -> None:
        """Open a recording folder.

        Args:
            wait: called with seconds to wait; returns False to stop following.
            longest_s: the most that it is asked to wait.
        """
        self.path, self._wait, self._longest = path, wait, longest_s
        self.info = source_info(path, read_manifest(path))
        self._journal = JournalIndex(path)
        self._journal.refresh()
        self._gone = False

    @property
    def end(self) -> End:
        """How it ends as far as is known: `growing` until `epochs` has reached the end."""
        closed = self._journal.closed
        if closed is not None:
            return "sealed" if closed["end"] == "sealed" else "cut"
        return "cut" if self._gone else "growing"

    @property
    def gaps(self) -> list[Gap]:
        """The gap map so far."""
        return self._journal.gaps

    @property
    def uses(self) -> list[PackUse]:
        """The pack schedule so far; a row stands in the journal before the epochs that it is about."""
        return [pack.use for pack in self._journal.packs]

    def pack_files(self, pack_hash: str) -> dict[str, bytes]:
        """Return the files of a pack of the schedule.

        Raises:
            DamagedError: if one is missing or not what was stored.
        """
        record = next(pack for pack in self._journal.packs if pack.use.pack_hash == pack_hash)
        return read_pack(self.path, record, self.path)

    def newest(self) -> int:
        """Return the number of the last epoch committed by now, -1 for none."""
        self._journal.refresh()
        return self._journal.records[-1].number if self._journal.records else -1

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        """Yield epochs from number `start` on, each as soon as it is committed, until the recording ends.

        Raises:
            DamagedError: where an epoch cannot be read.
        """
        segment: StoredSegment | None = None
        wanted, pause = start, _SHORTEST
        while True:
            # Whoever let go of the lock had written all by then; so look at the lock first.
            gone = not is_locked(self.path / LOCK)
            self._journal.refresh()
            while (place := self._journal.position(wanted)) < len(self._journal.records):
                record, pause = self._journal.records[place], _SHORTEST
                if record.number != wanted and wanted > start and self._expired(wanted):
                    raise _too_late(self.path, wanted)
                wanted = record.number + 1
                if record.number in self._journal.holes:
                    raise self._journal.holes[record.number].error(str(self.path))
                if segment is None or segment.index != record.segment:
                    segment = StoredSegment(self.path, record.segment, self._journal, self.info.schema)
                try:
                    epoch = segment.epoch(record)
                except BrokenPartError as error:
                    self._journal.refresh()
                    if self._expired(record.number):
                        raise _too_late(self.path, record.number) from None
                    raise damage_of(record.segment, error.reason, error.records).error(str(self.path)) from error
                yield epoch
            if self._journal.closed is not None:
                return
            if gone:
                self._gone = True
                return
            if not self._wait(pause):
                return
            pause = min(2 * pause, self._longest)

    def _expired(self, number: int) -> bool:
        return any(one.first_epoch <= number <= one.last_epoch for one in self._journal.expired)


def _too_late(path: Path, number: int) -> DamagedError:
    return DamagedError(
        f"epoch {number} was removed before it could be followed", where=str(path), do="let the recording keep more"
    )


def follow(path: Path, *, wait: Callable[[float], bool], longest_s: float = LONGEST_S) -> Follower:
    """Return a source that tails a growing recording until it is sealed or its recorder is gone.

    Args:
        path: the recording's folder.
        wait: waits so many seconds and returns True, or False to stop following (the end stays `growing`).
        longest_s: the most that it is asked to wait at a time; longer if it comes back as soon as there is more.

    Raises:
        UsageError, DamagedError, IncompatibleError: if it cannot be read at all.
    """
    use_plain_memory()
    return Follower(path, wait, longest_s)
