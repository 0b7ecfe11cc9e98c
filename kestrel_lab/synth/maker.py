"""Epochs and segments of a synthetic world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingSegment
from kestrel_lab.schema.epoch import Epoch, Gap
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.synth import acts, entities, tables
from kestrel_lab.synth.clock import WALL_OFFSET_NS
from kestrel_lab.synth.columns import COLUMNS
from kestrel_lab.synth.dice import Array
from kestrel_lab.synth.events import Events
from kestrel_lab.synth.options import SynthOptions
from kestrel_lab.synth.tables import Columns, Valid
from kestrel_lab.synth.texts import Coder
from kestrel_lab.synth.world import World

#: what a recording's host is called
HOST = "synthetic"
#: where the live recorder ends a segment: rows, distinct strings, their bytes, process images
SEGMENT_ROWS, SEGMENT_STRINGS, SEGMENT_STRING_BYTES, SEGMENT_ENTITIES = 1_000_000, 200_000, 32 << 20, 100_000
_LOST = 601
_MOST_LOST = 1_000
#: a gap is said to be so long, ns
_GAP_NS = 1_000_000


class Maker:
    """Cuts the windows of a world into epochs and segments."""

    def __init__(self, options: SynthOptions) -> None:
        self._options, self._world = options, World(options)
        self._mark = entities.MARK + (options.seed % (1 << 24)).to_bytes(3, "big")
        self._next_id, self._number, self._time, self._gaps = 1, 0, 0, 0
        self._segment = GrowingSegment(-1)
        self._begin_segment()

    def epochs(self) -> Iterator[Epoch]:
        """Yield all epochs."""
        for events in self._world.windows():
            if self._is_full():
                self._begin_segment()
            yield from self._cut(events)

    def _is_full(self) -> bool:
        segment = self._segment
        return (
            self._rows >= SEGMENT_ROWS
            or len(segment.entities) >= SEGMENT_ENTITIES
            or sum(segment.string_counts().values()) >= SEGMENT_STRINGS
            or segment.bytes >= SEGMENT_STRING_BYTES
        )

    def _begin_segment(self) -> None:
        """Begin a segment with what runs, and what that is linked to."""
        self._segment, images = GrowingSegment(self._segment.index + 1), self._world.images
        self._coder, self._rows = Coder(self._segment), 0
        kept = np.flatnonzero((images["ref"] > 0) | (images["precision"] > 0))
        order = kept[np.argsort(images["ref"][kept], kind="stable")]
        images["ref"][:] = 0
        entities.add(self._segment, self._coder, images, order, self._mark)

    def _cut(self, events: Events) -> Iterator[Epoch]:
        """Yield the epochs of a window's events; whatever they refer to is in the segment by then."""
        images, first = self._world.images, self._next_id
        begins = np.flatnonzero(np.isin(events["action"], (acts.FORK, acts.EXEC)))
        known = len(self._segment.entities)
        images["first_event_id"][events["slot"][begins]] = first + begins
        entities.add(self._segment, self._coder, images, events["slot"][begins], self._mark)
        parts = self._parts(events)
        counts, stamps = self._segment.string_counts(), events["ts"]
        for start in range(0, len(events), self._options.epoch_rows):
            stop = min(start + self._options.epoch_rows, len(events))
            low, high = int(stamps[start]), int(stamps[stop - 1])
            yield Epoch(
                number=self._number, segment=self._segment, first_event_id=first + start, rows=stop - start,
                ts_min_ns=low, ts_max_ns=high, event_time_ns=self._time, clock_boot_ns=high,
                clock_wall_ns=high + WALL_OFFSET_NS, string_counts=counts,
                tables={p.table: p.rows(start, stop) for p in parts if p.count(start, stop)},
                entity_count=known + int(np.searchsorted(begins, stop)),
                gaps=self._planted(first + stop - 1, first, stamps),
            )  # fmt: skip
            self._number, self._time = self._number + 1, high
        self._next_id += len(events)
        self._rows += len(events)

    def _parts(self, events: Events) -> list[_Part]:
        out = []
        for at, rows in tables.by_table(self._world.dice, events, self._world.images, self._coder):
            columns, valid = COLUMNS[rows.table](rows)
            columns |= tables.common(rows, self._next_id, at)
            kinds = BUILTIN.columns_by_name(rows.table)
            typed = {n: v.astype(DTYPES[kinds[n].physical], copy=False) for n, v in columns.items()}
            out.append(_Part(rows.table, at, typed, valid))
        return out

    def _planted(self, last_id: int, first_id: int, stamps: Array) -> tuple[Gap, ...]:
        """Return the gaps that were found up to an event and were not given yet."""
        out = []
        while self._gaps < self._options.gaps:
            event_id = 1 + (2 * self._gaps + 1) * self._options.events // (2 * self._options.gaps)
            if event_id > last_id:
                break
            at, lost = int(stamps[event_id - first_id]), self._lost(self._gaps)
            out.append(Gap("lost_ring", HOST, -1, lost, event_id, at - _GAP_NS, at))
            self._gaps += 1
        return tuple(out)

    def _lost(self, gap: int) -> int:
        return 1 + int(self._world.dice.draw(np.array([gap]), _LOST)[0] % np.uint64(_MOST_LOST))


@dataclass(frozen=True)
class _Part:
    """The rows of one table in a window, and the places of their events in it."""

    table: str
    at: Array
    columns: Columns
    valid: Valid

    def count(self, start: int, stop: int) -> int:
        """Return how many rows events `start` to `stop` have here."""
        first, last = np.searchsorted(self.at, (start, stop))
        return int(last - first)

    def rows(self, start: int, stop: int) -> ArrayRows:
        """Return the rows of events `start` to `stop`."""
        first, last = np.searchsorted(self.at, (start, stop))
        columns, valid = ({name: values[first:last] for name, values in part.items()}
                          for part in (self.columns, self.valid))  # fmt: skip
        return ArrayRows(self.table, int(last - first), columns, valid)
