"""When a live engine skips: only when the oldest committed epoch it has not processed is older than it may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kestrel_lab.schema.alert import Skip
from kestrel_lab.schema.epoch import Epoch

DEFAULT_MAX_LAG_S = 30.0


def boot_clock_ns() -> int:
    """Return CLOCK_BOOTTIME, ns: the clock of the events."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class LagPolicy:
    """Decides epoch by epoch.

    Skipping starts past `max_lag_s` and goes on until the lag is below half of it, so that an engine that is a little
    too slow loses one long range at a time, not every other epoch.
    """

    def __init__(self, max_lag_s: float, clock_ns: Callable[[], int] = boot_clock_ns) -> None:
        self._limit_ns = int(max_lag_s * 1e9)
        self._clock_ns = clock_ns
        self._skipping = False
        self.lag_ns = 0  #: of the epoch decided last

    def skip(self, epoch: Epoch) -> Skip | None:
        """Return the skip of this epoch, or None to evaluate it; its lag is the age of its last event."""
        self.lag_ns = max(0, self._clock_ns() - epoch.ts_max_ns)
        self._skipping = self.lag_ns > (self._limit_ns // 2 if self._skipping else self._limit_ns)
        if not self._skipping:
            return None
        return Skip(epoch.number, epoch.number, epoch.first_event_id, epoch.last_event_id, self.lag_ns)


def coalesce(skips: Iterable[Skip]) -> list[Skip]:
    """Return skips with adjacent epochs joined into ranges, each with its greatest lag."""
    out: list[Skip] = []
    for skip in sorted(skips, key=lambda s: s.first_epoch):
        last = out[-1] if out else None
        if last is None or skip.first_epoch > last.last_epoch + 1:
            out.append(skip)
            continue
        out[-1] = Skip(
            last.first_epoch, max(last.last_epoch, skip.last_epoch), last.first_event_id,
            max(last.last_event_id, skip.last_event_id), max(last.lag_ns, skip.lag_ns),
        )  # fmt: skip
    return out
