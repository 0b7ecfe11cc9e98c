"""Numbers as text and back, as Java writes and reads them: what `string` and `number` of the language do."""

from __future__ import annotations

import math
import re

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_INTEGER = re.compile(r"[+-]?[0-9a-zA-Z]+")
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?")
_NAMED = {"NaN": math.nan, "Infinity": math.inf}
_SPACE = "".join(map(chr, range(33)))  # what Java trims


def of_double(value: float) -> str:
    """Return what Java's `Double.toString` writes: at least one digit after the point, an exponent from 1E7 on and
    below 1E-3."""
    if math.isnan(value):
        return "NaN"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if math.isinf(value):
        return f"{sign}Infinity"
    if value == 0:
        return f"{sign}0.0"
    digits, exponent = _shortest(abs(value))
    if -3 <= exponent < 7:
        whole = digits[: exponent + 1].ljust(exponent + 1, "0") if exponent >= 0 else "0"
        part = digits[exponent + 1 :] if exponent >= 0 else "0" * (-exponent - 1) + digits
        return f"{sign}{whole}.{part or '0'}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def to_number(text: str, base: int | None) -> int | float | None:
    """Return the number that a text is, an integer of 64 bits before a double; None if it is none.

    Args:
        base: 2 to 36; None for 16 after `0x`, else 10. Only base 10 reads doubles.
    """
    hexadecimal = text.startswith("0x")
    base = (16 if hexadecimal else 10) if base is None else base
    if not 2 <= base <= 36:
        return None
    whole = _integer(text[2:] if hexadecimal and base == 16 else text, base)
    return _double(text) if whole is None and base == 10 else whole


def _shortest(value: float) -> tuple[str, int]:
    """Return the significant digits of a double, as few as identify it, and the exponent of the first."""
    mantissa, _, exponent = f"{value!r}e0".partition("e")
    power = int(exponent.partition("e")[0])
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    first = len(whole) - 1 if whole.strip("0") else -1 - (len(part) - len(part.lstrip("0")))
    return digits.rstrip("0"), first + power


def _integer(text: str, base: int) -> int | None:
    if not _INTEGER.fullmatch(text) or len(text) > 80:
        return None
    try:
        value = int(text, base)
    except ValueError:
        return None
    return value if _INT_MIN <= value <= _INT_MAX else None


def _double(text: str) -> float | None:
    text = text.strip(_SPACE)
    sign = -1.0 if text.startswith("-") else 1.0
    named = _NAMED.get(text.lstrip("+-") if text[:1] in "+-" and text[1:2] not in "+-" else text)
    if named is not None:
        return sign * named
    if not _DOUBLE.fullmatch(text):
        return None
    return float(text.rstrip("fFdD"))
