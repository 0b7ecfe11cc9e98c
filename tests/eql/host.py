"""A host for lowered modules: the ABI by the book, for few events."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import wasmtime

from kestrel_lab.engine.lua import LuaRuntime
from kestrel_lab.eql import LuaModule, Slot, WasmModule
from kestrel_lab.eql.compute import computation, passes_value
from kestrel_lab.schema import abi
from kestrel_lab.schema.abi import SlotKind

Event = Mapping[str, Any]
FUEL = 1_000_000_000
_PACK = {SlotKind.CLASS: "I", SlotKind.I64: "q", SlotKind.U64: "Q", SlotKind.F64: "d", SlotKind.BOOL: "B"}


@dataclass(frozen=True)
class Outcome:
    """Positions that passed, and the fuel it took."""

    hits: list[int]
    fuel: int


@cache
def engine(pulley: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = True
    if pulley:
        config.target = "pulley64"
    return wasmtime.Engine(config)


def evaluate(
    module: WasmModule, stage: int, events: Sequence[Event], rows: Sequence[int], *, pulley: bool = False
) -> Outcome:
    """Run one stage over the events at `rows`."""
    store = wasmtime.Store(engine(pulley))
    store.set_fuel(FUEL)
    limits = wasmtime.Limits(abi.MEMORY_PAGES, abi.MEMORY_PAGES)
    memory = wasmtime.Memory(store, wasmtime.MemoryType(limits))
    instance = wasmtime.Instance(store, wasmtime.Module(engine(pulley), module.wat), [memory])
    exports = instance.exports(store)
    assert exports[abi.INIT](store) == abi.ABI_VERSION  # type: ignore[operator]
    image = _image(module.slots, events, rows)
    memory.write(store, image.data, 0)
    before = store.get_fuel()
    count = exports[abi.EVAL](store, stage, 0, image.rows, len(rows), image.out)  # type: ignore[operator]
    fuel = before - store.get_fuel()
    found = memory.read(store, image.out, image.out + count * abi.ROW_BYTES)
    return Outcome(list(struct.unpack(f"<{count}I", found)), fuel)


def evaluate_lua(
    module: LuaModule, stage: int, events: Sequence[Event], rows: Sequence[int], *, jit: bool = True
) -> Outcome:
    """Run one stage of the Lua of the same program over the same frame; fuel is what the module says it costs."""
    image = _image(module.slots, events, rows)
    memory = np.frombuffer(image.data, np.uint8)
    predicate = LuaRuntime("live" if jit else "deterministic", memory).load(module)
    predicate.refuel(FUEL)
    count = predicate.run(stage, 0, image.rows, len(rows), image.out)
    found = bytes(memory[image.out : image.out + count * abi.ROW_BYTES])
    return Outcome(list(struct.unpack(f"<{count}I", found)), FUEL - predicate.fuel_left())


@dataclass
class _Image:
    data: bytearray
    rows: int = 0
    out: int = 0

    def append(self, data: bytes) -> int:
        self.data += bytes(-len(self.data) % 8)
        at = len(self.data)
        self.data += data
        return at


def _image(slots: Sequence[Slot], events: Sequence[Event], rows: Sequence[int]) -> _Image:
    image = _Image(bytearray(len(slots) * abi.SLOT_BYTES))
    for number, slot in enumerate(slots):
        pointers = _column(image, slot, events)
        struct.pack_into("<II", image.data, number * abi.SLOT_BYTES, *pointers)
    image.rows = image.append(struct.pack(f"<{len(rows)}I", *rows))
    image.out = image.append(bytes(len(rows) * abi.ROW_BYTES))
    return image


def _column(image: _Image, slot: Slot, events: Sequence[Event]) -> tuple[int, int]:
    if slot.computed is not None:
        run = computation(slot.computed)
        held = [run.holds([None if e.get(f) == () else e.get(f) for f in run.fields]) for e in events]
        return image.append(bytes(held)), 0
    values = [e.get(slot.field) for e in events]
    if slot.kind is SlotKind.TEST:
        assert slot.test is not None
        table = [passes_value(slot.test, value) for value in _distinct(values)]
        return image.append(bytes([0, *table])), 0
    if slot.kind is SlotKind.CLASS:
        code = {v: n for n, v in enumerate(_distinct(values), 1)}
        values = [0 if v is None or v == () else code[v] for v in values]
        return image.append(struct.pack(f"<{len(values)}I", *values)), 0
    valid = [v is not None for v in values]
    data = struct.pack(f"<{len(values)}{_PACK[slot.kind]}", *(v or 0 for v in values))
    return image.append(data), 0 if all(valid) else image.append(bytes(valid))


def _distinct(values: Sequence[Any]) -> list[Any]:
    return [v for v in dict.fromkeys(values) if v is not None and v != ()]
