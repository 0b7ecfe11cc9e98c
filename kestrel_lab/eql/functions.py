"""The functions of the language on values: null in, null out, except where a parameter is optional.

Strings are bytes. Positions and lengths count characters (code points, and each byte that belongs to none), as `?` of
a wildcard does. Case folding is ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kestrel_lab.eql.javatext import of_double, to_number
from kestrel_lab.eql.typed import Scalar
from kestrel_lab.eql.wildcard import characters

_FAR = 1 << 62


def length(text: bytes) -> int:
    """Return the number of characters."""
    return len(characters(text))


def string(value: Scalar) -> bytes:
    """Return a value as text: numbers as Java writes them."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return of_double(value).encode() if isinstance(value, float) else str(value).encode()


def concat(*values: Scalar) -> bytes:
    """Return the values as text, one after the other."""
    return b"".join(map(string, values))


def number(text: bytes, base: int | float | None = None) -> int | float | None:
    """Return the number that a text is, None if it is none; see `javatext.to_number`."""
    if base is not None and not isinstance(base, int):
        return None
    return to_number(characters(text), base)


def starts_with(text: bytes, part: bytes, *, fold: bool) -> bool:
    """Return whether `text` begins with `part`."""
    return text.lower().startswith(part.lower()) if fold else text.startswith(part)


def ends_with(text: bytes, part: bytes, *, fold: bool) -> bool:
    """Return whether `text` ends with `part`."""
    return text.lower().endswith(part.lower()) if fold else text.endswith(part)


def string_contains(text: bytes, part: bytes, *, fold: bool) -> bool:
    """Return whether `part` is in `text`; the empty string is in none."""
    return part != b"" and (part.lower() in text.lower() if fold else part in text)


def index_of(text: bytes, part: bytes, start: int | float | None = None, *, fold: bool) -> int | None:
    """Return the position of the first `part` from `start` on; None if there is none."""
    if isinstance(start, float):
        return None
    if fold:
        text, part = text.lower(), part.lower()
    wanted = max(start or 0, 0)
    if not part:
        return min(wanted, length(text))
    found = text.find(part, _offset(text, wanted))
    return None if found < 0 else length(text[:found])


def between(text: bytes, left: bytes, right: bytes, greedy: bool | None = None, *, fold: bool) -> bytes:
    """Return what stands between the first `left` and the next `right`, or the last one if `greedy`.

    It is empty if one of them is not there, and the whole text if one of them is empty.
    """
    if not (text and left and right):
        return text
    have, left, right = (text.lower(), left.lower(), right.lower()) if fold else (text, left, right)
    begin = have.find(left)
    if begin < 0:
        return b""
    begin += len(left)
    end = have.rfind(right) if greedy else have.find(right, begin)
    return text[begin:end] if end >= begin else b""


def substring(text: bytes, start: int | float, end: int | float | None = None) -> bytes | None:
    """Return the characters from `start` up to `end`; negative positions count from the end."""
    if isinstance(start, float) or isinstance(end, float):
        return None
    found = characters(text)[_clamped(start) : None if end is None else _clamped(end)]
    return found.encode("utf-8", "surrogateescape")


#: By name: what is called with the values of the arguments, and `fold=` where case can be ignored.
IMPLEMENTED: Mapping[str, Callable[..., Any]] = {
    "between": between,
    "concat": concat,
    "endsWith": ends_with,
    "indexOf": index_of,
    "length": length,
    "number": number,
    "startsWith": starts_with,
    "string": string,
    "stringContains": string_contains,
    "substring": substring,
}


def _offset(text: bytes, count: int) -> int:
    """Return the byte at which the character of a position begins."""
    return len(characters(text)[: _clamped(count)].encode("utf-8", "surrogateescape"))


def _clamped(position: int) -> int:
    return max(-_FAR, min(position, _FAR))
