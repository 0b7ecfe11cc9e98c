"""Columns of an epoch from raw records: the common ones, and those of each table. No Python runs per event here,
except where an event makes a process image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.acts import Targets, act_columns
from kestrel_lab.capture.coded import coded
from kestrel_lab.capture.ring import Records
from kestrel_lab.capture.standing import stdio_kind
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.schema import BUILTIN

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Valid = dict[str, npt.NDArray[np.bool_]]
#: records of one ring, and the rows of the table they go to
Part = tuple[Records, npt.NDArray[np.intp]]

FORK, EXEC, END = (BUILTIN.action_code("process", name) for name in ("fork", "exec", "end"))
_STDIO = {f"process.Ext.{name}.type": fd for fd, name in enumerate(("stdin", "stdout", "stderr"))}


def process_columns(
    segment: GrowingSegment, parts: Sequence[Part], action: Array, targets: Targets | None
) -> tuple[Columns, Valid]:
    """Return the columns of the process table; `targets` are of the acts among its events, in their order."""
    rows = len(action)
    status, filename = np.zeros(rows, np.uint32), np.zeros(rows, np.int32)
    stdio = {column: np.zeros(rows, np.int32) for column in _STDIO}
    success = segment.strings("process:event.outcome").code(b"success")
    more: Columns = {"event.outcome": np.full(rows, success, np.int32), "process.Ext.filename": filename}
    valid: Valid = {}
    code = segment.strings("process:process.Ext.filename").code
    for rec, at in parts:
        if "status" in (rec.dtype.names or ()):
            status[at] = rec["status"]
            continue
        if targets is not None and "target_pid" in (rec.dtype.names or ()):
            _scatter(rows, at, act_columns(segment, rec, targets), more, valid)
            continue
        for column, codes in stdio.items():
            codes[at] = _stdio(segment, column, rec["standing"])
        for row, one in zip(at.tolist(), rec, strict=True):
            start = int(one["exe_len"]) + int(one["cwd_len"])
            filename[row] = code(one["text"][start : start + int(one["filename_len"])].tobytes() or None)
    ended = action == END
    columns: Columns = (
        stdio
        | more
        | {
            "process.exit_code": (status >> 8 & 0xFF).astype(np.int32),
            "process.Ext.exit_signal": (status & 0x7F).astype(np.int32),
        }
    )
    return columns, valid | {"process.exit_code": ended, "process.Ext.exit_signal": ended}


def _scatter(
    rows: int, at: npt.NDArray[np.intp], found: tuple[Columns, Valid], columns: Columns, valid: Valid
) -> None:  # fmt: skip
    """Put columns of some rows of a table where they belong."""
    for given, into in zip(found, (columns, valid), strict=True):
        for name, values in given.items():
            whole = into.setdefault(name, np.zeros(rows, values.dtype))
            whole[at] = values


def _stdio(segment: GrowingSegment, column: str, standing: Records) -> Array:
    fd = _STDIO[column]
    modes, devices = standing["modes"][:, fd], standing["devices"][:, fd]
    return coded(
        segment, f"process:{column}", [modes, devices], lambda row: stdio_kind(int(modes[row]), int(devices[row]))
    )
