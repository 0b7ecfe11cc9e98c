"""Times as events have them, to nanoseconds since 1970."""

from __future__ import annotations

import decimal
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.flat.flatten import Cell, Decimal

#: What a number (or a text of digits) counts: since 1970, and `filetime` 100 ns since 1601.
Unit: TypeAlias = Literal["s", "ms", "us", "ns", "filetime"]
UNITS: tuple[Unit, ...] = get_args(Unit)

_NS: Mapping[Unit, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "filetime": 100}
_FILETIME_ZERO = 11_644_473_600 * 10**9
_DAY = 86_400 * 10**9
_LAST = 2**63 - 1
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?:([Zz])|([+-])(\d\d):?(\d\d)?)?)?",
    re.ASCII,
)


def time_ns(value: Cell, unit: Unit = "ms") -> int:
    """Return a time as nanoseconds since 1970, 0 to 2**63 - 1.

    Args:
        value: an ISO 8601 text (without a zone: UTC), a number, or the text of one.
        unit: what a number counts.

    Raises:
        RejectedError: if it is none, or out of that range.
    """
    if type(value) is str:
        ns = _iso(value)
        if ns is None:
            if not _NUMBER.fullmatch(value):
                raise RejectedError(f"{value[:64]!r} is no time")
            ns = _count(value, unit)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        ns = value * _NS[unit] if type(value) is int else _count(_text(value), unit)
        ns -= _FILETIME_ZERO if type(value) is int and unit == "filetime" else 0
    else:
        raise RejectedError("several values are no time" if isinstance(value, list) else f"{value!r} is no time")
    if not 0 <= ns <= _LAST:
        raise RejectedError(f"{value!r} is a time {'before 1970' if ns < 0 else 'after 2262'}")
    return ns


def _count(text: str, unit: Unit) -> int:
    with decimal.localcontext(prec=60):
        try:
            ns = int((decimal.Decimal(text) * _NS[unit]).to_integral_value(decimal.ROUND_FLOOR))
        except (decimal.InvalidOperation, ValueError, OverflowError):
            raise RejectedError(f"{text[:64]!r} is no time") from None
    return ns - _FILETIME_ZERO if unit == "filetime" else ns


def _text(value: float) -> str:
    return value.text if isinstance(value, Decimal) else repr(value)


def _iso(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    days = _days(day)
    if days is None:
        return None
    ns = days * _DAY
    if hour is None:
        return ns
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    ns += (hours * 3600 + minutes * 60 + seconds) * 10**9
    if fraction:
        ns += int(fraction.ljust(9, "0"))
    if sign:
        shift = (int(zone_hours) * 60 + int(zone_minutes or 0)) * 60 * 10**9
        ns += shift if sign == "-" else -shift
    return ns


@lru_cache(4096)
def _days(text: str) -> int | None:
    try:
        return date.fromisoformat(text).toordinal() - 719_163
    except ValueError:
        return None
