"""The functions and numbers of EQL by definition: slow, obvious, and independent of the product's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1


class Unsigned(int):
    """A value of an unsigned field, or what was computed with one."""


class Instant(int):
    """A date, ms since 1970."""


def characters(text: bytes) -> list[bytes]:
    """Return the characters, one after the other; a byte that belongs to none is one."""
    return [c.encode("utf-8", "surrogateescape") for c in text.decode("utf-8", "surrogateescape")]


def find(text: bytes, part: bytes, begin: int) -> int:
    """Return the first byte from `begin` on where `part` stands, or -1."""
    places = [at for at in range(begin, len(text) - len(part) + 1) if text[at : at + len(part)] == part]
    return places[0] if places else -1


def fold(text: bytes) -> bytes:
    """Return the text with A to Z in lower case."""
    return bytes(c + 32 if 65 <= c <= 90 else c for c in text)


def length(text: bytes) -> int:
    return len(characters(text))


def index_of(text: bytes, part: bytes, start: Any = None) -> int | None:
    if isinstance(start, float):
        return None
    chars = characters(text)
    first = min(max(0, start or 0), len(chars)) if part == b"" else max(0, start or 0)
    if part == b"":
        return first
    at = find(text, part, len(b"".join(chars[: min(first, len(chars))])))
    return None if at < 0 else len(characters(text[:at]))


def between(text: bytes, left: bytes, right: bytes, greedy: Any = None, folded: bool = False) -> bytes:
    if b"" in (text, left, right):
        return text
    have = fold(text) if folded else text
    left, right = (fold(left), fold(right)) if folded else (left, right)
    begin = find(have, left, 0)
    if begin < 0:
        return b""
    begin += len(left)
    ends = [at for at in range(len(have)) if have[at : at + len(right)] == right]
    ends = [max(ends)] if greedy and ends else [at for at in ends if at >= begin]
    return text[begin : ends[0]] if ends and ends[0] >= begin else b""


def substring(text: bytes, start: Any, end: Any = None) -> bytes | None:
    if isinstance(start, float) or isinstance(end, float):
        return None
    chars = characters(text)
    end = len(chars) if end is None else end
    start = max(0, start + len(chars)) if start < 0 else start
    end = max(0, end + len(chars)) if end < 0 else end
    return b"".join(c for n, c in enumerate(chars) if start <= n < end)


def string(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return str(value).lower().encode()
    if isinstance(value, Instant):
        return instant_text(value).encode()
    return (double_text(value) if isinstance(value, float) else str(int(value))).encode()


def instant_text(value: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    text = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}"
    text = text.removesuffix(".000")
    return text.removesuffix(":00") + "Z"


def instant(text: bytes) -> Instant:
    found = datetime.fromisoformat(text.decode())
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return Instant((found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def double_text(value: float) -> str:
    """Return what Java's Double.toString writes."""
    if not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    sign, digits, _ = Decimal(repr(value)).as_tuple()
    plain = "".join(map(str, digits)).lstrip("0")
    minus = "-" if sign else ""
    if not plain:
        return f"{minus}0.0"
    size = abs(Decimal(repr(value)))
    if Decimal("0.001") <= size < Decimal(10) ** 7:
        text = f"{size:f}"
        whole, _, part = text.partition(".")
        return f"{minus}{whole}.{part.rstrip('0') or '0'}"
    plain = plain.rstrip("0")
    return f"{minus}{plain[0]}.{plain[1:] or '0'}E{size.adjusted()}"


def number(text: bytes, base: Any = None) -> int | float | None:
    written = text.decode("utf-8", "surrogateescape")
    if isinstance(base, float):
        return None
    radix = base if base is not None else 16 if written[:2] == "0x" else 10
    if radix < 2 or radix > 36:
        return None
    digits = written[2:] if radix == 16 and written[:2] == "0x" else written
    found = whole(digits, radix)
    return double(written) if found is None and radix == 10 else found


def whole(text: str, radix: int) -> int | None:
    body = text[1:] if text[:1] in ("+", "-") else text
    values = ["0123456789abcdefghijklmnopqrstuvwxyz".find(c) for c in body.lower()] if body.isascii() else []
    if not values or any(v < 0 or v >= radix for v in values):
        return None
    out = 0
    for v in values:
        out = out * radix + v
    out = -out if text[0] == "-" else out
    return out if INT_MIN <= out <= INT_MAX else None


def double(text: str) -> float | None:
    text = text.strip("".join(chr(c) for c in range(33)))
    if re.fullmatch(r"[+-]?(NaN|Infinity)", text):
        return float(text.replace("Infinity", "inf"))
    if not re.fullmatch(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?[dDfF]?", text):
        return None
    return float(text[:-1] if text[-1] in "dDfF" else text)


def calculate(op: str, left: Any, right: Any) -> Any:
    """Return `left op right`; null where 64 bits do not hold it, or where integers are divided by zero."""
    if isinstance(left, float) or isinstance(right, float):
        return DOUBLES[op](float(left), float(right))
    if op in "/%" and right == 0:
        return None
    quotient = int(Fraction(left, right)) if op in "/%" else 0
    exact = {"+": left + right, "-": left - right, "*": left * right, "/": quotient}.get(op, left - right * quotient)
    return bounded(int(exact), isinstance(left, Unsigned) or isinstance(right, Unsigned))


def minus(value: Any) -> Any:
    return -value if isinstance(value, float) else bounded(-int(value), isinstance(value, Unsigned))


def bounded(value: int, unsigned: bool) -> int | None:
    if unsigned:
        return Unsigned(value) if 0 <= value <= UINT_MAX else None
    return value if INT_MIN <= value <= INT_MAX else None


def over(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if math.isnan(left) or left == 0:
        return math.nan
    return math.inf if (math.copysign(1, left) > 0) == (math.copysign(1, right) > 0) else -math.inf


DOUBLES: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": over,
    "%": lambda a, b: math.nan if b == 0 or math.isinf(a) else math.fmod(a, b),
}
