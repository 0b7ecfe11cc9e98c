"""Writes docs/host-abi.md: `python -m kestrel_lab.schema.abi_docs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kestrel_lab.schema import user_abi
from kestrel_lab.schema.abi import (
    ABI_VERSION,
    EXPORTS,
    INIT,
    MEMORY,
    MEMORY_PAGES,
    MODULE,
    PAGE_BYTES,
    ROW_BYTES,
    SLOT_BYTES,
    SLOT_VALIDITY,
    SlotKind,
)
from kestrel_lab.schema.user_abi import CAPTURE, EVAL, HostFunction

TARGET = Path(__file__).resolve().parents[2] / "docs" / "host-abi.md"

_SLOT_DOC: Mapping[SlotKind, str] = {
    SlotKind.CLASS: "u32 per position: class of a string, IP or array field's value; 0 = missing",
    SlotKind.I64: "i64 per position",
    SlotKind.U64: "u64 per position",
    SlotKind.F64: "f64 per position",
    SlotKind.BOOL: "u8 per position, 0 or 1",
    SlotKind.TEST: "u8 per *class* of one text test: 1 where the values of the class pass it; entry 0 is 0",
}

_USER_EXPORTS = (
    (f"{INIT}() -> i32", f"Returns the ABI version, {ABI_VERSION}. Declares what the module reads. It runs anew before "
     "each epoch and must declare the same each time."),
    (f"{EVAL}(stage i32, row i32) -> i32", "Whether the event passes: anything but 0. `stage` counts the items of "
     "`events`, `until` last; 0 for an event query."),
    (f"{CAPTURE}(stage i32, row i32)", "Optional. Called for the events that passed."),
    (f"{MEMORY}", "Its memory, if it passes text. A module that imports one is refused."),
)  # fmt: skip

_EXAMPLE = """```c
// clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o long_argument.wasm long_argument.c
#define HOST(name) __attribute__((import_module("kestrel_lab_v1"), import_name(#name))) extern
#define RULE(name) __attribute__((export_name(#name)))
typedef unsigned u32;
HOST(field) u32 field(const char *name, u32 length);
HOST(count) u32 count(u32 field, u32 row);
HOST(str_len) u32 str_len(u32 field, u32 row, u32 item);

static u32 args;

RULE(pred_init) u32 pred_init(void) {
    args = field("process.args", 12);
    return 1;
}

RULE(pred_eval) u32 pred_eval(u32 stage, u32 row) {
    for (u32 i = 0; i < count(args, row); i++)
        if (str_len(args, row, i) > 4000) return 1;
    return 0;
}
```"""


_RULE = """```toml
[rule]
rule_id = "long-argument"
name = "A very long argument"
severity = "low"
language = "wasm"
module = "long_argument.wasm"
events = '''process where event.action == "exec"'''
```"""


def _user() -> list[str]:
    """Return the lines on modules written by users."""
    return [
        "# Modules written by users",
        "",
        'A rule with `language = "wasm"` is a module from any compiler: Rust, C, Zig, AssemblyScript, or WebAssembly '
        "text.",
        "",
        *_RULE.splitlines(),
        "",
        "`module` is a file in the rule's folder or beneath it, binary or text; without it, `query` holds the text. "
        "`events` is an EQL query, `any where true`",
        "if it is not given: the module is asked only about events that match it, which the index finds. It may be a "
        "sequence: then the module refines its items,",
        "and the engine joins them.",
        "",
        "A module has a memory of its own and sees no other. The functions below are WebAssembly as well, over the "
        "columns of the epoch: nothing leaves for Python.",
        "Handles, rows, types and pointers are checked; what is wrong traps. A value that is not there reads as 0, "
        "and its length as 0.",
        "",
        "What a module answers should depend on the event alone. It is instantiated anew for each recorded epoch and "
        "asked about its events in `event_id` order,",
        "so one that remembers gives the same answers live and on replay all the same; but they change with the places "
        "where the recorder cut epochs.",
        "What has to be remembered is what sequences are for.",
        "",
        "## Exports of a user's module",
        "",
        *(f"- `{name}`: {doc}" for name, doc in _USER_EXPORTS),
        "",
        f"## Imports from `{MODULE}`",
        "",
        *_table("Called in `pred_init` alone; each returns a handle:", user_abi.DECLARATIONS),
        *_table("Called with the `row` of `pred_eval` or `pred_capture`:", user_abi.GETTERS),
        *_table("Called in `pred_capture` alone:", user_abi.CAPTURES),
        "## An example in C",
        "",
        *_EXAMPLE.splitlines(),
        "",
        "## Limits of a user's module",
        "",
        "A module is refused if it could take long to compile or run differently somewhere: threads, SIMD, "
        "exceptions, tail calls, several memories and results, and",
        "recursion, also through tables. The bounds on its size stand in `kestrel_lab/engine/limits.py`; the error "
        "names the one it breaks. Its memory grows to",
        "16 MiB; beyond that `memory.grow` returns -1.",
        "",
        "Fuel is counted per (rule, recorded epoch), `pred_init` included: a fixed amount, and more for each event the "
        "module is asked about. A module that uses it up,",
        "or traps, has no hits in that epoch. That is recorded with the live alerts and reported by `record`, `replay` "
        "and `diff`, and happens in every replay alike.",
        "",
    ]


def signature(function: HostFunction) -> str:
    """Return a function's name, parameters and result as text."""
    params = ", ".join(f"{name} {kind}" for name, kind in function.params)
    return f"{function.name}({params})" + (f" -> {function.result}" if function.result else "")


def _table(title: str, functions: Sequence[HostFunction]) -> list[str]:
    rows = [f"| `{signature(f)}` | {f.doc} |" for f in functions]
    return [title, "", "| function | |", "| --- | --- |", *rows, ""]


def document() -> str:
    """Return the text of docs/host-abi.md."""
    lines = [
        f"# Host ABI `{MODULE}`",
        "",
        "How rules that are WebAssembly meet the engine. Generated from `kestrel_lab/schema/abi.py` and `user_abi.py`; "
        "a test keeps them equal.",
        "",
        *_user(),
        "# Modules made by the compiler",
        "",
        "They read columns by themselves. All integers are little-endian. Pointers are byte offsets into the column "
        "memory.",
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


if __name__ == "__main__":
    TARGET.write_text(document())
