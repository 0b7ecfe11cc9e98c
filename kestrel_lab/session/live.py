"""The live engine: driven over a recording while it grows, always behind what is committed, never in its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kestrel_lab.engine import Limits, Pack, pack_from_files
from kestrel_lab.recording import AlertLog, Follower, follow
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Skip, alert_digest
from kestrel_lab.schema.epoch import End, Epoch, EpochSource
from kestrel_lab.session.drive import Answer, Driver, EngineSpec, LocalDriver
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S, LagPolicy, boot_clock_ns, coalesce
from kestrel_lab.session.schedule import PackSwitch, use_at
from kestrel_lab.session.sources import follow_path
from kestrel_lab.session.workers import WorkersDriver

#: Waits up to so many seconds for a reason to look again (the given handles included); False stops the engine.
Wait = Callable[[float, Sequence[Any]], bool]


#: how long to wait for somebody who tells of each epoch, s: then it is looked whether he is still there
_BELL_S = 0.5


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What a live engine did.

    Attributes:
        end: how the recording ended for it; anything but `sealed` left windows open.
        events, epochs: evaluated ones; skipped ones are in `skips`.
        max_lag_ns: the greatest age of an epoch when it was taken up.
        switches: the packs that took over on the way.
    """

    alerts: int
    digest: str
    fuel: Mapping[str, int]
    exhausted: Sequence[Exhausted]
    skips: Sequence[Skip]
    end: End
    events: int
    epochs: int
    max_lag_ns: int
    switches: Sequence[PackSwitch] = ()


def run_live(
    path: Path,
    pack: Pack,
    *,
    mode: Mode = "live",
    workers: int = 1,
    limits: Limits | None = None,
    max_lag_s: float = DEFAULT_MAX_LAG_S,
    on_alerts: Callable[[Sequence[Alert]], None] | None = None,
    on_done: Callable[[int], None] | None = None,
    on_switch: Callable[[PackSwitch], None] | None = None,
    compiled: Mapping[str, Pack] | None = None,
    wait: Wait | None = None,
    delay_per_epoch_s: float = 0.0,
    clock_ns: Callable[[], int] = boot_clock_ns,
) -> LiveReport:
    """Drive an engine over a growing recording until it ends, writing its alert log.

    Where the recording's schedule names another pack, that one takes over at the epoch it names.

    Args:
        path: the recording; it exists.
        pack: what runs until the schedule says otherwise.
        max_lag_s: an epoch older than this when its turn comes is skipped, and the skip recorded.
        on_alerts: called with the alerts of an epoch, in order, once they are in the log.
        on_done: called with the number of each epoch, once all its alerts were told.
        on_switch: called when another pack has taken over.
        compiled: packs by hash that need not be compiled again; looked into when one is to take over.
        wait: how to wait for more, back as soon as there is; by default sleeps briefly. Returning False stops at once.
        delay_per_epoch_s: slows the engine down on purpose.
        clock_ns: the clock that `ts_boot_ns` is of.

    Raises:
        ProcessDiedError: if a worker died.
    """
    live = _Live(path, on_alerts or (lambda _: None), wait or _sleep, LagPolicy(max_lag_s, clock_ns))
    live.on_switch, live.on_done = on_switch or (lambda _: None), on_done or (lambda _: None)
    source = follow(path, wait=live.wait) if wait is None else follow(path, wait=live.wait, longest_s=_BELL_S)
    pack = pack.for_schema(source.info.schema)
    spec = EngineSpec.of(pack, mode, limits)
    if workers <= 1:
        live.driver = LocalDriver(spec, source.info, pack)
    else:
        live.driver = WorkersDriver(spec, partial(follow_path, path), workers, pack=pack)
    schedule = _Schedule(source, pack, spec.limits, compiled or {})
    try:
        return live.run(source, schedule, delay_per_epoch_s)
    finally:
        live.driver.close()


class _Schedule:
    """The schedule of a growing recording, and the pack that runs now."""

    def __init__(self, source: Follower, pack: Pack, limits: Limits, compiled: Mapping[str, Pack]) -> None:
        self._source, self._limits, self._compiled = source, limits, compiled
        self._pack = pack

    def change(self, event_id: int) -> Pack | None:
        """Return the pack that takes over at an epoch which begins with this event, None if none does."""
        use = use_at(self._source.uses, event_id)
        if use is None or use.pack_hash == self._pack.hash:
            return None
        found = self._compiled.get(use.pack_hash)
        schema = self._source.info.schema
        if found is None:
            found = pack_from_files(self._source.pack_files(use.pack_hash), self._limits, schema)
        self._pack = found.for_schema(schema)
        return self._pack


class _Live:
    """The state of one live run."""

    driver: Driver
    on_switch: Callable[[PackSwitch], None]
    on_done: Callable[[int], None]

    def __init__(self, path: Path, on_alerts: Callable[[Sequence[Alert]], None], wait: Wait, lag: LagPolicy) -> None:
        self.log = AlertLog(path)
        self._on_alerts, self._wait, self._lag = on_alerts, wait, lag
        self._alerts: list[Alert] = []
        self._exhausted: list[Exhausted] = []
        self._skips: list[Skip] = []
        self._stopped = False
        self._max_lag_ns = 0

    def wait(self, seconds: float) -> bool:
        """Wait for the recording to grow, handling answers of workers meanwhile."""
        self._take(self.driver.ready())
        self._stopped = self._stopped or not self._wait(seconds, self.driver.handles())
        self._take(self.driver.ready())
        return not self._stopped

    def run(self, source: EpochSource, schedule: _Schedule, delay_s: float) -> LiveReport:
        events = epochs = 0
        for epoch in source.epochs():
            self._switch(schedule, epoch)
            skip = self._lag.skip(epoch)
            if skip:
                self._skips.append(skip)
                self.log.skip(skip)
            else:
                self._max_lag_ns = max(self._max_lag_ns, self._lag.lag_ns)
                events += epoch.rows
                epochs += 1
                time.sleep(delay_s)
            self._take(self.driver.feed(epoch, skip=skip is not None))
            if not self._wait(0, ()):
                self._stopped = True
                break
        self._take(self.driver.flush())
        end: End = "growing" if self._stopped else source.end
        self._take(self.driver.finish(end))
        digest = alert_digest(self._alerts)
        if not self._stopped:
            self.log.close(digest=digest)
        return LiveReport(
            len(self._alerts), digest, {rule: used for rule, used in self.driver.fuel.items() if used}, self._exhausted,
            coalesce(self._skips),
            end, events, epochs, self._max_lag_ns, tuple(self.driver.switches),
        )  # fmt: skip

    def _switch(self, schedule: _Schedule, epoch: Epoch) -> None:
        pack = schedule.change(epoch.first_event_id)
        if pack is not None:
            self._take(self.driver.switch(pack, epoch.first_event_id))
            self.on_switch(self.driver.switches[-1])

    def _take(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            for exhausted in answer.exhausted:
                self._exhausted.append(exhausted)
                self.log.exhausted(exhausted)
            if answer.alerts:
                self._alerts += answer.alerts
                self.log.append(answer.alerts)
                self._on_alerts(answer.alerts)
            if answer.epoch >= 0:
                self.log.progress(answer.epoch)
                self.on_done(answer.epoch)


def _sleep(seconds: float, handles: Sequence[Any]) -> bool:
    time.sleep(min(seconds, 0.005))
    return True
