"""Segments that were removed on purpose: what they held stands in the journal, and what their seals were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kestrel_lab.recording.records import EpochRecord, SealRecord
from kestrel_lab.schema.epoch import Gap


@dataclass(frozen=True, slots=True)
class Expired:
    """A segment that was removed.

    Attributes:
        seal: blake2b-256 of its seal file.
        first_epoch, last_epoch, first_event_id, last_event_id: what it held, inclusive.
        ts_from_ns, ts_to_ns: boot times of its first and its last event.
        why: `keep` (older than asked for) or `budget` (the recording was to take no more room).
    """

    segment: int
    seal: str
    first_epoch: int
    last_epoch: int
    first_event_id: int
    last_event_id: int
    ts_from_ns: int
    ts_to_ns: int
    why: str

    @classmethod
    def of(cls, seal: SealRecord, ts_ns: tuple[int, int], why: str) -> Expired:
        """Return the record of a sealed segment that goes; `ts_ns`: of its first and last event."""
        return cls(seal.segment, seal.hash, seal.first_epoch, seal.last_epoch, seal.first_event_id,
                   seal.last_event_id, *ts_ns, why)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, without the kind of record."""
        return {
            "seg": self.segment, "seal": self.seal, "epochs": [self.first_epoch, self.last_epoch],
            "ids": [self.first_event_id, self.last_event_id], "ts": [self.ts_from_ns, self.ts_to_ns], "why": self.why,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expired:
        """Return what `to_json` was given."""
        epochs, ids, ts = data["epochs"], data["ids"], data["ts"]
        return cls(data["seg"], data["seal"], epochs[0], epochs[1], ids[0], ids[1], ts[0], ts[1], data["why"])

    @property
    def events(self) -> int:
        """How many events it held."""
        return self.last_event_id - self.first_event_id + 1


def expired_gaps(expired: Sequence[Expired], records: Sequence[EpochRecord]) -> dict[int, Gap]:
    """Return rows of the gap map, by the number of the epoch that comes next: one for each run of segments.

    Args:
        records: the epochs that are left, in order.
    """
    out: dict[int, Gap] = {}
    left = iter(records)
    after = next(left, None)
    for one in sorted(expired, key=lambda e: e.first_epoch):
        while after is not None and after.number < one.first_epoch:
            after = next(left, None)
        if after is None:
            break
        known = out.get(after.number)
        count, ts_from = (known.count, known.ts_from_ns) if known else (0, one.ts_from_ns)
        out[after.number] = Gap(
            "expired", "recording", -1, count + one.events, after.first_event_id, ts_from, one.ts_to_ns
        )
    return out
