"""The state that a journal adds up to: epochs, segments, packs, gaps, and how it ends."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kestrel_lab.recording.damage import Damage
from kestrel_lab.recording.expired import Expired
from kestrel_lab.recording.journal import JournalTail
from kestrel_lab.recording.layout import JOURNAL, LONG
from kestrel_lab.recording.records import EpochRecord, SealRecord, gaps_from_json
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.captured import CaptureUse
from kestrel_lab.schema.epoch import Gap
from kestrel_lab.schema.errors import DamagedError


@dataclass(frozen=True, slots=True)
class PackRecord:
    """A row of the pack schedule, and the hashes of the pack's files by name."""

    use: PackUse
    files: dict[str, str]


@dataclass
class JournalIndex:
    """What the journal of a recording says so far; `refresh` reads on.

    Attributes:
        records: every epoch, in order; `segments` the same by segment.
        gaps: the gap map; `loose_gaps` are those that came with no epoch.
        holes: damage by the number of the epoch before which it lies (one past the last: at the end).
        damage: damaged lines that hide no epoch.
        expired: segments that were removed; their epochs are not in `records`.
        captures: what was captured, and from when on.
        contents: sizes in bytes of the contents that are kept, by sha256 (hexadecimal).
    """

    root: Path
    records: list[EpochRecord] = field(default_factory=list)
    segments: dict[int, list[EpochRecord]] = field(default_factory=lambda: defaultdict(list))
    seals: dict[int, SealRecord] = field(default_factory=dict)
    packs: list[PackRecord] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    loose_gaps: list[Gap] = field(default_factory=list)
    holes: dict[int, Damage] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    contents: dict[str, int] = field(default_factory=dict)
    expired: list[Expired] = field(default_factory=list)
    captures: list[CaptureUse] = field(default_factory=list)
    opened: dict[str, Any] | None = None
    closed: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self._tail = JournalTail(self.root / JOURNAL)
        self._next: tuple[int, int | None] = (0, None)  # epoch number, event_id
        self._bad: list[int] = []

    @property
    def torn(self) -> int:
        """Bytes at the end of the journal that are no committed record."""
        return self._tail.torn + (self._tail.offset - self._bad[0] if self._bad else 0)

    def refresh(self) -> None:
        """Take in what was appended to the journal since.

        Raises:
            DamagedError: if there is no journal.
        """
        try:
            lines = self._tail.read()
        except FileNotFoundError:
            raise DamagedError("the journal is missing", where=str(self.root), do="restore it from a copy") from None
        for line in lines:
            if line.record is None:
                self._bad.append(line.offset)
            else:
                self._take(line.record)

    def seal_of(self, segment: int) -> SealRecord | None:
        """Return the record of a segment's seal, looking into the journal again if it is not known."""
        if segment not in self.seals:
            self.refresh()
        return self.seals.get(segment)

    def head(self) -> str:
        """Return the head hash: blake2b-256 (hex) of the whole journal."""
        return blake2b((self.root / JOURNAL).read_bytes(), digest_size=LONG).hexdigest()

    def forget_streams(self) -> None:
        """Drop where the bytes of sealed segments' streams lay: most of what an epoch's record takes in memory."""
        self.records = [replace(r, extents={}) if r.segment in self.seals else r for r in self.records]
        self.segments.clear()
        for record in self.records:
            self.segments[record.segment].append(record)

    def position(self, number: int) -> int:
        """Return the place in `records` of the first epoch of this number or a later one."""
        return bisect_left(self.records, number, key=lambda r: r.number)

    def _take(self, record: dict[str, Any]) -> None:
        kind = record["k"]
        if kind == "epoch":
            self._epoch(EpochRecord.from_json(record))
        elif kind == "seal":
            seal = SealRecord.from_json(record)
            self.seals[seal.segment] = seal
            if seal.last_epoch >= self._next[0]:
                self._hole(seal.last_epoch + 1, seal.last_event_id + 1, seal.segment)
        elif kind == "pack":
            use = PackUse(record["from"], record["hash"], tuple(record["actions"]))
            self.packs.append(PackRecord(use, record["files"]))
        elif kind == "gaps":
            found = gaps_from_json(record["gaps"])
            self.gaps += found
            self.loose_gaps += found
        elif kind == "missing":
            self._next = record["epochs"][1] + 1, record["ids"][1] + 1
        elif kind == "expired":
            self._expire(Expired.from_json(record))
        elif kind == "capture":
            self.captures.append(CaptureUse.from_json(record))
        elif kind == "content":
            self.contents[record["sha256"]] = record["size"]
        elif kind == "open":
            self.opened = record
        elif kind == "close":
            self.closed = record
        # Records of other kinds come from a newer minor version.
        if self._bad:
            self._journal_damage()

    def _epoch(self, record: EpochRecord) -> None:
        expected = self._next[1]
        if record.number != self._next[0] or (expected is not None and record.first_event_id != expected):
            self._hole(record.number, record.first_event_id, record.segment)
        self.records.append(record)
        self.segments[record.segment].append(record)
        self.gaps += record.gaps
        self._next = record.number + 1, record.last_event_id + 1

    def _expire(self, expired: Expired) -> None:
        self.expired.append(expired)
        self.records = [record for record in self.records if record.segment != expired.segment]
        self.segments.pop(expired.segment, None)
        if expired.last_epoch >= self._next[0]:  # in a copy, that never had it
            self._next = expired.last_epoch + 1, expired.last_event_id + 1

    def _hole(self, number: int, event_id: int, segment: int) -> None:
        first, first_id = self._next
        place = f" at byte {self._bad[0]}" if self._bad else ""
        epochs = tuple(range(first, number))
        low = event_id if first_id is None else first_id
        damage = Damage(segment, low, event_id - 1, epochs, f"the journal is damaged{place}: epochs are not listed")
        self.holes[number] = damage
        self._bad.clear()
        self._next = number, event_id

    def _journal_damage(self) -> None:
        for offset in self._bad:
            self.damage.append(Damage(-1, -1, -1, (), f"the journal is damaged at byte {offset}"))
        self._bad.clear()
