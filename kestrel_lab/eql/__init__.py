"""The EQL compiler: text to syntax tree to typed expressions to WebAssembly, or to Lua."""

from kestrel_lab.eql.compile import compile_query
from kestrel_lab.eql.ir import Program, Stage
from kestrel_lab.eql.leaftests import TextTest
from kestrel_lab.eql.lower_lua import LuaModule, lower_lua
from kestrel_lab.eql.lower_wasm import WasmModule, lower_wasm
from kestrel_lab.eql.slots import Slot

__all__ = [
    "LuaModule",
    "Program",
    "Slot",
    "Stage",
    "TextTest",
    "WasmModule",
    "compile_query",
    "lower_lua",
    "lower_wasm",
]
