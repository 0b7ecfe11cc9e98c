"""What the journal says: one class for each kind of record, and its form as JSON data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from kestrel_lab.schema.epoch import Gap


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes `start` to `start + length` of a stream, and their blake2b-128."""

    start: int
    length: int
    hash: str


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A committed epoch: its place, its times, and where its bytes lie while its segment is open.

    Attributes:
        entities: rows of the entity table at its end.
        strings: length of each dictionary of `Schema.keys` at its end.
        tables: first row within the segment and number of rows, by table; tables without rows are absent.
        extents: what it appended to each stream of the segment (`entity` and `strings` among them).
    """

    number: int
    segment: int
    first_event_id: int
    rows: int
    ts_min_ns: int
    ts_max_ns: int
    event_time_ns: int
    clock_boot_ns: int
    clock_wall_ns: int
    late: bool
    entities: int
    strings: tuple[int, ...]
    tables: Mapping[str, tuple[int, int]]
    extents: Mapping[str, Extent]
    gaps: tuple[Gap, ...] = ()

    @property
    def last_event_id(self) -> int:
        """The greatest event_id of the epoch."""
        return self.first_event_id + self.rows - 1

    @property
    def event_time_after_ns(self) -> int:
        """Event time after its last event, ns."""
        return max(self.event_time_ns, self.ts_max_ns)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        out: dict[str, Any] = {
            "k": "epoch",
            "n": self.number,
            "seg": self.segment,
            "id": self.first_event_id,
            "rows": self.rows,
            "ts": [self.ts_min_ns, self.ts_max_ns, self.event_time_ns],
            "clock": [self.clock_boot_ns, self.clock_wall_ns],
            "late": int(self.late),
            "ents": self.entities,
            "strs": runs(self.strings),
            "tab": self.tables,
            "ext": {name: [e.start, e.length, e.hash] for name, e in self.extents.items()},
        }
        if self.gaps:
            out["gaps"] = [astuple(gap) for gap in self.gaps]
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpochRecord:
        """Return the record that `to_json` was given."""
        ts, clock = data["ts"], data["clock"]
        return cls(
            data["n"], data["seg"], data["id"], data["rows"], ts[0], ts[1], ts[2], clock[0], clock[1],
            bool(data["late"]), data["ents"], from_runs(data["strs"]),
            {table: (span[0], span[1]) for table, span in data["tab"].items()},
            {name: Extent(*value) for name, value in data["ext"].items()}, gaps_from_json(data.get("gaps", ())),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SealRecord:
    """A segment is sealed: its files, named by the seal whose hash stands here, hold what its streams held.

    Attributes:
        hash: blake2b-256 of the seal file.
        first_epoch, last_epoch, first_event_id, last_event_id: what it covers, inclusive.
        files: size in bytes of each file.
    """

    segment: int
    hash: str
    first_epoch: int
    last_epoch: int
    first_event_id: int
    last_event_id: int
    files: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        return {
            "k": "seal",
            "seg": self.segment,
            "hash": self.hash,
            "epochs": [self.first_epoch, self.last_epoch],
            "ids": [self.first_event_id, self.last_event_id],
            "files": self.files,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SealRecord:
        """Return the record that `to_json` was given."""
        epochs, ids = data["epochs"], data["ids"]
        return cls(data["seg"], data["hash"], epochs[0], epochs[1], ids[0], ids[1], data["files"])


def runs(numbers: Sequence[int]) -> list[int]:
    """Return numbers from 0 on, shorter: -n says that the one before comes n times more."""
    out: list[int] = []
    for number in numbers:
        if len(out) > 1 and out[-1] < 0 and out[-2] == number:
            out[-1] -= 1
        elif out and out[-1] == number:
            out.append(-1)
        else:
            out.append(number)
    return out


def from_runs(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers that `runs` was given."""
    out: list[int] = []
    for number in numbers:
        out += [number] if number >= 0 else [out[-1]] * -number
    return tuple(out)


def gaps_to_json(gaps: tuple[Gap, ...]) -> dict[str, Any]:
    """Return the record of gaps that belong to no epoch."""
    return {"k": "gaps", "gaps": [astuple(gap) for gap in gaps]}


def gaps_from_json(data: Any) -> tuple[Gap, ...]:
    """Return the gaps of a record."""
    return tuple(Gap(*row) for row in data)
