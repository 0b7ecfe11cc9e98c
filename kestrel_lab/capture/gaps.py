"""The gap map: what the sequence numbers say was lost, exactly, and what recursion cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.program import Counts
from kestrel_lab.capture.records import SOURCES
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.epoch import Gap, GapCause

Stamps = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Loss:
    """A gap that has not been given its event_id yet."""

    cause: GapCause
    source: str
    cpu: int
    count: int
    ts_from_ns: int
    ts_to_ns: int

    def gap(self, event_id: int) -> Gap:
        """Return the row of the gap map; `event_id` is the first one given after it was found."""
        return Gap(self.cause, self.source, self.cpu, self.count, event_id, self.ts_from_ns, self.ts_to_ns)


class Sequences:
    """Follows the sequence numbers of every (cpu, source).

    Args:
        start_ns: boot time when capture began.
    """

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._last: dict[tuple[int, int], tuple[int, int]] = {}
        self.received = dict.fromkeys(SOURCES, 0)

    def observe(self, records: Records) -> list[Loss]:
        """Return the losses that a drain of one ring shows; `records` in ring order."""
        if not len(records):
            return []
        head = records["head"]
        seq, ts = head["seq"], head["ts"]
        origin = head["cpu"].astype(np.int32) * len(SOURCES) + head["source"]
        losses: list[Loss] = []
        for value in np.flatnonzero(np.bincount(origin)).tolist():
            own = origin == value
            losses += self._follow(*divmod(value, len(SOURCES)), seq[own], ts[own])
        return losses

    def _follow(self, cpu: int, source: int, seq: Stamps, ts: Stamps) -> list[Loss]:
        last, last_ts = self._last.get((cpu, source), (0, self._start_ns))
        self._last[cpu, source] = int(seq[-1]), int(ts[-1])
        self.received[SOURCES[source]] += len(seq)
        if int(seq[-1]) - last == len(seq):
            return []
        before = np.concatenate([np.array([last], np.uint64), seq[:-1]])
        missing = seq - before - np.uint64(1)
        return [
            Loss("lost_ring", SOURCES[source], cpu, int(missing[i]), int(ts[i - 1]) if i else last_ts, int(ts[i]))
            for i in np.flatnonzero(missing).tolist()
        ]

    def finish(self, counters: Mapping[str, Sequence[Counts]], now_ns: int) -> list[Loss]:
        """Return what was lost after the last record of each (cpu, source); counters as read after detach."""
        losses = []
        for index, source in enumerate(SOURCES):
            for cpu, counts in enumerate(counters[source]):
                last, last_ts = self._last.get((cpu, index), (0, self._start_ns))
                if counts.seq > last:
                    losses.append(Loss("lost_ring", source, cpu, counts.seq - last, last_ts, now_ns))
                    self._last[cpu, index] = counts.seq, now_ns
        return losses


class Recursion:
    """Follows the recursion misses of every program.

    Args:
        start: the counts when capture began, by hook.
        now_ns: boot time of that.
    """

    def __init__(self, start: Mapping[str, int], now_ns: int) -> None:
        self._start, self._last, self._last_ns = dict(start), dict(start), now_ns

    def observe(self, counts: Mapping[str, int], now_ns: int) -> list[Loss]:
        """Return a loss for every program that missed something since the last call."""
        losses = [
            Loss("recursion", name, -1, count - self._last.get(name, 0), self._last_ns, now_ns)
            for name, count in counts.items()
            if count > self._last.get(name, 0)
        ]
        self._last, self._last_ns = dict(counts), now_ns
        return losses

    def by_hook(self) -> dict[str, int]:
        """Return all misses since the start, by hook."""
        return {name: count - self._start.get(name, 0) for name, count in self._last.items()}
