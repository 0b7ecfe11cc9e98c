"""Lowering to WebAssembly text for host ABI v1: one module a program, one function a stage.

The text is a function of the program alone: nothing here iterates over a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.eql.ir import Program
from kestrel_lab.eql.lower_stage import StageCode, lower_stage
from kestrel_lab.eql.slots import Slot, slots_of
from kestrel_lab.schema import abi
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Field

_PARAMS = ("frame", "rows", "count", "out")
_DISPATCH = 3 + len(_PARAMS) + 2  # instructions of pred_eval on any way through it


@dataclass(frozen=True, slots=True)
class WasmModule:
    """A lowered program.

    Attributes:
        wat: the module as WebAssembly text.
        slots: what the host puts into the frame, in order.
        cost_per_row: for each stage (`until` last), the most fuel that one row can use.
        cost_per_call: for each stage, the fuel of a call beside its rows, at most.
        program: what it is code of, so that equal conditions are equal code; None for code of other origin.
    """

    wat: str
    slots: tuple[Slot, ...]
    cost_per_row: tuple[int, ...]
    cost_per_call: tuple[int, ...]
    program: Program | None = None


def lower_wasm(program: Program, fields: Mapping[str, Field] = BUILTIN.fields) -> WasmModule:
    """Return the module of a program. `fields` are those the program was compiled with."""
    slots = slots_of(program, fields)
    distinct = {id(stage): lower_stage(stage.expr, slots, fields) for stage in program.distinct_stages}
    function = {key: number for number, key in enumerate(distinct)}
    stages = [distinct[id(stage)] for stage in program.all_stages]
    calls = [function[id(stage)] for stage in program.all_stages]
    return WasmModule(
        wat="\n".join(_module(list(distinct.values()), calls)) + "\n",
        slots=tuple(slots),
        cost_per_row=tuple(s.cost_per_row for s in stages),
        cost_per_call=tuple(s.cost_per_call + _DISPATCH for s in stages),
        program=program,
    )


def _module(functions: list[StageCode], calls: list[int]) -> list[str]:
    pages = abi.MEMORY_PAGES
    lines = [
        "(module",
        f'(import "{abi.MODULE}" "{abi.MEMORY}" (memory {pages} {pages}))',
        f'(func (export "{abi.INIT}") (result i32)',
        f"i32.const {abi.ABI_VERSION})",
    ]
    params = " ".join(f"(param ${p} i32)" for p in _PARAMS)
    for number, function in enumerate(functions):
        lines += [f"(func $stage{number} {params} (result i32)", *function.locals, *function.body, ")"]
    return [*lines, *_dispatch(len(functions), calls), ")"]


def _dispatch(count: int, calls: list[int]) -> list[str]:
    """Return pred_eval: a jump table from stages to functions; a stage that does not exist traps."""
    params = " ".join(f"(param ${p} i32)" for p in ("stage", *_PARAMS))
    lines = [f'(func (export "{abi.EVAL}") {params} (result i32)', "block $none"]
    lines += [f"block $at{n}" for n in reversed(range(count))]
    lines += ["local.get $stage", f"br_table {' '.join(f'$at{n}' for n in calls)} $none"]
    for number in range(count):
        lines += ["end", *(f"local.get ${p}" for p in _PARAMS), f"call $stage{number}", "return"]
    return [*lines, "end", "unreachable)"]
