"""Numbers and times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def count(number: int) -> str:
    """Return an integer with thin groups of thousands: 1,234,567."""
    return f"{number:,}"


def size(number: float) -> str:
    """Return a number of bytes in the unit that fits: 1.5 MiB."""
    step = 0
    while abs(number) >= 1024 and step < len(_SIZES) - 1:
        number, step = number / 1024, step + 1
    return f"{number:.1f} {_SIZES[step]}" if step else f"{number:.0f} B"


def parse_size(text: str) -> int | None:
    """Return the bytes that a text like 500M, 2G or 1.5GiB says, in powers of 1,024; None if it says none."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([KMGT]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if match is None:
        return None
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def rate(number: int, seconds: float) -> str:
    """Return a number per second: 1,234; a dash for no time at all."""
    return f"{number / seconds:,.0f}" if seconds > 0 else "-"


def wall(ns: int) -> str:
    """Return a wall time in ns as ISO 8601 in UTC, to the ns: 2026-01-02T03:04:05.000000006Z."""
    whole, part = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part:09d}Z"


def clock(ns: int) -> str:
    """Return a wall time in ns as a time of day in UTC, to the ms: 03:04:05.000."""
    whole, part = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%H:%M:%S}.{part // 1_000_000:03d}"


def duration(ns: int) -> str:
    """Return a length of time in ns, exactly, in seconds: 0.02 s, 1 s, 300.000000001 s."""
    whole, part = divmod(ns, 1_000_000_000)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".") + " s"
