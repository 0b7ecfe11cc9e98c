"""Which rows of an epoch a user's module is asked about: those of each stage, put together in `event_id` order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.user.columns import RowSet
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo

#: A table and the number of a stage.
Which = tuple[str, int]
Positions = npt.NDArray[np.uint32]


def gather(info: SourceInfo, epoch: Epoch, asked: Mapping[Which, Array]) -> tuple[RowSet, dict[Which, Positions]]:
    """Return all rows that some stage asks about, each once, and where those of each (table, stage) stand there."""
    tables = list(dict.fromkeys(table for table, _ in asked))
    own = [np.unique(np.concatenate([rows for (t, _), rows in asked.items() if t == table])) for table in tables]
    ids = np.concatenate(
        [epoch.tables[t].column("event_id")[rows] for t, rows in zip(tables, own, strict=True)]
    )  # fmt: skip
    order = np.argsort(ids, kind="stable")
    rank = np.empty(len(order), np.uint32)
    rank[order] = np.arange(len(order))
    starts = np.cumsum([0, *(len(rows) for rows in own)])
    numbers = np.repeat(np.arange(len(tables)), [len(rows) for rows in own])
    rowset = RowSet(info, epoch, tables, numbers[order], np.concatenate(own)[order])
    positions = {}
    for (table, stage), rows in asked.items():
        number = tables.index(table)
        positions[table, stage] = rank[starts[number] + np.searchsorted(own[number], rows)]
    return rowset, positions


def within(positions: Positions, start: int, stop: int) -> Positions:
    """Return the positions from `start` to `stop`, counted from `start`. They rise."""
    first, last = np.searchsorted(positions, [start, stop])
    return positions[first:last] - np.uint32(start)


def merged(positions: Sequence[Positions]) -> Positions:
    """Return positions of several tables in order."""
    return np.sort(np.concatenate(positions))
