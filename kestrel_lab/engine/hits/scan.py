"""What the scan of an epoch found: hits of every rule, before sequences are matched. Travels between processes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.hits.captures import Captures, SharedCaptures
from kestrel_lab.engine.hits.keys import JoinKeys
from kestrel_lab.schema.alert import Exhausted
from kestrel_lab.schema.epoch import Gap


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows of one table that passed one stage of a rule, in `event_id` order, one entry a column for each.

    Attributes:
        stage: its number; the `until` stage comes last.
        event_time: running maximum of `ts_boot_ns` over all events up to each hit, ns.
    """

    rule_id: str
    stage: int
    event_id: npt.NDArray[np.uint64]
    event_time: npt.NDArray[np.uint64]
    ts_boot_ns: npt.NDArray[np.uint64]
    keys: JoinKeys
    captures: Captures | SharedCaptures


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan of one epoch, or of a span of them. It depends on them, the pack and the limits alone.

    Attributes:
        first_event_id, last_event_id: of the events, those that no rule saw included.
        event_time_before_ns, event_time_ns: event time before the first event and after the last.
        wall: (first event_id, wall offset in ns) of each epoch.
        hits: by rule id, tables and stages in a fixed order.
        fuel: used, by rule id; rules that had no row to look at are absent.
        evaluations: rows handed to predicates, over all rules and stages.
        ticks: (event_id, event time before that event in ns) of the events before which quotas are enforced.
        gaps: rows of the gap map, each with the event time (ns) at which it was known.
        skipped: whether it was passed over.
    """

    epoch: int
    segment: int
    first_event_id: int
    last_event_id: int
    event_time_before_ns: int
    event_time_ns: int
    wall: tuple[tuple[int, int], ...]
    hits: Mapping[str, list[Hits]]
    fuel: Mapping[str, int]
    evaluations: int
    exhausted: tuple[Exhausted, ...]
    ticks: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[Gap, int], ...] = ()
    skipped: bool = False

    def wall_ns(self, event_id: int, boot_ns: int) -> int:
        """Return the wall time of an event, ns."""
        at = bisect_right(self.wall, event_id, key=lambda epoch: epoch[0]) - 1
        return boot_ns + self.wall[at][1]
