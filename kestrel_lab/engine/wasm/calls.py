"""The few C functions of wasmtime that run per (rule, epoch), prepared once through ctypes.

The Python wrapper of a call costs 26 to 50 us, these 0.8 us. They are function objects of our own: changing the
prototypes of those that the wasmtime package holds would change them for the package, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from wasmtime import Config, TrapCode, _bindings, _ffi

_Call = Callable[..., Any]


def _function(name: str, *arguments: Any) -> _Call:
    prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, *arguments)
    return prototype((name, _ffi.dll))


_P, _U64 = ctypes.c_void_p, ctypes.c_uint64

#: (context, function, values, number of values, where to put the trap) -> error
call_unchecked = _function("wasmtime_func_call_unchecked", _P, _P, _P, ctypes.c_size_t, _P)
set_fuel = _function("wasmtime_context_set_fuel", _P, _U64)
get_fuel = _function("wasmtime_context_get_fuel", _P, _P)
delete_trap = _function("wasm_trap_delete", _P)
delete_error = _function("wasmtime_error_delete", _P)
_trap_code = _function("wasmtime_trap_code", _P, _P)


def is_out_of_fuel(trap: ctypes.c_void_p) -> bool:
    """Return whether a trap is that of fuel running out."""
    code = ctypes.c_uint8()
    _trap_code(trap, ctypes.byref(code))
    return bool(code.value == TrapCode.OUT_OF_FUEL.value)


def canonicalise_nans(config: Config) -> None:
    """Make every NaN that a module computes the same one; the package has no property for it."""
    _bindings.wasmtime_config_cranelift_nan_canonicalization_set(config.ptr(), True)
