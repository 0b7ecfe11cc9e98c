"""Values as JSON, exactly: what JSON cannot hold goes into a tagged object.

A string that is not UTF-8 is `{"$bytes": base64}`; a float that is no JSON number is `{"$f64": 16 hex digits}`.
Integers of 64 bits are plain JSON numbers.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

Value: TypeAlias = "bytes | int | float | bool | list[Value] | tuple[Value, ...] | None"


Scalar: TypeAlias = "bytes | int | float | bool"


def array_text(values: Sequence[Scalar]) -> bytes:
    """Return the one JSON text of an array of scalars of one type, as `JSON` columns hold it."""
    return json.dumps(to_json(list(values)), separators=(",", ":")).encode()


def array_values(text: bytes) -> tuple[Scalar, ...]:
    """Return the values that `array_text` was given.

    Raises:
        ValueError: if it is no such text.
    """
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("no JSON array")
    return tuple(map(_scalar, found))


def _scalar(data: Any) -> Scalar:
    value = from_json(data)
    if value is None or isinstance(value, (list, tuple)):
        raise ValueError("no array of scalars")
    return value


def to_json(value: Value) -> Any:
    """Return what `json.dumps` can write for a value; strings are bytes here."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$f64": struct.pack(">d", value).hex()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def from_json(data: Any) -> Value:
    """Return the value that `to_json` was given (tuples as lists).

    Raises:
        ValueError: for an object that carries no known tag.
    """
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, dict):
        if "$bytes" in data:
            return base64.b64decode(data["$bytes"], validate=True)
        if "$f64" in data:
            return float(struct.unpack(">d", bytes.fromhex(data["$f64"]))[0])
        raise ValueError(f"no tag among {sorted(data)}")
    if isinstance(data, list):
        return [from_json(item) for item in data]
    if data is None or isinstance(data, (bool, int, float)):
        return data
    raise ValueError(f"not JSON: {type(data).__name__}")
