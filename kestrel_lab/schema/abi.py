"""Host ABI v1: what a rule's WebAssembly module imports and exports, and how columns lie in memory.

Compiler, runtime and `docs/host-abi.md` all take it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ABI_VERSION = 1
MODULE = "kestrel_lab_v1"  #: the module name of every import
MEMORY = "memory"  #: the imported column memory
PAGE_BYTES = 65_536
MEMORY_PAGES = 2_048  #: minimum and maximum of the column memory, pages (128 MiB)
SLOT_BYTES = 8  #: size of one slot of the frame
SLOT_VALIDITY = 4  #: offset of the validity pointer in a slot; the data pointer stands at 0
ROW_BYTES = 4  #: size of one position in `rows` and in `out`

INIT = "pred_init"
EVAL = "pred_eval"


class SlotKind(StrEnum):
    """What the data pointer of a slot points to."""

    CLASS = "class"
    I64 = "i64"
    U64 = "u64"
    F64 = "f64"
    BOOL = "bool"
    TEST = "test"

    @property
    def item_bytes(self) -> int:
        """Size of one element, bytes."""
        return _ITEM_BYTES[self]


_ITEM_BYTES: Mapping[SlotKind, int] = {
    SlotKind.CLASS: 4,
    SlotKind.I64: 8,
    SlotKind.U64: 8,
    SlotKind.F64: 8,
    SlotKind.BOOL: 1,
    SlotKind.TEST: 1,
}


@dataclass(frozen=True, slots=True)
class Function:
    """An exported function: its parameters by name, all i32, and one i32 result."""

    name: str
    params: tuple[str, ...]
    doc: str


EXPORTS: tuple[Function, ...] = (
    Function(INIT, (), f"Returns the ABI version, {ABI_VERSION}. Called once, before anything else."),
    Function(
        EVAL,
        ("stage", "frame", "rows", "count", "out"),
        "Tests `count` positions for one stage (the `until` stage comes last) and writes those that pass to `out`, "
        "in the order given. Returns how many. `out` has room for `count` positions and overlaps nothing else.",
    ),
)
