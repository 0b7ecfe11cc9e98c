"""Event time within an epoch: the running maximum of `ts_boot_ns` in `event_id` order, ns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.epoch import Epoch, Gap


def event_times(epoch: Epoch) -> Mapping[str, npt.NDArray[np.uint64]]:
    """Return the running maximum of `ts_boot_ns` at each row of each table, ns."""
    before = np.uint64(epoch.event_time_ns)
    if not epoch.late:
        return {table: np.maximum(rows.column("ts_boot_ns"), before) for table, rows in epoch.tables.items()}
    stamps = np.zeros(epoch.rows, np.uint64)
    places = {t: (r.column("event_id") - np.uint64(epoch.first_event_id)).astype(np.int64) for t, r in
              epoch.tables.items()}  # fmt: skip
    for table, rows in epoch.tables.items():
        stamps[places[table]] = rows.column("ts_boot_ns")
    running = np.maximum(np.maximum.accumulate(stamps), before)
    return {table: running[place] for table, place in places.items()}


def event_time_before(epoch: Epoch, event_id: int) -> int:
    """Return event time before an event of an epoch; after its last for a later event_id."""
    if event_id > epoch.last_event_id:
        return epoch.event_time_after_ns
    out = epoch.event_time_ns
    for rows in epoch.tables.values():
        stamps = rows.column("ts_boot_ns")[: int(np.searchsorted(rows.column("event_id"), np.uint64(max(event_id, 0))))]
        out = max(out, int(stamps.max(initial=0)))
    return out


def ticks_of(epoch: Epoch, every: int) -> tuple[tuple[int, int], ...]:
    """Return (event_id, event time before it) of the events whose ids are multiples of `every`."""
    ids = np.arange(-(-epoch.first_event_id // every) * every, epoch.last_event_id + 1, every).astype(np.uint64)
    times = np.full(len(ids), epoch.event_time_ns, np.uint64)
    for rows in epoch.tables.values() if len(ids) else ():
        ends = np.searchsorted(rows.column("event_id"), ids)
        begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        some = begins < ends
        newest = np.zeros(len(ids), np.uint64)
        if some.any():  # what lies between two ticks; then up to each
            newest[some] = np.maximum.reduceat(rows.column("ts_boot_ns")[: ends[-1]], begins[some])
        times = np.maximum(times, np.maximum.accumulate(newest))
    return tuple(zip(ids.tolist(), times.tolist(), strict=True))


def found_gaps(epoch: Epoch) -> tuple[tuple[Gap, int], ...]:
    """Return the rows of the gap map that came with an epoch, each with the event time at which it was known."""
    return tuple((gap, event_time_before(epoch, gap.event_id)) for gap in epoch.gaps)
