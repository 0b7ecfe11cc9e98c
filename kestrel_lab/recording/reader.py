"""Recordings as sources of epochs: whole, growing, cut, damaged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from kestrel_lab.recording.damage import Damage, damage_of
from kestrel_lab.recording.expired import Expired, expired_gaps
from kestrel_lab.recording.files import is_locked
from kestrel_lab.recording.index import JournalIndex, PackRecord
from kestrel_lab.recording.layout import LOCK
from kestrel_lab.recording.live import LiveLog, read_live
from kestrel_lab.recording.manifest import pinned_hashes, read_manifest, source_info
from kestrel_lab.recording.packs import read_pack
from kestrel_lab.recording.records import EpochRecord
from kestrel_lab.recording.segment import StoredSegment
from kestrel_lab.recording.streams import BrokenPartError
from kestrel_lab.schema.alert import Alert, Exhausted, PackUse, Skip
from kestrel_lab.schema.captured import CaptureUse
from kestrel_lab.schema.epoch import End, Epoch, Gap, Ledger
from kestrel_lab.schema.errors import DamagedError


class Recording:
    """A recording folder as it stood when it was opened. Satisfies `EpochSource`.

    Attributes:
        info: what is true of the whole source.
        manifest: all of manifest.json, unknown keys included.
        damage: what was found damaged so far; reading finds more, `verify` finds all.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        """Read the manifest and the journal.

        Args:
            path: what the user named; used in messages.
            root: the folder itself, if it lies elsewhere (unpacked).

        Raises:
            UsageError, DamagedError, IncompatibleError: if it cannot be read at all.
        """
        self.path, self.root = path, path if root is None else root
        self.manifest: dict[str, Any] = read_manifest(self.root)
        self.info = source_info(self.root, self.manifest)
        # The lock is looked at before the journal: whoever let go of it since had written all by then.
        self._recorded = is_locked(self.root / LOCK)
        self.journal = JournalIndex(self.root)
        self.journal.refresh()
        self.journal.forget_streams()
        self._count = len(self.journal.records)
        self._expired_gaps = expired_gaps(self.journal.expired, self.journal.records)
        self.damage: list[Damage] = list(self.journal.damage)
        self._check_pinned()
        self._live: LiveLog | None = None

    @property
    def end(self) -> End:
        """How it ends: sealed, cut (killed, or a copy of a cut one), or growing."""
        closed = self.journal.closed
        if closed is not None:
            return "sealed" if closed["end"] == "sealed" else "cut"
        return "growing" if self._recorded else "cut"

    @property
    def complete(self) -> bool:
        """Whether the recorder ended it in order."""
        return self.end == "sealed"

    @property
    def head(self) -> str:
        """The head hash of the journal now; the recorder printed the same if nothing changed since."""
        return self.journal.head()

    @property
    def ledger(self) -> Ledger | None:
        """The ledger, written at close; None if the recording is cut or growing."""
        words = (self.journal.closed or {}).get("ledger")
        return None if words is None else Ledger(**words)

    @property
    def gaps(self) -> list[Gap]:
        """The gap map, in the order found; first what has expired."""
        return [*self._expired_gaps.values(), *self.journal.gaps]

    @property
    def expired(self) -> Sequence[Expired]:
        """The segments that were removed to keep it small, in the order they went."""
        return self.journal.expired

    @property
    def index(self) -> Sequence[EpochRecord]:
        """One entry per epoch."""
        return self.journal.records[: self._count]

    @property
    def packs(self) -> list[tuple[PackUse, Mapping[str, bytes]]]:
        """The pack schedule with the files of each pack.

        Raises:
            DamagedError: if a file of a pack is missing or not what was stored.
        """
        return [(pack.use, self.pack_files(pack)) for pack in self.journal.packs]

    @property
    def captures(self) -> Sequence[CaptureUse]:
        """What was captured, and from when on; nothing where a recorder did not say."""
        return self.journal.captures

    @property
    def contents(self) -> Mapping[str, int]:
        """Sizes in bytes of the executed files that are kept in it, by sha256 (hexadecimal)."""
        return self.journal.contents

    @property
    def live_alerts(self) -> list[Alert]:
        """The alerts raised while it was recorded, in the order raised."""
        return self.live.alerts

    @property
    def skips(self) -> list[Skip]:
        """Epochs that the live engine skipped."""
        return self.live.skips

    @property
    def exhausted(self) -> list[Exhausted]:
        """Rules that ran out of fuel live."""
        return self.live.exhausted

    @property
    def live(self) -> LiveLog:
        """All that the live engine logged, read once."""
        if self._live is None:
            self._live = read_live(self.root)
        return self._live

    @property
    def missing(self) -> list[str]:
        """What a recording lacks that was not ended in order, or was removed from it, in words; empty if nothing."""
        gone = self._gone_in_words()
        if self.complete:
            return gone
        records = self.index
        last = f"event {records[-1].last_event_id} (epoch {records[-1].number})" if records else "none"
        out = [f"{'still being recorded' if self.end == 'growing' else 'not ended by its recorder'}: "
               f"the last committed event is {last}; what came after it is not in the recording"]  # fmt: skip
        if self.ledger is None:
            out.append("the ledger, which is written at the end")
        unsealed = [i for i in self.journal.segments if i not in self.journal.seals]
        if unsealed:
            out.append(f"seals of segments {', '.join(map(str, unsealed))}: their streams are read instead")
        if self.journal.torn:
            out.append(f"{self.journal.torn} bytes at the journal's end that belong to no committed epoch")
        return [*out, *gone]

    def _gone_in_words(self) -> list[str]:
        if not self.expired:
            return []
        events = sum(one.events for one in self.expired)
        return [f"{events:,} events of {len(self.expired)} segments, removed to keep it small, the last of them event "
                f"{max(one.last_event_id for one in self.expired)}"]  # fmt: skip

    def pack_files(self, pack: PackRecord) -> dict[str, bytes]:
        """Return the files of one pack.

        Raises:
            DamagedError: if one is missing or not what was stored.
        """
        return read_pack(self.root, pack, shown=self.path)

    def epochs(self, start: int = 0, *, on_damage: Literal["raise", "skip"] = "raise") -> Iterator[Epoch]:
        """Yield epochs from number `start` on, in order.

        Args:
            on_damage: `skip` notes unreadable epochs in `damage` and goes on.

        Raises:
            DamagedError: at the first epoch that cannot be read.
        """
        segment: StoredSegment | None = None
        for place in range(self.journal.position(start), self._count):
            record = self.journal.records[place]
            self._hole(record.number, start, on_damage)
            if segment is None or segment.index != record.segment:
                segment = StoredSegment(self.root, record.segment, self.journal, self.info.schema, self)
            found = self._read(segment, record, on_damage)
            if found is not None:
                yield found
        last = self.journal.records[self._count - 1].number if self._count else -1
        for number in [n for n in self.journal.holes if n > last]:
            self._hole(number, start, on_damage)

    def at_id(self, event_id: int) -> int:
        """Return the number of the epoch that holds an event, else of the first one after it.

        If all events come before, it is one more than the last epoch's number.
        """
        place = bisect_right(self.index, event_id - 1, key=lambda r: r.last_event_id)
        return self._number(place)

    def at_time(self, ns: int) -> int:
        """Return the number of the first epoch in which event time (CLOCK_BOOTTIME, ns) reaches `ns`."""
        place = bisect_left(self.index, ns, key=lambda r: r.event_time_after_ns)
        return self._number(place)

    def close(self) -> None:
        """Let go of temporary files; the recording is not used after."""

    def _number(self, place: int) -> int:
        records = self.index
        if place < len(records):
            return records[place].number
        return records[-1].number + 1 if records else 0

    def _read(self, segment: StoredSegment, record: EpochRecord, on_damage: str) -> Epoch | None:
        gap = self._expired_gaps.get(record.number)
        try:
            epoch = segment.epoch(record)
            return epoch if gap is None else replace(epoch, gaps=(gap, *epoch.gaps))
        except BrokenPartError as error:
            damage = damage_of(record.segment, error.reason, error.records)
            self._found(damage, on_damage)
            return None

    def _hole(self, number: int, start: int, on_damage: str) -> None:
        damage = self.journal.holes.get(number)
        if damage is not None and damage.epochs and damage.epochs[-1] >= start:
            self._found(damage, on_damage)

    def _found(self, damage: Damage, on_damage: str) -> None:
        if on_damage == "raise":
            raise damage.error(str(self.path))
        if damage not in self.damage:
            self.damage.append(damage)

    def _check_pinned(self) -> None:
        pinned = (self.journal.opened or {}).get("pinned", {})
        found = pinned_hashes(self.manifest)
        for section, digest in pinned.items():
            if found.get(section) != digest:
                raise DamagedError(
                    f"the manifest's section {section!r} is not what was recorded", where=str(self.path),
                    do="restore manifest.json from a copy of the recording",
                )  # fmt: skip
