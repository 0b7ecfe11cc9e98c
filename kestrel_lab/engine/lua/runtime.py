"""EQL rules as Lua: LuaJIT with its JIT (`live`) and without (`deterministic`) over the column memory.

The text comes from our own compiler, so it is trusted: one runtime holds all rules, and fuel, being static, is charged
before a call. Rules that users wrote in Lua do not run here.
"""

from __future__ import annotations

from typing import Any

from kestrel_lab.engine.lua.values import new_runtime
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.wasm.values import Memory
from kestrel_lab.eql import LuaModule
from kestrel_lab.schema.alert import Mode


class LuaRuntime:
    """One LuaJIT that reads the column memory. `memory` must not move."""

    def __init__(self, mode: Mode, memory: Memory) -> None:
        self._lua = new_runtime(mode)
        self._ffi = self._lua.require(b"ffi")
        self._memory, self._base = memory, memory.ctypes.data

    def load(self, module: LuaModule) -> LuaPredicate:
        """Return the predicate of a lowered program."""
        chunk = self._lua.compile(module.source.encode())
        return LuaPredicate(chunk(self._ffi, self._base), module)


class LuaPredicate:
    """The stages of one rule. Satisfies `Predicate`."""

    def __init__(self, function: Any, module: LuaModule) -> None:
        self._function, self._module, self._left = function, module, 0

    def refuel(self, fuel: int) -> None:
        """Set what the next calls may use together."""
        self._left = fuel

    def fuel_left(self) -> int:
        """Return what is left since `refuel`; means nothing after a trap."""
        return self._left

    def cost_of_a_call(self, stage: int) -> int:
        """Return the fuel that evaluating one stage on no rows costs."""
        return self._module.cost_per_call[stage]

    def run(self, stage: int, frame: int, rows: int, count: int, out: int) -> int:
        """Evaluate one stage; pointers are offsets into the column memory (see the host ABI).

        Returns:
            how many positions were written to `out`.

        Raises:
            TrappedError: if the fuel does not suffice.
        """
        self._left -= self._module.cost_per_call[stage] + count * self._module.cost_per_row[stage]
        if self._left < 0:
            raise TrappedError
        return int(self._function(stage, frame, rows, count, out))
