"""Consecutive epochs of one segment taken together, so that many small ones cost what one large one does.

Predicates are pure and the order of events is the same, so alerts are too. Fuel stays a matter of each epoch: see
`Scanner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Array, Epoch
from kestrel_lab.schema.joined import JoinedRows

#: As many rows as are gathered before they are evaluated: as many as one epoch may have. What a span costs whatever its
#: rows counts for less in larger ones.
SPAN_ROWS = 65_536


class Span:
    """Some consecutive epochs.

    Args:
        epochs: at least one, of one segment, without a gap between them.

    Attributes:
        whole: them as one epoch; its clock pair is the first's.
        starts: for each table, the row of `whole` that each epoch holding rows of it begins with.
    """

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self.epochs = epochs
        self.starts: Mapping[str, npt.NDArray[np.int64]] = {}
        first, last = epochs[0], epochs[-1]
        if any(b.segment is not a.segment or b.first_event_id != a.last_event_id + 1 for a, b in pairwise(epochs)):
            raise ValueError("a span is of consecutive epochs of one segment")
        names = dict.fromkeys(name for epoch in epochs for name in epoch.tables)
        parts = {name: [e.tables[name] for e in epochs if name in e.tables] for name in names}
        self.starts = {n: np.cumsum([0, *(len(p) for p in of_table[:-1])]) for n, of_table in parts.items()}
        self.whole = first
        if len(epochs) > 1:
            self.whole = replace(
                last,
                first_event_id=first.first_event_id,
                rows=sum(e.rows for e in epochs),
                ts_min_ns=min(e.ts_min_ns for e in epochs),
                ts_max_ns=max(e.ts_max_ns for e in epochs),
                event_time_ns=first.event_time_ns,
                tables={name: JoinedRows(of_table) for name, of_table in parts.items()},
                late=any(e.late for e in epochs),
                gaps=tuple(gap for e in epochs for gap in e.gaps),
            )

    def split(self, table: str, rows: Array) -> list[tuple[Epoch, int, Array]]:
        """Return rows of `whole` by epoch: the epoch, the row of `whole` that its rows begin with, its own rows."""
        holding = [epoch for epoch in self.epochs if table in epoch.tables]
        starts = self.starts[table]
        parts = np.split(rows, np.searchsorted(rows, starts[1:]))
        return [(e, int(s), part - s) for e, s, part in zip(holding, starts, parts, strict=True) if len(part)]

    @property
    def wall(self) -> tuple[tuple[int, int], ...]:
        """For each epoch its first event_id and its wall offset, ns."""
        return tuple((e.first_event_id, e.wall_offset_ns) for e in self.epochs)
