"""A wildcard pattern made ready for many values: its literal parts, and a check that needs no backtracking."""

from __future__ import annotations

import re
from collections.abc import Callable

from kestrel_lab.eql.leaftests import TextOp
from kestrel_lab.eql.wildcard import characters

Check = Callable[[bytes], bool]

_MOST_BYTES = 4  # of a character


def key_of(pattern: bytes) -> bytes:
    """Return the longest run of the pattern that is free of wildcards: every match contains it."""
    return max(re.split(rb"[*?]+", pattern), key=len)


def checker(pattern: bytes) -> Check:
    """Return a function that says whether a whole value matches; case counts."""
    if b"?" in pattern:
        return _with_characters(pattern)
    first, *inner = pattern.split(b"*")
    if not inner:
        return pattern.__eq__
    last = inner.pop()
    middle = [part for part in inner if part]
    shortest = len(first) + len(last)

    def check(value: bytes) -> bool:
        if len(value) < shortest or not value.startswith(first) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return check


def literal_checker(op: TextOp, literal: bytes) -> Check:
    """Return a function for `equal`, `prefix`, `suffix` or `contains` of a literal; case counts."""
    if op == "equal":
        return literal.__eq__
    if op == "prefix":
        return lambda value: value.startswith(literal)
    if op == "suffix":
        return lambda value: value.endswith(literal)
    return lambda value: literal in value


def _with_characters(pattern: bytes) -> Check:
    """Check a pattern with `?`, which is why it must see characters and not bytes.

    Between two `*` the leftmost place is always as good as any other, so each part is looked for once, in order. A
    part becomes a regular expression without any repetition, so the time is bounded by the product of the lengths.
    """
    parts = characters(pattern).split("*")
    sizes = [len(part) for part in parts]
    fewest = sum(sizes)
    found = [re.compile("".join("." if c == "?" else re.escape(c) for c in part), re.DOTALL) for part in parts]

    def check(value: bytes) -> bool:
        if len(value) < fewest or (len(parts) == 1 and len(value) > _MOST_BYTES * fewest):
            return False
        text = characters(value)
        if len(parts) == 1:
            return found[0].fullmatch(text) is not None
        end = len(text) - sizes[-1]
        if end < sizes[0] or not found[0].match(text) or not found[-1].match(text, end):
            return False
        at = sizes[0]
        for part in found[1:-1]:
            place = part.search(text, at, end)
            if place is None:
                return False
            at = place.end()
        return True

    return check
