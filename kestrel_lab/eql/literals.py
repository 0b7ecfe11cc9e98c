"""The value of a literal or a name token: escapes, raw strings, 64-bit numbers, backticks."""

from __future__ import annotations

import math
import re

from kestrel_lab.eql.errors import QueryError

INT_MIN, INT_MAX = -(1 << 63), (1 << 64) - 1

_ESCAPE = re.compile(r"\\(u\{[^}]*\}?|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\\": "\\", '"': '"', "'": "'"}
_KNOWN = 'escapes are \\n \\r \\t \\b \\f \\\\ \\" \\\' and \\u{2 to 8 hex digits}; for regex and paths use """raw"""'


def unquote(token: str, pos: int) -> str:
    """Return the value of a quoted string token that begins at `pos`.

    Raises:
        QueryError: for an escape that the language does not have.
    """

    def replace(match: re.Match[str]) -> str:
        return _escape(match[1], pos + match.start())

    return _ESCAPE.sub(replace, token)[1:-1] if "\\" in token else str(token[1:-1])


def unquote_raw(token: str) -> str:
    """Return the value of a raw string token, without its three quotes on either side."""
    return token[3:-3]


def integer(token: str, pos: int, sign: int = 1) -> int:
    """Return the value of an integer token.

    Raises:
        QueryError: if it fits neither a signed nor an unsigned 64-bit integer.
    """
    value = sign * int(token) if len(token) <= 40 else INT_MAX + 1
    if not INT_MIN <= value <= INT_MAX:
        raise QueryError(pos, "the number does not fit 64 bits", f"the range is {INT_MIN} to {INT_MAX}")
    return value


def decimal(token: str, pos: int) -> float:
    """Return the value of a decimal token.

    Raises:
        QueryError: if it is too large for a double.
    """
    value = float(token)
    if math.isinf(value):
        raise QueryError(pos, "the number is too large for a double")
    return value


def name_of(token: str, pos: int) -> str:
    """Return a field's name without its backticks.

    Raises:
        QueryError: for an element of an array.
    """
    if token.endswith("]"):
        at = token.rindex("[")
        raise QueryError(pos + at, "an element of an array cannot be picked by its number", "leave the index out: a "
                    "comparison is true if any element satisfies it")  # fmt: skip
    if "`" not in token:
        return str(token)
    parts = re.findall(r"`(?:[^`]|``)+`|[^.`]+", token)
    return ".".join(p[1:-1].replace("``", "`") if p.startswith("`") else p for p in parts)


def _escape(body: str, pos: int) -> str:
    if body in _SIMPLE:
        return _SIMPLE[body]
    digits = body[2:-1]
    if not (body.startswith("u{") and body.endswith("}") and re.fullmatch("[0-9a-fA-F]{2,8}", digits)):
        raise QueryError(pos, f"unknown escape \\{body[:12]}", _KNOWN)
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise QueryError(pos, f"\\{body} is no Unicode character")
    return chr(code)
