"""Values round-trip through JSON exactly, whatever JSON itself cannot hold."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.values import Value, from_json, to_json

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8))[0]),
    st.binary(),
    st.text().map(str.encode),
)
VALUES = st.recursive(SCALARS, st.lists, max_leaves=12)

EDGES: list[Value] = [
    2**63 - 1, -(2**63), 2**64 - 1, 2**53 + 1, 0, -0.0, 0.0, 1.0, True, False, 1, None, b"", [], [[]], [None], [b""],
    float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308, 0.1,
    struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0],
    struct.unpack(">d", bytes.fromhex("fff8dead00000000"))[0],
    b"\xff\xfe", b"\xed\xa0\x80", b"\x00", "\U0001f985 \u2028\"\\".encode(), b"$bytes",
]  # fmt: skip


def through_json(value: Value) -> Value:
    return from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))


def exact(value: Value) -> object:
    """A form in which only the very same value is equal: type and bits."""
    if isinstance(value, float):
        return "float", struct.pack(">d", value)
    if isinstance(value, (list, tuple)):
        return "list", [exact(v) for v in value]
    return type(value).__name__, value


@given(VALUES)
def test_any_value_comes_back(value: Value) -> None:
    assert exact(through_json(value)) == exact(value)


@pytest.mark.parametrize("value", EDGES, ids=repr)
def test_edges_come_back(value: Value) -> None:
    assert exact(through_json(value)) == exact(value)


def test_tuples_come_back_as_lists() -> None:
    assert through_json((1, (b"a",))) == [1, [b"a"]]


@pytest.mark.parametrize("data", [{}, {"$other": 1}, {"$bytes": "not base64!"}, {"$f64": "zz"}])
def test_objects_without_a_value_are_refused(data: object) -> None:
    with pytest.raises(ValueError):
        from_json(data)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="set"):
        from_json({1})
