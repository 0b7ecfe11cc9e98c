"""One user's rule over the rows of one recorded epoch.

The module is instantiated anew for each epoch and asked about its rows in `event_id` order, so that what it may
remember depends on the recording alone: not on spans, windows, workers or other rules. Only where its columns need
more than `COLUMN_BYTES` are the rows given in parts, each to a new instance.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from kestrel_lab.engine import limits
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.user.columns import Column, Passes, RowSet, make_columns, place
from kestrel_lab.engine.user.layout import ALIGN, ENTRIES_AT, ENTRY_BYTES
from kestrel_lab.engine.user.module import NameHandle, UserModule
from kestrel_lab.engine.user.rows import Positions, Which, gather, merged, within
from kestrel_lab.engine.user.runtime import UserInstance, user_runtime
from kestrel_lab.schema import user_abi
from kestrel_lab.schema.abi import ABI_VERSION, PAGE_BYTES, ROW_BYTES
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.values import Value

_DATA_AT = ENTRIES_AT + user_abi.MAX_DECLARATIONS * ENTRY_BYTES
_CAPTURE_ROOM = 4 * user_abi.MAX_CAPTURE_BYTES
_RECORD = struct.Struct("<4I")

#: Captured values of a position, by name.
_Captured = dict[int, dict[str, Value]]


class StoppedError(Exception):
    """The module ran out of fuel or trapped: the epoch has no hits of this rule."""

    def __init__(self, limit: int, *, trapped: bool) -> None:
        super().__init__()
        self.limit, self.trapped = limit, trapped


@dataclass(frozen=True, slots=True)
class Passed:
    """Rows of one (table, stage) that passed, and captured values by name, one a row (None where there is none)."""

    rows: Array
    captures: Mapping[str, list[Value]]


@dataclass(slots=True)
class _Work:
    """An evaluation under way: how many rows, fuel, and what passed, as positions in the whole row set."""

    rows: int
    left: int
    passed: dict[int, list[Positions]] = field(default_factory=dict)
    captured: dict[int, _Captured] = field(default_factory=dict)


class UserRule:
    """A user's module, compiled for a mode."""

    def __init__(self, module: UserModule, mode: Mode, bounds: Limits) -> None:
        self._module, self._bounds = module, bounds
        self._runtime = user_runtime(mode)
        self._compiled = self._runtime.compile(module.wasm)

    def evaluate(
        self, info: SourceInfo, epoch: Epoch, asked: Mapping[Which, Array], passes: Passes
    ) -> tuple[dict[Which, Passed], int]:
        """Return what passes of the rows of one epoch, and the fuel used.

        Args:
            asked: rows by (table, stage), rising, at least one.

        Raises:
            StoppedError: if the module ran out of fuel or trapped.
        """
        rows, positions = gather(info, epoch, asked)
        fuel = self._bounds.user_fuel + self._bounds.user_fuel_per_row * len(rows)
        stages: dict[int, list[Positions]] = {}
        for (_, stage), own in positions.items():
            stages.setdefault(stage, []).append(own)
        work = _Work(len(rows), fuel)
        try:
            for start, part, columns in self._parts(rows, passes):
                here = {s: within(merged(p), start, start + len(part)) for s, p in sorted(stages.items())}
                self._run(start, len(part), columns, here, work)
        except TrappedError as error:
            raise StoppedError(fuel, trapped=not error.out_of_fuel) from error
        found = {which: self._passed(which[1], asked[which], own, work) for which, own in positions.items()}
        return {which: passed for which, passed in found.items() if len(passed.rows)}, fuel - work.left

    def _parts(self, rows: RowSet, passes: Passes) -> Iterator[tuple[int, RowSet, list[Column]]]:
        """Yield runs of the rows whose columns fit, each with where it begins."""
        todo = [(0, len(rows))]
        while todo:
            start, stop = todo.pop()
            part = rows.part(start, stop)
            columns = make_columns(self._module.handles, part, passes)
            if sum(c.size for c in columns) <= limits.COLUMN_BYTES:
                yield start, part, columns
            elif stop - start > 1:
                middle = (start + stop) // 2
                todo += [(middle, stop), (start, middle)]
            else:
                raise TrappedError

    def _run(self, start: int, count: int, columns: list[Column], asked: Mapping[int, Positions], work: _Work) -> None:
        """Ask one instance about `count` rows, those of each stage by position."""
        lists = 2 * ROW_BYTES * count
        size = _DATA_AT + sum(c.size for c in columns) + lists + _CAPTURE_ROOM + ALIGN
        instance = self._runtime.start(self._compiled, -(-size // PAGE_BYTES), work.left)
        if instance.call("init", 0, 0) != ABI_VERSION:
            raise TrappedError
        rows_at = place(columns, _DATA_AT, instance.write)
        instance.call("bind", len(columns), count)
        room = rows_at + lists
        for stage, own in asked.items():
            instance.write(rows_at, own.astype("<u4"))
            end = rows_at + ROW_BYTES * len(own)
            found = instance.call("eval", stage, rows_at, end, end)
            hits = np.frombuffer(instance.read(end, end + ROW_BYTES * found), "<u4")
            work.passed.setdefault(stage, []).append(hits + np.uint32(start))
            if self._module.captures and found:
                captured = self._captured(instance, stage, end, end + ROW_BYTES * found, room)
                into = work.captured.setdefault(stage, {})
                into.update((start + position, values) for position, values in captured.items())
        work.left = instance.fuel_left

    def _captured(self, instance: UserInstance, stage: int, at: int, end: int, room: int) -> _Captured:
        """Return what the module captures of some rows, listed from `at` to `end`."""
        out: _Captured = {}
        while at < end:
            at, taken = instance.call("capture", stage, at, end, room, room + _CAPTURE_ROOM)
            data, place = instance.read(room, taken), 0
            while place < len(data):
                row, handle, integer, size = _RECORD.unpack_from(data, place)
                place += _RECORD.size
                value = data[place : place + size]
                place += size
                name = self._module.handles[handle]
                assert isinstance(name, NameHandle)
                out.setdefault(row, {})[name.name] = int.from_bytes(value, "little", signed=True) if integer else value
        return out

    def _passed(self, stage: int, rows: Array, positions: Positions, work: _Work) -> Passed:
        passed = np.zeros(work.rows, np.bool_)
        for found in work.passed.get(stage, ()):
            passed[found] = True
        hit = passed[positions]
        captured = work.captured.get(stage, {})
        own = [captured.get(p, {}) for p in positions[hit].tolist()]
        return Passed(rows[hit], {name: [values.get(name) for values in own] for name in self._module.names})
