"""Lowering to Lua for LuaJIT: the same frame, rows and answers as the WebAssembly of `lower_wasm`, by other code.

It exists so that two backends can be held against each other; what differs between them is a defect of one. The text
is a function of the program alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.eql.ir import Program, leaves
from kestrel_lab.eql.lower_stage_lua import Functions, constant
from kestrel_lab.eql.slots import Slot, slots_of
from kestrel_lab.schema.abi import ROW_BYTES, SLOT_BYTES, SLOT_VALIDITY, SlotKind
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Field

_POINTERS: Mapping[SlotKind, str] = {
    SlotKind.CLASS: "const uint32_t *",
    SlotKind.I64: "const int64_t *",
    SlotKind.U64: "const uint64_t *",
    SlotKind.F64: "const double *",
    SlotKind.BOOL: "const uint8_t *",
    SlotKind.TEST: "const uint8_t *",
}


@dataclass(frozen=True, slots=True)
class LuaModule:
    """A lowered program.

    Attributes:
        source: Lua text. Called with the `ffi` library and the address of the column memory (a number), it returns
            pred_eval: (stage, frame, rows, count, out) -> hits, as in the host ABI.
        slots: what the host puts into the frame, in order.
        cost_per_row: for each stage (`until` last), the fuel that one row uses; it is charged whatever a row needs.
        cost_per_call: for each stage, the fuel of a call beside its rows.
    """

    source: str
    slots: tuple[Slot, ...]
    cost_per_row: tuple[int, ...]
    cost_per_call: tuple[int, ...]


def lower_lua(program: Program, fields: Mapping[str, Field] = BUILTIN.fields) -> LuaModule:
    """Return the module of a program. `fields` are those the program was compiled with."""
    slots = slots_of(program, fields)
    functions = Functions(slots, fields)
    numbers = {id(stage): functions.add(stage.expr) for stage in program.distinct_stages}
    calls = [numbers[id(stage)] for stage in program.all_stages]
    return LuaModule(
        source="\n".join(_module(slots, functions, calls)) + "\n",
        slots=tuple(slots),
        cost_per_row=tuple(1 + sum(1 for _ in leaves(stage.expr)) for stage in program.all_stages),
        cost_per_call=tuple(1 for _ in program.all_stages),
    )


def _module(slots: Mapping[Slot, int], functions: Functions, calls: list[int]) -> list[str]:
    types = ", ".join(f"typeof('{_POINTERS[slot.kind]}')" for slot in slots)
    return [
        "local ffi, base = ...",
        "local cast, typeof = ffi.cast, ffi.typeof",
        "local m = cast('const uint8_t *', base)",
        "local words = typeof('uint32_t *')",
        f"local types = {{{types}}}",
        "local p, o, v, k, f = {}, {}, {}, {}, {}",
        *(f"k[{number}] = {constant(*which)}" for which, number in functions.constants.items()),
        *functions.lines,
        f"local stages = {{{', '.join(f'f[{n}]' for n in calls)}}}",
        "local function enter(frame)",
        "  for n = 1, #types do",
        f"    local slot = cast(words, m + frame + (n - 1) * {SLOT_BYTES})",
        f"    o[n], v[n] = slot[0], slot[{SLOT_VALIDITY // 4}]",
        "    p[n] = cast(types[n], m + o[n])",
        "  end",
        "end",
        "return function(stage, frame, rows, count, out)",
        "  local passes = stages[stage + 1]",
        "  enter(frame)",
        "  local from, to, hits = cast(words, m + rows), cast(words, m + out), 0",
        "  for n = 0, count - 1 do",
        "    local i = from[n]",
        "    if passes(i) then",
        "      to[hits] = i",
        "      hits = hits + 1",
        "    end",
        "  end",
        "  return hits",
        "end",
    ]


assert ROW_BYTES == 4  # `words` above
