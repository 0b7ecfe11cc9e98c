"""Replay: an engine driven over a whole source. Nothing is kept but what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kestrel_lab.engine import SPAN_ROWS, Limits, Pack
from kestrel_lab.recording import Damage
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Open, Skip, alert_digest
from kestrel_lab.schema.epoch import End, Epoch, EpochSource
from kestrel_lab.session.drive import Answer, Driver, EngineSpec, LocalDriver
from kestrel_lab.session.schedule import PackSchedule, PackSwitch, always
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
        open: results that the end of the source did not resolve.
        damage: ranges that could not be read.
        skipped: epochs passed over because the caller asked for it.
        seconds: wall time.
        switches: the packs that took over on the way.
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
    switches: Sequence[PackSwitch] = ()
    open: Sequence[Open] = ()

    @property
    def fuel_total(self) -> int:
        """Fuel of all rules."""
        return sum(self.fuel.values())


def replay(
    source: EpochSource,
    rules: Pack | PackSchedule,
    *,
    mode: Mode = "deterministic",
    workers: int = 1,
    limits: Limits | None = None,
    on_alert: OnAlert | None = None,
    skips: Sequence[Skip] = (),
    stops_before: int | None = None,
    first_id: int | None = None,
    last_id: int | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    ends: End | None = None,
) -> Replay:
    """Drive an engine over a source and collect what it says.

    Args:
        rules: a pack to run from the start, or a schedule of packs; epochs before the first of them are passed over.
        mode: runtime of the rules; the answers do not depend on it.
        workers: processes; 1 runs in this one. The answers do not depend on it.
        on_alert: called for each alert inside the window as it is raised, in the engine's order.
        skips: epochs to pass over, as the live engine did.
        stops_before: number of the epoch that the live engine did not come to: time does not go on there either.
        first_id, last_id, from_ns, to_ns: the window of what is shown, see `Window`.
        ends: how the source is taken to end, if not as it says.

    Raises:
        ProcessDiedError: if a worker died.
    """
    began = time.perf_counter()
    source = as_source(source)
    schedule = as_schedule(rules).for_schema(source.info.schema)
    driver = open_driver(EngineSpec.of(schedule.first, mode, limits), source, workers, schedule.first)
    collected = Collector(Window(first_id, last_id, from_ns, to_ns), on_alert)
    try:
        events, epochs, skipped = _drive(driver, source, schedule, SkipList(skips), collected, stops_before)
        collected.take(driver.finish(ends or source.end))
    finally:
        driver.close()
    alerts = sorted(collected.alerts, key=lambda a: a.sort_key)
    damage = tuple(source.damage) if isinstance(source, PassingDamage) else ()
    return Replay(
        alerts, alert_digest(alerts), fuel_of(schedule, driver.fuel), driver.evaluations, collected.exhausted,
        damage, events, epochs, skipped, source.end, time.perf_counter() - began, dict(sorted(driver.evicted.items())),
        tuple(driver.switches), driver.open,
    )  # fmt: skip


def open_driver(spec: EngineSpec, source: EpochSource, workers: int, pack: Pack | None = None) -> Driver:
    """Return a driver for a source: in this process for one worker, else over worker processes."""
    if workers <= 1:
        return LocalDriver(spec, source.info, pack, SPAN_ROWS)
    return WorkersDriver(spec, opener(source), workers, SPAN_ROWS, pack)


def fuel_of(schedule: PackSchedule, fuel: Mapping[str, int]) -> dict[str, int]:
    """Return the fuel of every rule of a schedule, in rule order."""
    return {rule_id: fuel.get(rule_id, 0) for rule_id in schedule.rule_ids}


def as_schedule(rules: Pack | PackSchedule) -> PackSchedule:
    """Return a schedule: a pack alone runs from the start."""
    return rules if isinstance(rules, PackSchedule) else always(rules)


class SkipList:
    """Which epochs to pass over because the live engine did."""

    def __init__(self, skips: Iterable[Skip]) -> None:
        self._ranges = sorted((s.first_epoch, s.last_epoch) for s in skips)

    def holds(self, epoch: Epoch) -> bool:
        """Return whether an epoch is to be passed over."""
        return any(first <= epoch.number <= last for first, last in self._ranges)


class Playing:
    """Gives epochs to a driver, and lets the packs of a schedule take over where they do.

    Args:
        running: the pack that the driver has; the first of the schedule by default.
    """

    def __init__(self, driver: Driver, schedule: PackSchedule, running: Pack | None = None) -> None:
        self._driver, self._schedule = driver, schedule
        self.running = running or schedule.first

    def feed(self, epoch: Epoch, *, skip: bool = False) -> tuple[list[Answer], bool]:
        """Give the next epoch; return the answers that are ready, and whether it was passed over."""
        pack, answers = self._schedule.at(epoch.first_event_id), list[Answer]()
        if pack is not None and pack.hash != self.running.hash:
            answers = self._driver.switch(pack, epoch.first_event_id)
            self.running = pack
        skip = skip or pack is None
        return answers + self._driver.feed(epoch, skip=skip), skip


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


def _drive(
    driver: Driver,
    source: EpochSource,
    schedule: PackSchedule,
    skips: SkipList,
    collected: Collector,
    stops_before: int | None,
) -> tuple[int, int, int]:
    events = epochs = skipped = 0
    playing = Playing(driver, schedule)
    for epoch in source.epochs():
        if stops_before is not None and epoch.number >= stops_before:
            break
        answers, skip = playing.feed(epoch, skip=skips.holds(epoch))
        collected.take(answers)
        events += epoch.rows
        epochs += 1
        skipped += skip
    return events, epochs, skipped


def _within(low: int | None, value: int, high: int | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)
