"""When events happen: busy days and quiet nights, bursts and lulls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kestrel_lab.synth.dice import I64, Dice, Wheel

Floats = npt.NDArray[np.float64]

#: 2026-01-05T08:00:00Z, and how long the machine has run by then
START_WALL_NS = 1_767_600_000_000_000_000
START_BOOT_NS = 3_600_000_000_000
WALL_OFFSET_NS = START_WALL_NS - START_BOOT_NS
_START_HOUR = 8
#: how busy each hour of the day is, from midnight, in UTC
_HOURS = (2, 2, 3, 2, 2, 2, 3, 5, 8, 11, 12, 11, 9, 11, 12, 11, 10, 8, 6, 5, 4, 4, 3, 2)
_BINS = 8_192
#: a bin is a lull, as usual, a burst or a flood: how busy, and how often
_MOODS = (1, 4, 16, 64)
_MOOD_SHARES = (45, 45, 8, 2)
_BURSTS = 101


class Clock:
    """Event time as a function of the share of events that came before.

    Args:
        dice: of the recording.
        duration_ns: from share 0 to share 1.
    """

    def __init__(self, dice: Dice, duration_ns: int) -> None:
        edges = np.array([i * duration_ns // _BINS for i in range(_BINS + 1)], np.int64)
        hours = (_START_HOUR + edges[:-1] // 3_600_000_000_000) % 24
        moods = np.array(_MOODS)[Wheel(_MOOD_SHARES).spin(dice.draw(np.arange(_BINS), _BURSTS))]
        weights = np.cumsum(np.array(_HOURS)[hours] * moods)
        self._shares = np.concatenate([[0.0], weights / weights[-1]])
        self._times = edges.astype(np.float64)
        self.end_ns = START_BOOT_NS + duration_ns

    def at(self, shares: Floats) -> I64:
        """Return boot times, ns, for shares from 0 to 1."""
        return _between(shares, self._shares, self._times).astype(np.int64) + START_BOOT_NS

    def share_at(self, times: I64) -> Floats:
        """Return the shares of events that came before boot times, ns."""
        return _between((times - START_BOOT_NS).astype(np.float64), self._times, self._shares)

    def at_one(self, share: float) -> int:
        """Return the boot time of one share, ns."""
        return int(self.at(np.array([share]))[0])


def _between(x: Floats, xs: Floats, ys: Floats) -> Floats:
    """Return the values at `x` of lines through the points. Each step is one operation, rounded once: `np.interp` may
    be compiled to fewer, which another machine rounds differently."""
    at = np.clip(np.searchsorted(xs, x, "right") - 1, 0, len(xs) - 2)
    found: Floats = ys[at] + (x - xs[at]) * ((ys[at + 1] - ys[at]) / (xs[at + 1] - xs[at]))
    return found
