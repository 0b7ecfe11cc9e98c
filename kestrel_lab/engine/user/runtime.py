"""Instances of users' modules, in either mode: each in a store of its own, with its own memory and column memory.

An instance is three modules. The user's imports the host ABI from one that only jumps through a table; the shim
imports the user's memory and functions and fills the table. So a module can export its memory, as compilers do.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from wasmtime import Engine, Instance, Limits, Memory, MemoryType, Module, Store, Trap, TrapCode

from kestrel_lab.engine import limits
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.user.layout import ENTRIES_AT, ENTRY_BYTES, Declares, Kind
from kestrel_lab.engine.wasm.runtime import base_config
from kestrel_lab.schema import user_abi
from kestrel_lab.schema.abi import INIT, PAGE_BYTES
from kestrel_lab.schema.alert import Mode

_SHIM = Path(__file__).with_name("shim.wat")
_STACK_BYTES = 2 * limits.STACK_BYTES  # of either mode; four times what was measured of modules at that limit


@cache
def user_runtime(mode: Mode) -> UserRuntime:
    """Return the runtime of a mode, one a process."""
    return UserRuntime(mode)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A module and the names of its imports, in order."""

    code: Module
    imports: tuple[str, ...]

    @classmethod
    def of(cls, module: Module) -> Compiled:
        """Return a module with its imports listed."""
        return cls(module, tuple(i.name or "" for i in module.imports))


class UserRuntime:
    """Compiles users' modules and makes instances of them."""

    def __init__(self, mode: Mode) -> None:
        """Compile the shim."""
        config = base_config(mode)
        config.wasm_tail_call = config.wasm_memory64 = config.wasm_exceptions = config.wasm_simd = False
        config.max_wasm_stack = _STACK_BYTES
        # The usual way of allocating registers can take a minute for a hostile 25 KB; this one is linear.
        config.cranelift_flag_set("regalloc_algorithm", "single_pass")
        self._engine = Engine(config)
        self.compile = lru_cache(maxsize=256)(self._compile)
        self._jumps = Module(self._engine, _jumps_wat())
        self._shim = Compiled.of(Module(self._engine, _shim_wat()))

    def _compile(self, wasm: bytes) -> Compiled:
        """Return a module, compiled; a process does that once.

        Raises:
            WasmtimeError: if it is not valid.
        """
        Module.validate(self._engine, wasm)
        return Compiled.of(Module(self._engine, wasm))

    def start(self, module: Compiled, pages: int, fuel: int) -> UserInstance:
        """Return a new instance with `pages` of column memory, its `start` function run.

        Raises:
            TrappedError: if that traps or runs out of fuel.
            WasmtimeError: if it cannot be linked.
        """
        return UserInstance(self._engine, self._jumps, self._shim, module, pages, fuel)


class UserInstance:
    """A module at work. What it remembers goes with it."""

    def __init__(self, engine: Engine, jumps: Module, shim: Compiled, module: Compiled, pages: int, fuel: int) -> None:
        self._store = Store(engine)
        self._store.set_fuel(fuel)
        columns = Memory(self._store, MemoryType(Limits(pages, pages)))
        self._memory = _bytes_of(columns, self._store, pages * PAGE_BYTES)
        self._store.set_limits(limits.MEMORY_PAGES * PAGE_BYTES, limits.TABLE_ELEMENTS)
        jump = Instance(self._store, jumps, []).exports(self._store)
        try:
            user = Instance(self._store, module.code, [jump[name] for name in module.imports]).exports(self._store)
            parts: dict[str, Any] = {
                "columns": columns,
                "table": jump["table"],
                user_abi.MEMORY: user.get(user_abi.MEMORY) or jump["no_memory"],
                INIT: user[INIT],
                user_abi.EVAL: user[user_abi.EVAL],
                user_abi.CAPTURE: user.get(user_abi.CAPTURE) or jump["no_capture"],
            }
            self._exports = Instance(self._store, shim.code, [parts[n] for n in shim.imports]).exports(self._store)
        except Trap as trap:
            raise _trapped(trap) from trap

    def call(self, name: str, *arguments: int) -> Any:
        """Call an export of the shim with i32 arguments.

        Raises:
            TrappedError: if it traps or runs out of fuel.
        """
        try:
            return self._exports[name](self._store, *arguments)
        except Trap as trap:
            raise _trapped(trap) from trap

    @property
    def fuel_left(self) -> int:
        """What is left of the fuel; means nothing after a trap."""
        return int(self._store.get_fuel())

    def write(self, at: int, values: npt.NDArray[Any]) -> None:
        """Write an array to the column memory."""
        self._memory[at : at + values.nbytes] = np.ascontiguousarray(values).view(np.uint8).reshape(-1)

    def read(self, at: int, end: int) -> bytes:
        """Return bytes of the column memory."""
        return self._memory[at:end].tobytes()


def _bytes_of(memory: Memory, store: Store, size: int) -> npt.NDArray[np.uint8]:
    address = ctypes.cast(memory.data_ptr(store), ctypes.c_void_p).value
    if address is None:
        raise MemoryError("the column memory is not there")
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def _trapped(trap: Trap) -> TrappedError:
    return TrappedError(out_of_fuel=trap.trap_code is TrapCode.OUT_OF_FUEL)


def _jumps_wat() -> str:
    lines = [
        "(module",
        f'(table (export "table") {len(user_abi.FUNCTIONS)} {len(user_abi.FUNCTIONS)} funcref)',
        '(memory (export "no_memory") 0 0)',
        '(func (export "no_capture") (param i32 i32))',
    ]
    for number, function in enumerate(user_abi.FUNCTIONS):
        kinds = "".join(f"(param {kind}) " for _, kind in function.params)
        kinds += f"(result {function.result})" if function.result else ""
        lines += [f'(func (export "{function.name}") {kinds}',
                  *(f"local.get {n}" for n in range(len(function.params))),
                  f"i32.const {number}", f"call_indirect {kinds})"]  # fmt: skip
    return "\n".join([*lines, ")"])


def _shim_wat() -> str:
    names = " ".join(f"${function.name}" for function in user_abi.FUNCTIONS)
    return _SHIM.read_text().format(
        functions=len(user_abi.FUNCTIONS), names=names, max_declarations=user_abi.MAX_DECLARATIONS,
        max_text=user_abi.MAX_TEXT_BYTES, max_capture=user_abi.MAX_CAPTURE_BYTES, entries_at=ENTRIES_AT,
        entry_bytes=ENTRY_BYTES, **{d.name: int(d) for d in Declares}, **{k.name: int(k) for k in Kind},
    )  # fmt: skip
