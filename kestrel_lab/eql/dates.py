"""Dates: text in ISO 8601, or a number of milliseconds since 1970, to what a date field holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.typed import Kind, Node, is_value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
_HINT = 'write it as "2024-01-31T12:00:00Z", or as milliseconds since 1970'


def date_of(left: Node, right: Node) -> Node:
    """Return the right side of a comparison with a date, as a date.

    Raises:
        QueryError: if it is no constant that is one.
    """
    if left.kind is Kind.DATE and right.kind is Kind.DATE:
        return right
    if left.kind is not Kind.DATE or not is_value(right) or isinstance(right.value, bool | float):
        raise QueryError(right.pos, "a date compares with a constant", _HINT)
    value = millis_of(right.value) if isinstance(right.value, bytes) else right.value
    if value is None:
        raise QueryError(right.pos, f'"{_text(right)}" is no date', _HINT)
    return Node(right.pos, "value", Kind.DATE, value=value)


def millis_of(text: bytes) -> int | None:
    """Return a date in ISO 8601 as milliseconds since 1970, rounded down; None if it is none. No zone means UTC."""
    found = _FORM.fullmatch(text.decode("utf-8", "replace"))
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        whole = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    millis = (whole - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(9, "0")) // 1_000_000
    return millis - _offset_millis(zone)


def text_of(millis: int) -> bytes:
    """Return a date as `string` writes it: in UTC, seconds and milliseconds only if there are any."""
    try:
        found = _EPOCH + timedelta(milliseconds=millis)
    except OverflowError:
        return str(millis).encode()
    seconds = f":{found.second:02d}" if found.second or found.microsecond else ""
    part = f".{found.microsecond // 1000:03d}" if found.microsecond else ""
    return f"{found:%Y-%m-%dT%H:%M}{seconds}{part}Z".encode()


def _offset_millis(zone: str | None) -> int:
    if not zone or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if zone[0] == "-" else minutes) * 60_000


def _text(node: Node) -> str:
    return node.value.decode() if isinstance(node.value, bytes) else str(node.value)
