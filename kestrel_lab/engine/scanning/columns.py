"""The column memory: where columns, tables of tests, frames and row lists lie, and how a window of rows gets there.

Everything has a fixed place, so frames are written once. A window holds at most `WINDOW_ROWS` rows of one table: a
fixed number, so that the fuel of a rule does not depend on the other rules of the pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.scanning.computed import ComputedColumn
from kestrel_lab.engine.scanning.plan import StagePlan, TablePlan, tests_by_dictionary
from kestrel_lab.engine.scanning.window import Window, union
from kestrel_lab.engine.text.classes import Classes, TestKey, key_of_test
from kestrel_lab.engine.text.elements import Elements
from kestrel_lab.engine.wasm.values import Memory, scatter_column, scatter_numbers, store_column
from kestrel_lab.eql import Slot, TextTest
from kestrel_lab.eql.leaftests import ScalarTest
from kestrel_lab.schema.abi import ROW_BYTES, SLOT_BYTES, SlotKind
from kestrel_lab.schema.access import Numbers
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.errors import LimitError
from kestrel_lab.schema.schema import Schema

WINDOW_ROWS = 32_768
_MAX_CAPACITY = 65_536
_MIN_CAPACITY = 1_024
_JOINED = "|join"  # ends the dictionary key of what lists are joined to; the rest is that of the lists
_RESERVED = 64  # so that no pointer is 0
_WIDEST = 8  # bytes of the widest element


class ColumnMemory:
    """The layout of a pack over the column memory.

    Attributes:
        window_rows: the most rows of a window.
        rows_at, out_at: where row lists go and come from.
        classes: by dictionary key.

    Raises:
        LimitError: if the pack needs more memory than there is.
    """

    def __init__(self, memory: Memory, rules: Sequence[Rule], plans: Mapping[str, TablePlan], schema: Schema) -> None:
        self._memory, self._next, self._schema = memory, _RESERVED, schema
        self.window_rows = WINDOW_ROWS
        self._data_bytes = _WIDEST * self.window_rows
        self._column_bytes = self._data_bytes + self.window_rows  # a byte a row for validity
        self.rows_at = self._reserve(self.window_rows * ROW_BYTES)
        self.out_at = self._reserve(self.window_rows * ROW_BYTES)
        self._arena = self._reserve(self._column_bytes * max((len(p.columns) for p in plans.values()), default=0))
        self._tests: dict[tuple[str, TestKey], int] = {}  # (dictionary key, test) -> where its table is
        frames = {(p.table, s.rule): len(rules[s.rule].module.slots) for p in plans.values() for s in p.stages}
        self._frames = {which: self._reserve(slots * SLOT_BYTES) for which, slots in frames.items()}
        self.classes: dict[str, Classes] = {}
        self._computations: dict[ScalarTest, ComputedColumn] = {}
        self._place_tables(tests_by_dictionary(rules, list(plans.values()), schema))
        for plan in plans.values():
            for rule in dict.fromkeys(stage.rule for stage in plan.stages):
                self._write_frame(plan, rule, rules[rule].module.slots)
        #: for a stage, what it asks of fields that is not known without a closer look
        self._asks = {
            stage: asks for plan in plans.values() for stage in plan.stages if (asks := self._ask(plan, stage))
        }

    def frame(self, table: str, rule: int) -> int:
        """Return where the frame of a rule on a table is."""
        return self._frames[table, rule]

    def classes_of(self, table: str, field: str) -> Classes:
        """Return the classes of a field's values."""
        return self.classes[self._schema.dictionary_key(table, field)]

    def put_rows(self, positions: Array) -> None:
        """Write the list of rows of the next call."""
        store_column(self._memory, self.rows_at, SlotKind.CLASS, positions)

    def hits(self, count: int) -> npt.NDArray[np.uint32]:
        """Return a copy of the list of rows that a call has written."""
        end = self.out_at + count * ROW_BYTES
        return self._memory[self.out_at : end].view("<u4").astype(np.uint32)

    def fill(self, plan: TablePlan, window: Window, candidates: Sequence[tuple[StagePlan, Array]]) -> None:
        """Write the columns that stages read of a window, at the rows they look at; a row's position is its number.

        Raises:
            TooManyClassesError: if the rows hold more classes of strings than the tables; fewer rows may fit.
        """
        self._look_closer(window, candidates)
        wanted = _rows_by_slot(candidates, len(window))
        strings: dict[str, list[tuple[int, Array, npt.NDArray[np.uint32]]]] = {}
        for number, slot in enumerate(plan.columns):
            if slot not in wanted:
                continue
            at, rows = self._arena + number * self._column_bytes, wanted[slot]
            if slot.kind is SlotKind.CLASS:
                key = self._schema.dictionary_key(plan.table, slot.field)
                strings.setdefault(key, []).append((at, rows, self.classes[key].of(window.coded(slot.field, rows))))
            else:
                found = self._numbers(slot, window, rows)
                scatter_numbers(self._memory, at, at + self._data_bytes, slot.kind, rows, found)
        for key, members in strings.items():
            placed = self.classes[key].place([found for _, _, found in members])
            for (at, rows, _), column in zip(members, placed, strict=True):
                scatter_column(self._memory, at, SlotKind.CLASS, rows, column)

    def _look_closer(self, window: Window, candidates: Sequence[tuple[StagePlan, Array]]) -> None:
        """Decide what stages ask of the values at the rows they look at; once for stages that look at the same."""
        asked: dict[tuple[str, int], tuple[Array, Classes, dict[int, None]]] = {}
        for stage, rows in candidates:
            for field, classes, tests in self._asks.get(stage, ()):
                asked.setdefault((field, id(rows)), (rows, classes, {}))[2].update(tests)
        for (field, _), (rows, classes, numbers) in asked.items():
            classes.of(window.coded(field, rows), list(numbers))

    def _ask(self, plan: TablePlan, stage: StagePlan) -> list[tuple[str, Classes, dict[int, None]]]:
        out = []
        for slot, tests in stage.columns.items():
            if tests:
                classes = self.classes_of(plan.table, slot.field)
                numbers = (classes.number_of(key_of_test(test)) for test in tests)
                doubtful = {number: None for number in numbers if classes.doubtful[number]}
                if doubtful:
                    out.append((slot.field, classes, doubtful))
        return out

    def _numbers(self, slot: Slot, window: Window, rows: Array) -> Numbers:
        if slot.computed is None:
            return window.numbers(slot.field, rows)
        found = self._computations.get(slot.computed)
        if found is None:
            found = self._computations[slot.computed] = ComputedColumn(slot.computed)
        values = [window.resolve(field, rows) for field in slot.computed.fields]
        return Numbers(found.column(values), None)

    def _reserve(self, size: int) -> int:
        at, self._next = self._next, (self._next + size + 7) & ~7
        if self._next > len(self._memory):
            raise LimitError(
                f"the pack needs more than the {len(self._memory) >> 20} MiB of column memory",
                do="Run fewer rules at once.",
            )
        return at

    def _place_tables(self, tests: Mapping[str, Sequence[TextTest]]) -> None:
        total = sum(map(len, tests.values()))
        capacity = min(_MAX_CAPACITY, (len(self._memory) - self._next) // max(total, 1) & ~7)
        if capacity < _MIN_CAPACITY:
            raise LimitError(f"the pack has too many tests of strings, {total}", do="Run fewer rules at once.")
        elements: dict[str, Elements] = {}
        for key, of_key in tests.items():
            at = self._reserve(len(of_key) * capacity)
            table = self._memory[at : at + len(of_key) * capacity].reshape(len(of_key), capacity)
            of_lists = elements.setdefault(key.removesuffix(_JOINED), Elements())
            self.classes[key] = Classes(of_key, table, of_lists, joined=key.endswith(_JOINED))
            for number, test in enumerate(of_key):
                self._tests[key, key_of_test(test)] = at + number * capacity

    def _write_frame(self, plan: TablePlan, rule: int, slots: Sequence[Slot]) -> None:
        frame = np.zeros((len(slots), 2), "<u4")
        for number, slot in enumerate(slots):
            if slot.test is not None:
                frame[number, 0] = self._tests[
                    self._schema.dictionary_key(plan.table, slot.field), key_of_test(slot.test)
                ]
            elif slot in plan.columns:
                at = self._arena + plan.columns.index(slot) * self._column_bytes
                frame[number] = at, 0 if slot.kind is SlotKind.CLASS else at + self._data_bytes
        at = self._frames[plan.table, rule]
        self._memory[at : at + frame.nbytes] = frame.view(np.uint8).reshape(-1)


def _rows_by_slot(candidates: Sequence[tuple[StagePlan, Array]], count: int) -> dict[Slot, Array]:
    """Return the rows, below `count`, that any stage reads a slot at."""
    wanted: dict[Slot, dict[int, Array]] = {}
    for stage, rows in candidates:
        for slot in stage.columns:
            wanted.setdefault(slot, {})[id(rows)] = rows
    unions: dict[tuple[int, ...], Array] = {}
    for arrays in wanted.values():
        which = tuple(arrays)
        if which not in unions:
            unions[which] = union(list(arrays.values()), count)
    return {slot: unions[tuple(arrays)] for slot, arrays in wanted.items()}
