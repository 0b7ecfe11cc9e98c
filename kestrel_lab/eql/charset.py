"""Sets of characters of a regular expression, written for RE2.

A set is sorted ranges of code points. The surrogates stand for bytes that belong to no UTF-8 character: a range that
a pattern names never holds them, a complement does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
ANY: Ranges = ((0, _LAST),)

_DIGITS = ((0x30, 0x39),)
_SPACE = ((9, 10), (13, 13), (32, 32))
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))


def union(parts: Iterable[Ranges]) -> Ranges:
    """Return the set of everything in any of the parts."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(r for part in parts for r in part):
        if out and low <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(high, out[-1][1])
        else:
            out.append((low, high))
    return tuple(out)


def complement(ranges: Ranges) -> Ranges:
    """Return the set of everything else."""
    out, at = [], 0
    for low, high in ranges:
        if low > at:
            out.append((at, low - 1))
        at = high + 1
    return (*out, (at, _LAST)) if at <= _LAST else tuple(out)


def span(low: int, high: int) -> Ranges:
    """Return the characters from `low` to `high`, both included."""
    first, last = _SURROGATES
    return tuple((a, b) for a, b in ((low, min(high, first - 1)), (max(low, last + 1), high)) if a <= b)


def single(character: str, *, fold: bool) -> Ranges:
    """Return one character; with `fold` in both ASCII cases."""
    words = {character.lower(), character.upper()} if fold and character.isascii() else {character}
    return union(((ord(c), ord(c)),) for c in words)


CLASSES: dict[str, Ranges] = {"d": _DIGITS, "s": _SPACE, "w": _WORD}
CLASSES |= {name.upper(): complement(ranges) for name, ranges in tuple(CLASSES.items())}


#: RE2 makes a letter without regard to case of a class of its two cases, and joined with another by | that means the
#: Kelvin sign or the long s as well. A third member, which no value holds, keeps the class one.
_FOLDED = {((ord(letter), ord(letter)), (ord(letter.lower()), ord(letter.lower()))) for letter in "KS"}
_NEVER = 0xD800


def written(ranges: Ranges) -> str:
    """Return RE2 text for one character of the set."""
    if not ranges:
        return f"[^\\x00-\\x{{{_LAST:x}}}]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _character(ranges[0][0])
    if tuple(ranges) in _FOLDED:
        return f"[{chr(ranges[0][0])}{chr(ranges[1][0])}\\x{{{_NEVER:x}}}]"
    return "[" + "".join(_character(a) if a == b else f"{_character(a)}-{_character(b)}" for a, b in ranges) + "]"


def size(ranges: Ranges) -> int:
    """Return about how many instructions of RE2 one character of the set takes."""
    return sum(1 if high < 0x80 else 6 for _, high in ranges) or 1


def _character(code: int) -> str:
    character = chr(code)
    if character.isascii() and (character.isalnum() or character == "_"):
        return character
    return f"\\{character}" if 0x20 < code < 0x7F else f"\\x{{{code:x}}}"
