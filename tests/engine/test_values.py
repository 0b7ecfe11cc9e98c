"""Values cross every border exactly: Arrow, JSON, the column memory, LuaJIT."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.engine.lua import LuaValues, new_runtime
from kestrel_lab.engine.wasm.values import load_numbers, store_numbers
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.access import Numbers
from kestrel_lab.schema.values import from_json, to_json

I64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 2**53 + 1, -(2**63), 2**63 - 1])
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([2**63, 2**64 - 1])
F64 = st.floats() | st.sampled_from([0.0, -0.0, 5.0, math.nan, math.inf, -math.inf, 5e-324, 2.0**53 + 2])
BYTES = st.binary() | st.sampled_from([b"", b"\xff\xfe\x00", b"\x00", "é".encode()])
SCALARS = st.none() | st.booleans() | I64 | U64 | F64 | BYTES
COLUMNS = [
    (SlotKind.I64, "i8", I64, pa.int64()),
    (SlotKind.U64, "u8", U64, pa.uint64()),
    (SlotKind.F64, "f8", F64, pa.float64()),
    (SlotKind.BOOL, "?", st.booleans(), pa.bool_()),
]

RUNTIME = new_runtime()
LUA = LuaValues(RUNTIME)
IDENTITY = RUNTIME.eval(b"function(value) return value end")
COMPARE = RUNTIME.eval(b"function(a, b) return a < b, a <= b, a == b end")


def exact(value: Any) -> Any:
    """Make NaNs and the two zeros comparable, and True different from 1."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value)
    if isinstance(value, (tuple, list)):
        return [exact(v) for v in value]
    return type(value).__name__, value


@pytest.mark.parametrize(("kind", "dtype", "values", "arrow"), COLUMNS, ids=lambda v: str(v))
@given(data=st.data())
def test_numbers_from_arrow_to_the_column_memory_and_back(
    kind: SlotKind, dtype: str, values: st.SearchStrategy[Any], arrow: pa.DataType, data: st.DataObject
) -> None:
    items = data.draw(st.lists(st.none() | values, max_size=20))
    stored = pa.array(items, type=arrow)
    valid = np.array(stored.is_valid(), dtype=np.bool_)
    numbers = Numbers(np.array([0 if i is None else i for i in items], dtype=dtype), None if valid.all() else valid)
    memory = np.zeros(1024, np.uint8)
    store_numbers(memory, 64, 64 + 8 * len(items), kind, numbers)
    found = load_numbers(memory, 64, 64 + 8 * len(items), kind, len(items))
    again = [v if ok else None for v, ok in zip(found.values.tolist(), valid.tolist(), strict=True)]
    assert exact(again) == exact(stored.to_pylist())
    assert (found.valid is None) == bool(valid.all())


def test_a_nan_keeps_its_payload_in_the_column_memory() -> None:
    odd = np.array([0x7FF8_0000_DEAD_BEEF, 0xFFF0_0000_0000_0001], "u8")
    memory = np.zeros(64, np.uint8)
    store_numbers(memory, 8, 40, SlotKind.F64, Numbers(odd.view("f8"), None))
    assert load_numbers(memory, 8, 40, SlotKind.F64, 2).values.view("u8").tolist() == odd.tolist()


@given(SCALARS | st.lists(SCALARS, max_size=5).map(tuple))
def test_lua_gives_back_what_it_was_given(value: Any) -> None:
    assert exact(LUA.call(IDENTITY, value)) == exact(value)


@given(SCALARS | st.lists(SCALARS, max_size=5).map(tuple))
def test_json_gives_back_what_it_was_given(value: Any) -> None:
    assert exact(from_json(json.loads(json.dumps(to_json(value))))) == exact(value)


@given(I64 | U64, I64 | U64 | F64)
def test_lua_compares_integers_exactly(a: int, b: float) -> None:
    less, at_most, equal = COMPARE(LUA.to_lua(a), LUA.to_lua(b))
    assert (less, at_most, equal) == (a < b, a <= b, a == b)


@given(F64, I64 | U64)
def test_lua_compares_numbers_with_integers_exactly(a: float, b: int) -> None:
    less, at_most, equal = COMPARE(a, LUA.to_lua(b))
    assert (less, at_most, equal) == (a < b, a <= b, a == b)


@pytest.mark.parametrize(("value", "text"), [(-(2**63), b"-9223372036854775808"), (2**64 - 1, b"18446744073709551615")])
def test_lua_shows_integers_in_decimal(value: int, text: bytes) -> None:
    assert LUA.call(RUNTIME.eval(b"tostring"), value) == text


def test_lua_gives_only_values() -> None:
    with pytest.raises(TypeError, match="Lua function"):
        LUA.call(RUNTIME.eval(b"function() return tostring end"))
    with pytest.raises(OverflowError):
        LUA.call(IDENTITY, 2**64)
