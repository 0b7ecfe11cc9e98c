"""One wildcard pattern against one value, exactly: the definition that faster matchers are held to.

`*` is any run of bytes, also none, also `/`; `?` is one UTF-8 character, or one byte that belongs to none.
"""

from __future__ import annotations

import re

STAR, QUESTION = 0x2A, 0x3F

_WELL_FORMED = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)


def has_wildcard(pattern: bytes) -> bool:
    """Return whether the pattern holds a `*` or a `?`."""
    return b"*" in pattern or b"?" in pattern


def character_end(value: bytes, at: int) -> int:
    """Return where the character that begins at `at` ends; a byte that begins no UTF-8 character stands alone."""
    if value[at] < 0x80:
        return at + 1
    found = _WELL_FORMED.match(value, at)
    return found.end() if found else at + 1


def characters(value: bytes) -> list[bytes]:
    """Return the characters of a value, stray bytes each by itself."""
    if value.isascii():
        return [value[i : i + 1] for i in range(len(value))]
    out, at = [], 0
    while at < len(value):
        end = character_end(value, at)
        out.append(value[at:end])
        at = end
    return out


def matches(pattern: bytes, value: bytes) -> bool:
    """Return whether the whole value matches. Case counts: fold both sides first. Time is at most len * len."""
    want, have = characters(pattern), characters(value)
    p = v = mark = 0
    star = -1
    while v < len(have):
        if p < len(want) and want[p] == b"*":
            star, mark, p = p, v, p + 1
        elif p < len(want) and (want[p] == b"?" or want[p] == have[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            mark, p = mark + 1, star + 1
            v = mark
        else:
            return False
    return all(w == b"*" for w in want[p:])
