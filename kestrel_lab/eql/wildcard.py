"""One wildcard pattern against one value, exactly: the definition that faster matchers are held to.

`*` is any run of characters, also none, also `/`; `?` is one UTF-8 character, or one byte that belongs to none.
"""

from __future__ import annotations


def has_wildcard(pattern: bytes) -> bool:
    """Return whether the pattern holds a `*` or a `?`."""
    return b"*" in pattern or b"?" in pattern


def characters(value: bytes) -> str:
    """Return the value as text in which every byte that belongs to no UTF-8 character is a character by itself."""
    return value.decode("utf-8", "surrogateescape")


def matches(pattern: bytes, value: bytes) -> bool:
    """Return whether the whole value matches. Case counts: fold both sides first. Time is at most len * len."""
    want, have = characters(pattern), characters(value)
    p = v = mark = 0
    star = -1
    while v < len(have):
        if p < len(want) and want[p] == "*":
            star, mark, p = p, v, p + 1
        elif p < len(want) and want[p] in ("?", have[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            mark, p = mark + 1, star + 1
            v = mark
        else:
            return False
    return not want[p:].strip("*")
