"""From rings to one order: (`ts`, cpu, sequence), once final.

W is the boot clock read before all rings are drained; after the next full drain, events up to W are final. What
comes later all the same is marked late and takes its place among what is final then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.fields import FLAG_LATE


@dataclass(frozen=True, slots=True)
class Run:
    """Final events in order: `ring` and `row` say where each lies in `records`."""

    ts: npt.NDArray[np.uint64]
    ring: npt.NDArray[np.uint8]
    row: npt.NDArray[np.uint32]
    records: Sequence[Records]


@dataclass(frozen=True, slots=True)
class Piece:
    """Events `start` to `stop` (exclusive) of a run."""

    run: Run
    start: int
    stop: int


class Order:
    """Collects drained records and gives them out in final order, in pieces of one epoch.

    Args:
        sizes: bytes of a record, one a ring; what `epoch_bytes` counts.
        epoch_ns, epoch_rows, epoch_bytes: when an epoch closes.
    """

    def __init__(self, sizes: Sequence[int], epoch_ns: int, epoch_rows: int, epoch_bytes: int) -> None:
        self._sizes = np.array(sizes, np.int64)
        self._limits = epoch_ns, epoch_rows, epoch_bytes
        self._waiting: list[list[Records]] = [[] for _ in sizes]
        self._runs: list[Run] = []
        self._start = 0  # events of the first run that are gone already
        self._final_ns = 0
        self._last_ts = 0

    def add(self, ring: int, records: Records) -> None:
        """Take the records of one drain of one ring."""
        if len(records):
            self._waiting[ring].append(records)

    def advance(self, watermark_ns: int) -> None:
        """Declare every event up to `watermark_ns` final."""
        self._final_ns = max(self._final_ns, watermark_ns)
        parts = [self._split(ring, watermark_ns) for ring in range(len(self._waiting))]
        if any(len(part) for part in parts):
            run = _merge(parts)
            late = int(np.searchsorted(run.ts, self._last_ts, "left"))
            for at in range(late):
                run.records[run.ring[at]]["rec"]["head"]["flags"][run.row[at]] |= FLAG_LATE
            self._last_ts = max(self._last_ts, int(run.ts[-1]))
            self._runs.append(run)

    def _split(self, ring: int, watermark_ns: int) -> Records:
        waiting = self._waiting[ring]
        if not waiting:
            return np.empty(0, np.void)
        records = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        final = records["rec"]["head"]["ts"] <= watermark_ns
        if final.all():
            self._waiting[ring] = []
            return records
        self._waiting[ring] = [records[~final]]
        return records[final]

    def cut(self, *, flush: bool = False) -> list[Piece]:
        """Return the events of the next epoch that is closed, or nothing.

        Args:
            flush: close the open one as well.
        """
        if not self._runs:
            return []
        span, rows_left, bytes_left = self._limits
        deadline = int(self._runs[0].ts[self._start]) + span
        pieces: list[Piece] = []
        closed = flush or self._final_ns >= deadline
        for index, run in enumerate(self._runs):
            start = self._start if index == 0 else 0
            stop = min(int(np.searchsorted(run.ts, deadline, "left")), start + rows_left)
            sizes = np.cumsum(self._sizes[run.ring[start:stop]])
            stop = start + max(int(np.searchsorted(sizes, bytes_left, "right")), 0 if pieces else 1)
            if stop > start:
                pieces.append(Piece(run, start, stop))
                rows_left -= stop - start
                bytes_left -= int(sizes[stop - start - 1])
            if stop < len(run.ts):
                closed = True
                break
        if not closed and rows_left > 0:
            return []
        self._consume(pieces)
        return pieces

    def _consume(self, pieces: list[Piece]) -> None:
        last = pieces[-1]
        whole = last.stop == len(last.run.ts)
        self._runs = self._runs[len(pieces) if whole else len(pieces) - 1 :]
        self._start = 0 if whole else last.stop


def _merge(parts: Sequence[Records]) -> Run:
    present = [(ring, part) for ring, part in enumerate(parts) if len(part)]
    heads = [part["rec"]["head"] for _, part in present]
    ts = np.concatenate([head["ts"] for head in heads])
    ring = np.repeat([r for r, _ in present], [len(p) for _, p in present]).astype(np.uint8)
    row = np.concatenate([np.arange(len(p), dtype=np.uint32) for _, p in present])
    order = np.argsort(ts, kind="stable")
    ordered = ts[order]
    if (ordered[1:] == ordered[:-1]).any():
        cpu = np.concatenate([head["cpu"] for head in heads])
        seq = np.concatenate([head["seq"] for head in heads])
        order = np.lexsort((seq, cpu, ts))
        ordered = ts[order]
    return Run(ordered, ring[order], row[order], parts)
