"""What a synthetic recording is made of, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kestrel_lab.schema.epoch import MAX_ROWS
from kestrel_lab.schema.errors import UsageError

#: Raised whenever the same options would give other events.
GENERATOR = 1

MAX_EVENTS = 10_000_000_000
MAX_FRESH = 0.25
MAX_PLANTED = 100_000
#: events that a process has at most by itself: fork, exec, end
EVENTS_PER_PROCESS = 3
#: events that a planted story has at most
EVENTS_PER_STORY = 16
_DAY_S = 86_400.0
_LEAST_NS_PER_EVENT = 100


@dataclass(frozen=True, slots=True)
class SynthOptions:
    """Settings of a `SyntheticSource`.

    Attributes:
        events: how many, exactly.
        seed: 0 to 2**63 - 1; the same options give the same events.
        processes: how many begin and end; those that run all the time and those of stories come on top. None: one for
            ten events.
        fresh: the share of events that bring a string which was not there before, besides the standing ones.
        alerts: planted attack stories, evenly in time.
        gaps: planted rows of the gap map, evenly among the events.
        duration_s: event time from the first event to the last, about, seconds.
        epoch_rows: rows of an epoch, at most; the events do not depend on it.
    """

    events: int = 1_000_000
    seed: int = 1
    processes: int | None = None
    fresh: float = 0.03
    alerts: int = 0
    gaps: int = 0
    duration_s: float = _DAY_S
    epoch_rows: int = 16_384

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            UsageError: for a number out of range, or events too few for what they are to hold.
        """
        _within("events", self.events, 1, MAX_EVENTS)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("fresh", self.fresh, 0, MAX_FRESH)
        _within("duration", self.duration_s, 1, 366 * _DAY_S, " s")
        _within("epoch rows", self.epoch_rows, 1, MAX_ROWS)
        _within("processes", self.process_count, 0, self.events)
        _within("alerts", self.alerts, 0, MAX_PLANTED)
        _within("gaps", self.gaps, 0, min(MAX_PLANTED, self.events))
        least = EVENTS_PER_PROCESS * self.process_count + EVENTS_PER_STORY * self.alerts
        if least > self.events:
            raise UsageError(
                f"{self.events:,} events cannot hold {self.process_count:,} processes and {self.alerts:,} stories",
                do=f"ask for at least {least:,} events: {EVENTS_PER_PROCESS} for a process, {EVENTS_PER_STORY} for a "
                "story",
            )
        if self.duration_s * 1e9 < _LEAST_NS_PER_EVENT * self.events:
            raise UsageError(
                f"{self.events:,} events do not fit into {self.duration_s:g} s",
                do=f"an event needs {_LEAST_NS_PER_EVENT} ns: ask for a longer duration",
            )

    @property
    def process_count(self) -> int:
        """How many processes begin and end."""
        return self.events // 10 if self.processes is None else self.processes

    def facts(self) -> dict[str, Any]:
        """Return the mark: what the manifest holds under `synthetic`."""
        return {"generator": GENERATOR, **asdict(self), "processes": self.process_count}


def _within(name: str, value: float, least: float, most: float, unit: str = "") -> None:
    if not least <= value <= most:
        raise UsageError(f"{name}: {value:,}{unit} is not from {least:,} to {most:,}{unit}")
