"""Values to the type that a field has, without loss, or not at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.flat.flatten import Cell, Decimal
from kestrel_lab.schema.flat.times import time_ns
from kestrel_lab.schema.types import EqlType

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_REAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def text_of(value: Cell) -> str | bytes:
    """Return a scalar as text: numbers as they were written, booleans as JSON has them."""
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Decimal) else repr(value)


def bytes_of(value: Cell) -> bytes:
    """Return a scalar as the bytes of its text; half of a surrogate pair as its three bytes."""
    text = text_of(value)
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _integer(value: Cell, low: int, high: int) -> int:
    if type(value) is not int:
        if (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _INTEGER.fullmatch(value)):
            value = int(value)
        else:
            raise RejectedError
    if not low <= value <= high:
        raise RejectedError
    return int(value)


def _int(value: Cell) -> int:
    return _integer(value, -(2**63), 2**63 - 1)


def _uint(value: Cell) -> int:
    return _integer(value, 0, 2**64 - 1)


def _float(value: Cell) -> float:
    if isinstance(value, (bool, bytes)) or (isinstance(value, str) and not _REAL.fullmatch(value)):
        raise RejectedError
    try:
        return float(value)
    except OverflowError:
        raise RejectedError from None


def _bool(value: Cell) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise RejectedError


@lru_cache(65_536)
def canonical_ip(text: str) -> str:
    """Return the one text of an IP address, an IPv4 one where it is mapped into IPv6.

    Raises:
        RejectedError: if it is none.
    """
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise RejectedError from None
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            raise RejectedError
        return str(found.ipv4_mapped or found)
    return str(found)


def _ip(value: Cell) -> str:
    if not isinstance(value, str):
        raise RejectedError
    return canonical_ip(value)


def _date(value: Cell) -> int:
    return time_ns(value) // 10**6


#: Scalar to the value that a column of the type holds; raises RejectedError, with or without a reason.
CONVERT: Mapping[EqlType, Callable[[Any], Cell]] = {
    EqlType.STRING: text_of,
    EqlType.INT: _int,
    EqlType.UINT: _uint,
    EqlType.FLOAT: _float,
    EqlType.BOOL: _bool,
    EqlType.IP: _ip,
    EqlType.DATE: _date,
}


def fit(name: str, kind: EqlType, value: Cell) -> Cell:
    """Return a field's value (or list of them) as values of a type.

    Raises:
        RejectedError: naming field, type and value, if one does not fit.
    """
    if type(value) is int and kind is EqlType.INT and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, list):
        return [_fit(name, kind, item) for item in value]
    return _fit(name, kind, value)


def _fit(name: str, kind: EqlType, value: Cell) -> Cell:
    try:
        return CONVERT[kind](value)
    except RejectedError:
        shown = text_of(value)
        raise RejectedError(f"`{name}` is a field of type {kind}, and {shown[:64]!r} is none") from None
