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

_SLOT_DOC: Mapping[SlotKind, str] = {
    SlotKind.CLASS: "u32 per position: class of a string, IP or array field's value; 0 = missing",
    SlotKind.I64: "i64 per position",
    SlotKind.U64: "u64 per position",
    SlotKind.F64: "f64 per position",
    SlotKind.BOOL: "u8 per position, 0 or 1",
    SlotKind.TEST: "u8 per *class* of one text test: 1 where the values of the class pass it; entry 0 is 0",
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


def document() -> str:
    """Return the text of docs/host-abi.md."""
    lines = [
        f"# Host ABI `{MODULE}`",
        "",
        "What a rule compiled to WebAssembly expects of its host. Generated from `kestrel_lab/schema/abi.py`; "
        "a test keeps the two equal.",
        "All integers are little-endian. Pointers are byte offsets into the column memory.",
        "",
        "## Imports",
        "",
        f'- `(import "{MODULE}" "{MEMORY}" (memory {MEMORY_PAGES} {MEMORY_PAGES}))`: the column memory, '
        f"{MEMORY_PAGES} pages of {PAGE_BYTES} bytes, minimum = maximum.",
        "  Modules made by the compiler share one and only read from it, except for `out`.",
        "",
        "There are no other imports: a module cannot see time, randomness or anything outside its memory.",
        "",
        "## Exports",
        "",
    ]
    for function in EXPORTS:
        lines.append(f"- `{function.name}({', '.join(p + ' i32' for p in function.params)}) -> i32`: {function.doc}")
    lines += [
        "",
        "## Frame",
        "",
        f"`frame` points to one slot of {SLOT_BYTES} bytes for each entry of the module's slot list, in its order: "
        "a u32 data pointer at 0,",
        f"a u32 validity pointer at {SLOT_VALIDITY} (0 = all valid; otherwise a u8 per position, 1 = has a value, "
        "0 = missing). "
        "Class and test slots have no validity: class 0 is missing.",
        "",
        "| slot | element | bytes |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{kind}` | {_SLOT_DOC[kind]} | {kind.item_bytes} |" for kind in SlotKind]
    lines += [
        "",
        "## Rows",
        "",
        f"`rows` and `out` hold u32 positions, {ROW_BYTES} bytes each. A position indexes the columns of the frame: "
        "the host gathers only the rows that the index",
        "left, so position 0 is the first of those. A position is below the number of bytes of the column memory. "
        "The host passes only rows whose action",
        "is among the stage's actions; a module does not test the category again.",
        "",
    ]
    return "\n".join(lines)
