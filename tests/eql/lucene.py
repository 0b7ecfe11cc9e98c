"""Lucene's regular expressions by the textbook: recursive descent, then the set of places where a match may end.

Slow, and written from Lucene's grammar alone. A place is an index into the value's characters, of which each byte that
belongs to no UTF-8 character is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Ends = Callable[[str, int], frozenset[int]]  #: (value, begin) -> where a match that begins there may end
Member = Callable[[str], bool]


def matches(pattern: str, value: bytes, *, fold: bool = False) -> bool:
    """Return whether the whole value matches; ValueError where Lucene refuses the pattern."""
    text = value.decode("utf-8", "surrogateescape")
    return len(text) in _Parser(pattern, fold).whole()(text, 0)


def one(member: Member) -> Ends:
    return lambda value, at: frozenset({at + 1}) if at < len(value) and member(value[at]) else frozenset()


def sequence(parts: list[Ends]) -> Ends:
    def ends(value: str, at: int) -> frozenset[int]:
        places = frozenset({at})
        for part in parts:
            places = frozenset(e for p in places for e in part(value, p))
        return places

    return ends


def repeat(part: Ends, low: int, high: int | None) -> Ends:
    def ends(value: str, at: int) -> frozenset[int]:
        places, out = frozenset({at}), set[int]()
        for count in range(len(value) + low + 1 if high is None else high + 1):
            if count >= low:
                if high is None and places <= out:
                    break
                out |= places
            places = frozenset(e for p in places for e in part(value, p))
        return frozenset(out)

    return ends


class _Parser:
    def __init__(self, text: str, fold: bool) -> None:
        self.text, self.fold, self.at = text, fold, 0

    def whole(self) -> Ends:
        if not self.text:
            return sequence([])
        out = self.union()
        if self.at < len(self.text):
            raise ValueError("end of string expected")
        return out

    def more(self) -> bool:
        return self.at < len(self.text)

    def peek(self, characters: str) -> bool:
        return self.more() and self.text[self.at] in characters

    def match(self, character: str) -> bool:
        if not self.peek(character):
            return False
        self.at += 1
        return True

    def next(self) -> str:
        if not self.more():
            raise ValueError("unexpected end of string")
        self.at += 1
        return self.text[self.at - 1]

    def union(self) -> Ends:
        parts = [self.concatenation()]
        while self.match("|"):
            parts.append(self.concatenation())
        return lambda value, at: frozenset(e for part in parts for e in part(value, at))

    def concatenation(self) -> Ends:
        parts = [self.repetition()]
        while self.more() and not self.peek(")|&"):
            parts.append(self.repetition())
        if self.peek("&"):
            raise ValueError("intersection")
        return sequence(parts)

    def repetition(self) -> Ends:
        out = self.simple()
        while self.peek("?*+{"):
            operator = self.next()
            low, high = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(operator) or self.counts()
            out = repeat(out, low, high)
        return out

    def counts(self) -> tuple[int, int | None]:
        low = high = self.number()
        if low is None:
            raise ValueError("integer expected")
        if self.match(","):
            high = self.number()
        if not self.match("}") or (high is not None and low > high):
            raise ValueError("bad repetition")
        return low, high

    def number(self) -> int | None:
        digits = ""
        while self.peek("0123456789"):
            digits += self.next()
        return int(digits) if digits else None

    def simple(self) -> Ends:
        if self.match("~"):
            raise ValueError("complement")
        if self.match("["):
            return one(self.members())
        if self.match("."):
            return one(lambda _: True)
        if self.match("#"):
            return lambda value, at: frozenset()
        if self.match("@"):
            return lambda value, at: frozenset(range(at, len(value) + 1))
        if self.match('"'):
            return sequence([one(self.same(c)) for c in self.until('"')])
        if self.match("("):
            if self.match(")"):
                return sequence([])
            out = self.union()
            if not self.match(")"):
                raise ValueError(") expected")
            return out
        if self.match("<"):
            return self.interval(self.until(">"))
        return one(self.predefined() or self.same(self.character()))

    def until(self, end: str) -> str:
        out = ""
        while not self.match(end):
            out += self.next()
        return out

    def interval(self, text: str) -> Ends:
        low, high = text.split("-")
        if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
            raise ValueError("interval")
        bounds = sorted((int(low), int(high)))
        width = len(low) if len(low) == len(high) else 0

        def ends(value: str, at: int) -> frozenset[int]:
            out = set()
            for end in range(at + 1, len(value) + 1):
                part = value[at:end]
                if (
                    part.isascii()
                    and part.isdigit()
                    and bounds[0] <= int(part) <= bounds[1]
                    and width in (0, len(part))
                ):
                    out.add(end)
            return frozenset(out)

        return ends

    def members(self) -> Member:
        negate = self.match("^")
        found = [self.member()]
        while self.more() and not self.peek("]"):
            found.append(self.member())
        if not self.match("]"):
            raise ValueError("] expected")
        return lambda c: any(f(c) for f in found) != negate

    def member(self) -> Member:
        known = self.predefined()
        if known is not None:
            return known
        low = self.character()
        if not self.match("-"):
            return self.same(low)
        high = self.character()
        if low > high:
            raise ValueError("invalid range")
        return lambda c: low <= c <= high and not "\ud800" <= c <= "\udfff"

    def predefined(self) -> Member | None:
        if not self.peek("\\"):
            return None
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "\\":
            self.at += 2
            return self.same("\\")
        if not (letter.isascii() and letter.isalpha()):
            return None
        self.at += 2
        return _class(letter)

    def same(self, wanted: str) -> Member:
        if not self.fold or not wanted.isascii():
            return lambda c: c == wanted
        return lambda c: c.isascii() and c.lower() == wanted.lower()

    def character(self) -> str:
        self.match("\\")
        return self.next()


def _class(letter: str) -> Member:
    words: dict[str, Iterable[str]] = {
        "d": "0123456789",
        "s": " \t\n\r",
        "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    }
    if letter.lower() not in words:
        raise ValueError("invalid character class")
    inside = frozenset(words[letter.lower()])
    return lambda c: (c in inside) == letter.islower()
