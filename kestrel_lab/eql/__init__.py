"""The EQL compiler: text to syntax tree to typed expressions to WebAssembly."""

from kestrel_lab.eql.compile import compile_query
from kestrel_lab.eql.ir import Program, Stage, TextTest
from kestrel_lab.eql.lower_wasm import WasmModule, lower_wasm
from kestrel_lab.eql.slots import Slot

__all__ = ["Program", "Slot", "Stage", "TextTest", "WasmModule", "compile_query", "lower_wasm"]
