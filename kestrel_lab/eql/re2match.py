"""RE2: whole values against translated regular expressions, in time linear in the value.

RE2 reads UTF-8. A value that is not UTF-8 is rewritten first: each byte that belongs to no character becomes the
surrogate that Python decodes it to, three bytes that RE2 takes for one character like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import re2

Check: TypeAlias = Callable[[bytes], bool]

_RANGE_BYTES = 16  # of the bounds that rule most values out without a look at the rest
_MAX_BYTES = 8 << 20  # of program and of lazily built states; when they run out, RE2 goes on without them, slower


class TooLargeError(Exception):
    """RE2 does not compile an expression within its memory."""


def size(source: bytes) -> int:
    """Return how many instructions one translated expression takes.

    Raises:
        TooLargeError: if it does not compile.
    """
    return int(_compiled(source).programsize)


@lru_cache(maxsize=1024)
def matcher(sources: tuple[bytes, ...]) -> Check:
    """Return a function that says whether a whole value matches any of the translated expressions."""
    found = [_checker(source) for source in _joined(sources)]
    if len(found) == 1:
        return found[0]
    return lambda value: any(check(value) for check in found)


def _checker(source: bytes) -> Check:
    compiled = _compiled(source)
    match = compiled.fullmatch
    try:
        low, high = compiled.possiblematchrange(_RANGE_BYTES)
    except re2.error:  # it may begin with anything
        return lambda value: match(_readable(value)) is not None
    return lambda value: low <= (text := _readable(value)) <= high and match(text) is not None


def _joined(sources: Sequence[bytes]) -> list[bytes]:
    """Join expressions into few that RE2 takes well."""
    out: list[list[bytes]] = [[]]
    total = 0
    for source in sources:
        total += len(source)
        if total > _MAX_JOINED and out[-1]:
            out.append([])
            total = len(source)
        out[-1].append(source)
    return [b"|".join(part) for part in out]


_MAX_JOINED = 16_384


def _readable(value: bytes) -> bytes:
    if value.isascii():
        return value
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "surrogateescape").encode("utf-8", "surrogatepass")
    return value


def _compiled(source: bytes) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        return re2.compile(source, options)
    except re2.error as error:
        raise TooLargeError(str(error)) from error
