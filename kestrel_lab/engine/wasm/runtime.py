"""Two engines that must agree: compiled by Cranelift (`live`), interpreted by Pulley (`deterministic`).

Fuel is on in both. Nothing a module can see differs between them: NaNs are canonical, relaxed SIMD and threads are
off, memory neither grows nor moves. Native code is compiled anew each time, never cached or deserialised.
"""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt
from wasmtime import Config, Engine, Instance, Limits, Memory, MemoryType, Module, Store, Trap, WasmtimeError

from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.wasm import calls
from kestrel_lab.schema import abi
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.errors import RuleError

_ARGUMENTS = 5
_RAW_VALUE = 16  # sizeof(wasmtime_val_raw_t)
_LOAD_FUEL = 1_000_000


def base_config(mode: Mode) -> Config:
    """Return what makes the two modes agree."""
    config = Config()
    config.consume_fuel = True
    config.wasm_threads = False
    config.wasm_relaxed_simd = False
    calls.canonicalise_nans(config)
    if mode == "deterministic":
        config.target = "pulley64"
    return config


class Runtime:
    """One store with one column memory that every module loaded here imports.

    Attributes:
        memory: the column memory as bytes; writable, and never moves.
    """

    def __init__(self, mode: Mode) -> None:
        self._engine = Engine(base_config(mode))
        self._store = Store(self._engine)
        self._column_memory = Memory(self._store, MemoryType(Limits(abi.MEMORY_PAGES, abi.MEMORY_PAGES)))
        size = abi.MEMORY_PAGES * abi.PAGE_BYTES
        address = ctypes.cast(self._column_memory.data_ptr(self._store), ctypes.c_void_p).value
        if address is None or self._column_memory.data_len(self._store) != size:
            raise MemoryError("the column memory is not there")
        self.memory: npt.NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        self._context = ctypes.cast(self._store._context(), ctypes.c_void_p)
        self._values = (ctypes.c_uint32 * (_ARGUMENTS * _RAW_VALUE // 4))()
        self._left = ctypes.c_uint64()
        self._trap = ctypes.c_void_p()

    def load(self, wat: str, name: str) -> Predicate:
        """Compile a module in the text format, link it to the column memory and check its ABI version.

        Raises:
            RuleError: if it does not compile, imports anything else, lacks an export or speaks another version.
        """
        try:
            module = Module(self._engine, wat)
            wanted = [(i.module, i.name) for i in module.imports]
            if wanted not in ([], [(abi.MODULE, abi.MEMORY)]):
                raise RuleError(f"imports {wanted}, but only {abi.MODULE}.{abi.MEMORY} is there", where=name)
            self.refuel(_LOAD_FUEL)
            instance = Instance(self._store, module, [self._column_memory] if wanted else [])
            exports = instance.exports(self._store)
            for function in abi.EXPORTS:
                if function.name not in exports:
                    raise RuleError(f"the module lacks the export {function.name}", where=name)
            version = exports[abi.INIT](self._store)
        except (WasmtimeError, Trap) as error:
            raise RuleError(f"the module is refused: {str(error).splitlines()[0]}", where=name) from error
        if version != abi.ABI_VERSION:
            raise RuleError(f"the module speaks ABI {version}, this engine {abi.ABI_VERSION}", where=name)
        return Predicate(self, exports[abi.EVAL]._func)

    def refuel(self, fuel: int) -> None:
        """Set what the next calls may use together."""
        calls.set_fuel(self._context, fuel)

    def fuel_left(self) -> int:
        """Return what is left since `refuel`; means nothing after a trap."""
        calls.get_fuel(self._context, ctypes.byref(self._left))
        return self._left.value

    def call(self, function: ctypes.c_void_p, arguments: tuple[int, int, int, int, int]) -> int:
        """Call a function of five i32 that returns an i32.

        Raises:
            TrappedError: if it traps or runs out of fuel.
        """
        values = self._values
        values[0], values[4], values[8], values[12], values[16] = arguments
        error = calls.call_unchecked(self._context, function, values, _ARGUMENTS, ctypes.byref(self._trap))
        if error or self._trap.value:
            raise TrappedError(out_of_fuel=self._discard(error))
        return int(values[0])

    def _discard(self, error: int | None) -> bool:
        """Free what a failed call left, and return whether it ran out of fuel."""
        out_of_fuel = False
        if error:
            calls.delete_error(error)
        if self._trap.value:
            out_of_fuel = calls.is_out_of_fuel(self._trap)
            calls.delete_trap(self._trap)
            self._trap.value = None
        return out_of_fuel


class Predicate:
    """The stages of one rule, ready to run. Satisfies `engine.predicate.Predicate`; the store's fuel serves all."""

    def __init__(self, runtime: Runtime, function: ctypes.Structure) -> None:
        self._runtime = runtime
        self._function = function  # keeps what the pointer points to
        self._pointer = ctypes.cast(ctypes.byref(function), ctypes.c_void_p)
        self._empty: dict[int, int] = {}

    def refuel(self, fuel: int) -> None:
        """Set what the next calls may use together."""
        self._runtime.refuel(fuel)

    def fuel_left(self) -> int:
        """Return what is left since `refuel`; means nothing after a trap."""
        return self._runtime.fuel_left()

    def cost_of_a_call(self, stage: int) -> int:
        """Return the fuel that evaluating one stage on no rows costs; 0 if that does not end."""
        found = self._empty.get(stage)
        if found is None:
            self._runtime.refuel(_LOAD_FUEL)
            try:
                self.run(stage, 0, 0, 0, 0)
                found = _LOAD_FUEL - self._runtime.fuel_left()
            except TrappedError:
                found = 0
            self._empty[stage] = found
        return found

    def run(self, stage: int, frame: int, rows: int, count: int, out: int) -> int:
        """Evaluate one stage; pointers are offsets into the column memory (see the host ABI).

        Returns:
            how many positions were written to `out`.

        Raises:
            TrappedError: if it traps, runs out of fuel, or returns more than it was given.
        """
        found = self._runtime.call(self._pointer, (stage, frame, rows, count, out))
        if found > count:
            raise TrappedError
        return found
