"""Lua literals to values, and values to Lua."""

from __future__ import annotations

import re

from kestrel_lab.eql.errors import QueryError

_EXACT = 1 << 53  # whole numbers from here on are boxed: a Lua number does not tell them from their neighbours
_INTEGER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+")
_DECIMAL = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(rb"\\(?:([0-9]{1,3})|x([0-9a-fA-F]{2})|z\s*|(\r\n|[\s\S]))")
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\n": b"\n",
          b"\r\n": b"\n", b"\\": b"\\", b'"': b'"', b"'": b"'"}  # fmt: skip


def number(text: str, pos: int) -> int | float:
    """Return the value of a number, an int where it is whole and exact.

    Raises:
        QueryError: if it is malformed, or beyond 64 bits.
    """
    if _INTEGER.fullmatch(text):
        value = int(text, 16 if text[:2] in ("0x", "0X") else 10) if len(text) <= 40 else 1 << 64
        if value >= 1 << 64:
            raise QueryError(pos, "the number does not fit 64 bits")
        return value
    if _DECIMAL.fullmatch(text):
        found = float(text)
        if found == float("inf"):
            raise QueryError(pos, "the number is too large")
        return found
    do = "suffixes and hexadecimal fractions are not part of Lua for rules"
    raise QueryError(pos, f"`{text[:40]}` is no number", do)


def string(text: str, pos: int) -> bytes:
    """Return the bytes of a quoted string.

    Raises:
        QueryError: for an escape that Lua does not have.
    """
    data = text[1:-1].encode()

    def unescape(found: re.Match[bytes]) -> bytes:
        decimal, code, plain = found.groups()
        if decimal is not None:
            if int(decimal) > 255:
                raise QueryError(pos, f"\\{decimal.decode()} is no byte")
            return bytes([int(decimal)])
        if code is not None:
            return bytes([int(code, 16)])
        if plain is None:
            return b""
        if plain not in _PLAIN:
            raise QueryError(
                pos, f"Lua has no escape \\{plain.decode(errors='replace')}", "a backslash is written \\\\"
            )
        return _PLAIN[plain]

    return _ESCAPE.sub(unescape, data)


def long_string(text: str) -> bytes:
    """Return the bytes of a string in long brackets, without a line break that comes first."""
    size = text.index("[", 1) + 1
    body = text[size:-size].replace("\r\n", "\n")
    return body.removeprefix("\n").encode()


def written(value: bytes | int | float | bool | None) -> str:
    """Return a value as rewritten Lua has it."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f'"{"".join(map(_escaped, value))}"'
    if isinstance(value, float):
        return f"({value.hex()})" if value else ("(-0.0)" if str(value)[0] == "-" else "0")
    if abs(value) < _EXACT:
        return f"({value})" if value < 0 else str(value)
    bits = value & (1 << 64) - 1
    return f"K.int({bits >> 32}, {bits & 0xFFFF_FFFF}, {int(value < 0)})"


def _escaped(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and byte not in (0x22, 0x5C)
    return chr(byte) if plain else f"\\{byte:03d}"
