"""Values between Python and LuaJIT, exactly: 64-bit integers, doubles, bytes of any kind, arrays, what is missing."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from lupa.luajit21 import LuaRuntime

from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.values import Value

_SOURCE = Path(__file__).with_name("values.lua")


def new_runtime(mode: Mode = "live") -> Any:
    """Return a LuaJIT that sees nothing of Python, with strings as bytes; `deterministic` means without its JIT."""
    runtime = LuaRuntime(encoding=None, register_eval=False, register_builtins=False, unpack_returned_tuples=False)
    if mode == "deterministic":
        runtime.execute(b"jit.off()")
    return runtime


class LuaValues:
    """Carries values over the border of one LuaJIT runtime.

    None is nil, booleans are booleans, floats are numbers, bytes are strings. An integer is a boxed type that compares
    exactly (a Lua number would lose what is above 53 bits). An array is a table with its length as `n`.
    """

    def __init__(self, runtime: Any) -> None:
        """Load the helpers into a runtime of `new_runtime`."""
        helpers = runtime.execute(_SOURCE.read_bytes())
        self.integer, self._list, self._call = helpers[b"int"], helpers[b"list"], helpers[b"call"]
        self._put, self._get = helpers[b"put"], helpers[b"get"]

    def call(self, function: Any, *values: Value) -> Value:
        """Call a Lua function and return its first result; arrays as tuples.

        Raises:
            OverflowError: for an integer that fits neither 64 bits signed nor unsigned.
            TypeError: if it returns a function, a thread or other data that is no value.
        """
        return self._value(self._call(function, *(self.to_lua(v) for v in values)))

    def from_list(self, items: Any) -> tuple[Value, ...]:
        """Return the values of a table with its length as `n`."""
        return tuple(self._value(self._get(items, i)) for i in range(1, int(items[b"n"]) + 1))

    def to_lua(self, value: Value) -> Any:
        """Return a value as Lua has it; see `call` for what it raises."""
        if isinstance(value, bool) or value is None or isinstance(value, (bytes, float)):
            return value
        if isinstance(value, int):
            bits = int.from_bytes(value.to_bytes(8, "big", signed=value < 0), "big")
            return self.integer(bits >> 32, bits & 0xFFFF_FFFF, int(value < 0))
        items = self._list(len(value))
        for index, item in enumerate(value, 1):
            self._put(items, index, self.to_lua(item))
        return items

    def _value(self, described: tuple[Any, ...] | bytes) -> Value:
        kind, *rest = described if isinstance(described, tuple) else (described,)
        match kind:
            case b"nil":
                return None
            case b"number":
                return float(struct.unpack("=d", rest[0])[0])
            case b"int":
                bits = (int(rest[0]) << 32) | int(rest[1])
                return bits - (1 << 64) if rest[2] and bits >> 63 else bits
            case b"list":
                return tuple(self._value(self._get(rest[1], i)) for i in range(1, int(rest[0]) + 1))
            case b"string" | b"boolean":
                return rest[0]  # type: ignore[no-any-return]
        raise TypeError(f"a Lua {kind.decode()} is no value")
