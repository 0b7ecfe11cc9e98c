"""What the scan of an epoch found: hits of every rule, before sequences are matched. Travels between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.captures import Captures
from kestrel_lab.engine.keys import JoinKeys
from kestrel_lab.schema.alert import Exhausted


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
    captures: Captures


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan of one epoch. It depends on the epoch, the pack and the limits alone.

    Attributes:
        event_time_ns: event time after the epoch's last event.
        hits: by rule id, tables and stages in a fixed order.
        fuel: used in this epoch, by rule id; rules that had no row to look at are absent.
        evaluations: rows handed to predicates, over all rules and stages.
    """

    epoch: int
    segment: int
    event_time_ns: int
    wall_offset_ns: int
    hits: Mapping[str, list[Hits]]
    fuel: Mapping[str, int]
    evaluations: int
    exhausted: tuple[Exhausted, ...]
    skipped: bool = False
