"""Columns of an epoch from raw records: the common ones, and those of each table. No Python runs per event here,
except where an event makes a process image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.acts import Targets, act_columns
from kestrel_lab.capture.execs import exec_columns, stdio_columns
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.schema import BUILTIN

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Valid = dict[str, npt.NDArray[np.bool_]]
#: records of one ring, and the rows of the table they go to
Part = tuple[Records, npt.NDArray[np.intp]]

FORK, EXEC, END, EXISTING = (
    BUILTIN.action_code("process", name) for name in ("fork", "exec", "end", "existing_process")
)


def process_columns(
    segment: GrowingSegment, parts: Sequence[Part], action: Array, targets: Targets | None
) -> tuple[Columns, Valid]:
    """Return the columns of the process table; `targets` are of the acts among its events, in their order."""
    rows = len(action)
    status = np.zeros(rows, np.uint32)
    success = segment.strings("process:event.outcome").code(b"success")
    columns: Columns = {"event.outcome": np.full(rows, success, np.int32)}
    valid: Valid = {}
    for rec, at in parts:
        names = rec.dtype.names or ()
        if "status" in names:
            status[at] = rec["status"]
            here = np.flatnonzero(rec["head"]["action"] == EXISTING)
            if len(here):
                _scatter(rows, at[here], (stdio_columns(segment, rec["standing"][here]), {}), columns, valid)
        elif targets is not None and "target_pid" in names:
            _scatter(rows, at, act_columns(segment, rec, targets), columns, valid)
        else:
            _scatter(rows, at, exec_columns(segment, rec), columns, valid)
    ended = action == END
    columns["process.exit_code"] = (status >> 8 & 0xFF).astype(np.int32)
    columns["process.Ext.exit_signal"] = (status & 0x7F).astype(np.int32)
    return columns, valid | {"process.exit_code": ended, "process.Ext.exit_signal": ended}


def _scatter(
    rows: int, at: npt.NDArray[np.intp], found: tuple[Columns, Valid], columns: Columns, valid: Valid
) -> None:  # fmt: skip
    """Put columns of some rows of a table where they belong."""
    for given, into in zip(found, (columns, valid), strict=True):
        for name, values in given.items():
            whole = into.setdefault(name, np.zeros(rows, values.dtype))
            whole[at] = values
