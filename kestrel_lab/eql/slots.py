"""The frame of a module: which columns and tables a program reads, in the order of their first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.eql.ir import Computed, Const, Leaf, Program, TextLeaf, leaves
from kestrel_lab.eql.leaftests import ScalarTest, TextTest
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.types import EqlType, Field

_NUMBERS: Mapping[EqlType, SlotKind] = {
    EqlType.INT: SlotKind.I64,
    EqlType.UINT: SlotKind.U64,
    EqlType.FLOAT: SlotKind.F64,
    EqlType.DATE: SlotKind.I64,
    EqlType.BOOL: SlotKind.BOOL,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the frame: a column of `field`, or the table of `test` over that field's classes.

    `computed`: the column, of booleans, is what this test makes of the fields it names; `field` is empty.
    """

    kind: SlotKind
    field: str
    test: TextTest | None = None
    computed: ScalarTest | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it takes."""
        return (self.field,) if self.computed is None else self.computed.fields


def column_slot(name: str, fields: Mapping[str, Field]) -> Slot:
    """Return the slot of a field's column."""
    entry = fields[name]
    kind = SlotKind.CLASS if entry.many else _NUMBERS.get(entry.type, SlotKind.CLASS)
    return Slot(kind, name)


def slots_of_leaf(leaf: Leaf, fields: Mapping[str, Field]) -> tuple[Slot, ...]:
    """Return the column a leaf reads and, for a text test, its table."""
    if isinstance(leaf, Const):
        return ()
    if isinstance(leaf, Computed):
        return (Slot(SlotKind.BOOL, "", None, leaf.test),)
    if isinstance(leaf, TextLeaf):
        return column_slot(leaf.test.field, fields), Slot(SlotKind.TEST, leaf.test.field, leaf.test)
    return (column_slot(leaf.field, fields),)


def slots_of(program: Program, fields: Mapping[str, Field]) -> dict[Slot, int]:
    """Return the slots of a program and their numbers."""
    parts = (leaf for stage in program.distinct_stages for leaf in leaves(stage.expr))
    found = (slot for leaf in parts for slot in slots_of_leaf(leaf, fields))
    return {slot: number for number, slot in enumerate(dict.fromkeys(found))}
