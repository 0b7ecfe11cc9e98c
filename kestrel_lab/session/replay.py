"""Replay: an engine driven over a whole source. Nothing is kept but what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kestrel_lab.engine import SPAN_ROWS, Limits, Pack
from kestrel_lab.recording import Damage
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, PackUse, Skip, alert_digest
from kestrel_lab.schema.epoch import End, Epoch, EpochSource
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session.drive import Answer, Driver, EngineSpec, LocalDriver
from kestrel_lab.session.sources import PassingDamage, as_source, opener
from kestrel_lab.session.workers import WorkersDriver

OnAlert = Callable[[Alert], None]


@dataclass(frozen=True, slots=True)
class Window:
    """A filter on what is shown; the engine always sees everything before it.

    Attributes:
        first_id, last_id: bounds (inclusive) on the last event of an alert.
        from_ns, to_ns: bounds (inclusive) on its wall time, ns since 1970.
    """

    first_id: int | None = None
    last_id: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None

    def shows(self, alert: Alert) -> bool:
        """Return whether an alert is inside."""
        return _within(self.first_id, alert.last_event_id, self.last_id) and _within(
            self.from_ns, alert.ts_wall_ns, self.to_ns
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        alerts: those inside the window, in `sort_key` order; `digest` is over them.
        fuel: by rule id; `evaluations`: rule evaluations in rows; both over the whole source.
        evicted: pending sequences given up for want of room, by rule id; over the whole source.
        damage: ranges that could not be read.
        skipped: epochs passed over because the caller asked for it.
        seconds: wall time.
    """

    alerts: Sequence[Alert]
    digest: str
    fuel: Mapping[str, int]
    evaluations: int
    exhausted: Sequence[Exhausted]
    damage: Sequence[Damage]
    events: int
    epochs: int
    skipped: int
    end: End
    seconds: float
    evicted: Mapping[str, int] = field(default_factory=dict)

    @property
    def fuel_total(self) -> int:
        """Fuel of all rules."""
        return sum(self.fuel.values())


def replay(
    source: EpochSource,
    pack: Pack,
    *,
    mode: Mode = "deterministic",
    workers: int = 1,
    limits: Limits | None = None,
    on_alert: OnAlert | None = None,
    skips: Sequence[Skip] = (),
    schedule: Sequence[PackUse] | None = None,
    first_id: int | None = None,
    last_id: int | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    ends: End | None = None,
) -> Replay:
    """Drive an engine over a source and collect what it says.

    Args:
        mode: runtime of the rules; the answers do not depend on it.
        workers: processes; 1 runs in this one. The answers do not depend on it.
        on_alert: called for each alert inside the window as it is raised, in the engine's order.
        skips: epochs to pass over, as the live engine did.
        schedule: when the pack ran; epochs before that are passed over too. None: from the start.
        first_id, last_id, from_ns, to_ns: the window of what is shown, see `Window`.
        ends: how the source is taken to end, if not as it says.

    Raises:
        ProcessDiedError: if a worker died.
        UsageError: if the schedule names another pack.
    """
    began = time.perf_counter()
    starts = _first_event_of(schedule, pack)
    source = as_source(source)
    pack = pack.for_schema(source.info.schema)
    driver = open_driver(EngineSpec.of(pack, mode, limits), source, workers, pack)
    collected = Collector(Window(first_id, last_id, from_ns, to_ns), on_alert)
    try:
        events, epochs, skipped = _drive(driver, source, SkipList(skips, starts), collected)
        collected.take(driver.finish(ends or source.end))
    finally:
        driver.close()
    alerts = sorted(collected.alerts, key=lambda a: a.sort_key)
    damage = tuple(source.damage) if isinstance(source, PassingDamage) else ()
    return Replay(
        alerts, alert_digest(alerts), fuel_of(pack, driver.fuel), driver.evaluations, collected.exhausted,
        damage, events, epochs, skipped, source.end, time.perf_counter() - began, dict(sorted(driver.evicted.items())),
    )  # fmt: skip


def open_driver(spec: EngineSpec, source: EpochSource, workers: int, pack: Pack | None = None) -> Driver:
    """Return a driver for a source: in this process for one worker, else over worker processes."""
    if workers <= 1:
        return LocalDriver(spec, source.info, pack, SPAN_ROWS)
    return WorkersDriver(spec, opener(source), workers, SPAN_ROWS)


def fuel_of(pack: Pack, fuel: Mapping[str, int]) -> dict[str, int]:
    """Return the fuel of every rule of a pack, in rule order."""
    return {rule.id: fuel.get(rule.id, 0) for rule in pack.rules}


class SkipList:
    """Which epochs to pass over: those skipped, and those before the pack ran."""

    def __init__(self, skips: Iterable[Skip], first_event_id: int = 0) -> None:
        self._ranges = sorted((s.first_epoch, s.last_epoch) for s in skips)
        self._first_event_id = first_event_id

    def holds(self, epoch: Epoch) -> bool:
        """Return whether an epoch is to be passed over."""
        return epoch.first_event_id < self._first_event_id or any(
            first <= epoch.number <= last for first, last in self._ranges
        )


@dataclass(slots=True)
class Collector:
    """Gathers answers; alerts outside the window are dropped at once."""

    window: Window
    on_alert: OnAlert | None = None
    alerts: list[Alert] = field(default_factory=list)
    exhausted: list[Exhausted] = field(default_factory=list)

    def take(self, answers: Iterable[Answer]) -> None:
        """Keep what the answers hold."""
        for answer in answers:
            self.exhausted += answer.exhausted
            for alert in filter(self.window.shows, answer.alerts):
                self.alerts.append(alert)
                if self.on_alert:
                    self.on_alert(alert)


def _drive(driver: Driver, source: EpochSource, skips: SkipList, collected: Collector) -> tuple[int, int, int]:
    events = epochs = skipped = 0
    for epoch in source.epochs():
        skip = skips.holds(epoch)
        collected.take(driver.feed(epoch, skip=skip))
        events += epoch.rows
        epochs += 1
        skipped += skip
    return events, epochs, skipped


def _first_event_of(schedule: Sequence[PackUse] | None, pack: Pack) -> int:
    if not schedule:
        return 0
    if len(schedule) > 1 or schedule[0].pack_hash != pack.hash:
        raise UsageError(
            "the pack schedule does not name this pack alone", do="Replay with the pack that the recording holds."
        )
    return schedule[0].from_event_id


def _within(low: int | None, value: int, high: int | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)
