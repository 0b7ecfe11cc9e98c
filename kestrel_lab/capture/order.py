"""From rings to one order: (`ts`, cpu, sequence), once final.

W is the boot clock read before all rings are drained; after the next full drain, events up to W are final. What
comes later all the same is marked late and takes its place among what is final then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.records import KINDS
from kestrel_lab.capture.ring import Words
from kestrel_lab.schema.columns import FLAG_LATE

Stamps = npt.NDArray[np.uint64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Block:
    """The records of one drain of one ring."""

    ring: int
    words: Words


@dataclass(frozen=True, slots=True)
class Run:
    """Final events in order: each is row `row` of the block `blocks[block]`."""

    ts: Stamps
    block: npt.NDArray[np.uint16]
    row: Index
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Piece:
    """Events `start` to `stop` (exclusive) of a run."""

    run: Run
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Rows of a block that are not final yet."""

    block: Block
    ts: Stamps
    rows: Index


class Order:
    """Collects drained records and gives them out in final order, in pieces of one epoch.

    Args:
        epoch_ns, epoch_rows, epoch_bytes: when an epoch closes; bytes of raw records, as copied.
    """

    def __init__(self, epoch_ns: int, epoch_rows: int, epoch_bytes: int) -> None:
        self._limits = epoch_ns, epoch_rows, epoch_bytes
        self._waiting: list[_Waiting] = []
        self._runs: list[Run] = []
        self._start = 0  # events of the first run that are gone already
        self._final_ns = 0
        self._last_ts = 0

    def add(self, ring: int, words: Words) -> None:
        """Take the records (at least one) of one drain of one ring."""
        ts = np.ascontiguousarray(KINDS[ring].view(words)["head"]["ts"])
        self._waiting.append(_Waiting(Block(ring, words), ts, np.arange(len(ts))))

    def advance(self, watermark_ns: int) -> None:
        """Declare every event up to `watermark_ns` final."""
        self._final_ns = max(self._final_ns, watermark_ns)
        final, rest = [], []
        for part in self._waiting:
            ready = part.ts <= watermark_ns
            if ready.all():
                final.append(part)
                continue
            rest.append(_Waiting(part.block, part.ts[~ready], part.rows[~ready]))
            if ready.any():
                final.append(_Waiting(part.block, part.ts[ready], part.rows[ready]))
        self._waiting = rest
        if final:
            self._append(_merge(final))

    def _append(self, run: Run) -> None:
        for at in range(int(np.searchsorted(run.ts, self._last_ts, "left"))):
            block = run.blocks[run.block[at]]
            KINDS[block.ring].view(block.words)["head"]["flags"][run.row[at]] |= FLAG_LATE
        self._last_ts = max(self._last_ts, int(run.ts[-1]))
        self._runs.append(run)

    def cut(self, *, flush: bool = False) -> list[Piece]:
        """Return the events of the next epoch that is closed, or nothing.

        Args:
            flush: close the open one as well.
        """
        if not self._runs:
            return []
        span, rows_left, bytes_left = self._limits
        deadline = int(self._runs[0].ts[self._start]) + span
        closed = flush or self._final_ns >= deadline
        pieces: list[Piece] = []
        for index, run in enumerate(self._runs):
            start = self._start if index == 0 else 0
            stop = min(int(np.searchsorted(run.ts, deadline, "left")), start + rows_left)
            sizes = np.cumsum(np.array([b.words.shape[1] * 8 for b in run.blocks])[run.block[start:stop]])
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


def _merge(parts: Sequence[_Waiting]) -> Run:
    ts = np.concatenate([part.ts for part in parts])
    block = np.repeat(np.arange(len(parts), dtype=np.uint16), [len(part.rows) for part in parts])
    row = np.concatenate([part.rows for part in parts])
    order = np.argsort(ts, kind="stable")
    ordered = ts[order]
    if (ordered[1:] == ordered[:-1]).any():
        heads = [KINDS[part.block.ring].view(part.block.words)["head"][part.rows] for part in parts]
        cpu = np.concatenate([head["cpu"] for head in heads])
        seq = np.concatenate([head["seq"] for head in heads])
        order = np.lexsort((seq, cpu, ts))
        ordered = ts[order]
    return Run(ordered, block[order], row[order], [part.block for part in parts])
