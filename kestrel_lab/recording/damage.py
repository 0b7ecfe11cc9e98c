"""What is wrong with a recording and which events it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kestrel_lab.recording.records import EpochRecord
from kestrel_lab.schema.errors import DamagedError


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged part of a recording.

    Attributes:
        segment: index of the segment, -1 if the damage is outside of segments.
        first_event_id, last_event_id: the events that cannot be read, inclusive; both -1 if all can.
        epochs: numbers of the epochs that cannot be read.
        reason: what is wrong, with the file's name.
    """

    segment: int
    first_event_id: int
    last_event_id: int
    epochs: tuple[int, ...]
    reason: str

    @property
    def where(self) -> str:
        """Segment, event_id range and epochs in words."""
        segment = f"segment {self.segment}" if self.segment >= 0 else "outside of segments"
        if not self.epochs:
            return segment
        first, last = self.epochs[0], self.epochs[-1]
        epochs = f"epoch {first}" if first == last else f"epochs {first}-{last}"
        return f"{segment}, events {self.first_event_id}-{self.last_event_id}, {epochs}"

    def error(self, path: str) -> DamagedError:
        """Return the error that a reader raises."""
        return DamagedError(
            self.reason, where=f"{path}: {self.where}", do="`kestrel-lab verify` lists all damage; repair makes a copy"
        )


def damage_of(segment: int, reason: str, records: Sequence[EpochRecord]) -> Damage:
    """Return the damage that costs these epochs (in order) of a segment."""
    if not records:
        return Damage(segment, -1, -1, (), reason)
    epochs = tuple(record.number for record in records)
    return Damage(segment, records[0].first_event_id, records[-1].last_event_id, epochs, reason)
