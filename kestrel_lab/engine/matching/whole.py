"""What a machine gives: all events of a sequence or a sample are there, and nothing is waited for any more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Whole:
    """One sequence or sample.

    Attributes:
        ids, times, handles: of each event: event_id, event time (ns; empty for a sample), handle to its captures.
        boot, wall: boot and wall time of the last event, ns.
        deadline: until when it waited for an event that must not follow, ns; None if it did not.
        blurred: whether an event that must not come before could have been forgotten.
    """

    key: bytes
    ids: tuple[int, ...]
    times: tuple[int, ...]
    handles: tuple[int, ...]
    boot: int
    wall: int
    deadline: int | None = None
    blurred: bool = False
