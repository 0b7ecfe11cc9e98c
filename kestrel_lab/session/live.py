"""The live engine: driven over a recording while it grows, always behind what is committed, never in its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kestrel_lab.engine import Limits, Pack
from kestrel_lab.recording import AlertLog, follow
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Skip, alert_digest
from kestrel_lab.schema.epoch import End, EpochSource
from kestrel_lab.session.drive import Answer, Driver, EngineSpec, LocalDriver
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S, LagPolicy, boot_clock_ns, coalesce
from kestrel_lab.session.sources import follow_path
from kestrel_lab.session.workers import WorkersDriver

#: Waits up to so many seconds for a reason to look again (the given handles included); False stops the engine.
Wait = Callable[[float, Sequence[Any]], bool]


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What a live engine did.

    Attributes:
        end: how the recording ended for it; anything but `sealed` left windows open.
        events, epochs: evaluated ones; skipped ones are in `skips`.
        max_lag_ns: the greatest age of an epoch when it was taken up.
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


def run_live(
    path: Path,
    pack: Pack,
    *,
    mode: Mode = "live",
    workers: int = 1,
    limits: Limits | None = None,
    max_lag_s: float = DEFAULT_MAX_LAG_S,
    on_alerts: Callable[[Sequence[Alert]], None] | None = None,
    wait: Wait | None = None,
    delay_per_epoch_s: float = 0.0,
    clock_ns: Callable[[], int] = boot_clock_ns,
) -> LiveReport:
    """Drive an engine over a growing recording until it ends, writing its alert log.

    Args:
        path: the recording; it exists.
        max_lag_s: an epoch older than this when its turn comes is skipped, and the skip recorded.
        on_alerts: called with the alerts of an epoch, in order, once they are in the log.
        wait: how to wait for more; by default sleeps briefly. Returning False stops at once.
        delay_per_epoch_s: slows the engine down on purpose.
        clock_ns: the clock that `ts_boot_ns` is of.

    Raises:
        ProcessDiedError: if a worker died.
    """
    live = _Live(path, on_alerts or (lambda _: None), wait or _sleep, LagPolicy(max_lag_s, clock_ns))
    source = follow(path, wait=live.wait)
    pack = pack.for_schema(source.info.schema)
    spec = EngineSpec.of(pack, mode, limits)
    if workers <= 1:
        live.driver = LocalDriver(spec, source.info, pack)
    else:
        live.driver = WorkersDriver(spec, partial(follow_path, path), workers)
    try:
        return live.run(source, delay_per_epoch_s)
    finally:
        live.driver.close()


class _Live:
    """The state of one live run."""

    driver: Driver

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

    def run(self, source: EpochSource, delay_s: float) -> LiveReport:
        events = epochs = 0
        for epoch in source.epochs():
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
            end, events, epochs, self._max_lag_ns,
        )  # fmt: skip

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


def _sleep(seconds: float, handles: Sequence[Any]) -> bool:
    time.sleep(min(seconds, 0.005))
    return True
