"""Flat sources read back, event by event."""

from __future__ import annotations

from typing import Any

from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import EpochSource


def rows_of(source: EpochSource) -> list[dict[str, Any]]:
    """Return the events of a source in the order of their ids: each field that has a value."""
    out: dict[int, dict[str, Any]] = {}
    for epoch in source.epochs():
        for table, rows in epoch.tables.items():
            ids = rows.column("event_id").tolist()
            events = [{"table": table, "ts": ts} for ts in rows.column("ts_boot_ns").tolist()]
            for name, field in source.info.schema.fields.items():
                if table in field.tables:
                    values = python_values(resolve(source.info, epoch, table, name))
                    for event, value in zip(events, values, strict=True):
                        if value is not None:
                            event[name] = value
            out |= dict(zip(ids, events, strict=True))
    assert list(out) == sorted(out) or len(source.info.schema.tables) > 1
    return [out[i] for i in sorted(out)]
