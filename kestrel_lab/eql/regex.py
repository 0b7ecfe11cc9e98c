"""Lucene's regular expressions, as Elasticsearch's `regex` has them, translated to RE2's.

Every optional operator is on there: `#` (nothing), `@` (any string), `<1-100>` (a number), `"literal"`, `&` and `~`.
The last two have no counterpart and are refused. There are no anchors, no lazy repetition and no back references.
What is no operator where it stands is a character, as in Lucene: `a||b` is `a` or the text `|b`.

With `fold`, single characters match in both ASCII cases, inside brackets as well; ranges such as `[a-z]` do not: so it
is in Elasticsearch, and its documentation says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kestrel_lab.eql import charset
from kestrel_lab.eql.interval import interval
from kestrel_lab.eql.limits import MAX_DEPTH, MAX_REGEX_CHARACTERS, MAX_REGEX_REPEATS, MAX_REGEX_SIZE

_ANY = charset.written(charset.ANY)
_INT_MAX = (1 << 31) - 1


class RegexError(Exception):
    """Something wrong at an offset of a pattern, in characters."""

    def __init__(self, offset: int, what: str, do: str = "") -> None:
        super().__init__(what)
        self.offset, self.what, self.do = offset, what, do


@dataclass(frozen=True, slots=True)
class _Piece:
    """RE2 text that can be repeated as it is; its size in instructions, times it repeats a part, and nesting."""

    text: str
    size: int
    repeats: int = 1
    depth: int = 0


@dataclass(slots=True)
class _Group:
    """An open parenthesis at `pos`: alternatives that are complete, and the pieces of the current one."""

    pos: int
    done: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    size: int = 1
    repeats: int = 1
    depth: int = 0
    empty: bool = True  # the current alternative has no expression yet: whatever comes begins one

    def add(self, piece: _Piece) -> None:
        self.pieces.append(piece.text)
        self.size += piece.size
        self.repeats = max(self.repeats, piece.repeats)
        self.depth = max(self.depth, piece.depth)
        self.empty = False

    def alternative(self) -> None:
        self.done.append("".join(self.pieces))
        self.pieces, self.size, self.empty = [], self.size + 1, True

    def close(self) -> _Piece:
        self.alternative()
        return _Piece(f"(?:{'|'.join(self.done)})", self.size, self.repeats, self.depth + 1)


def translate(pattern: str, *, fold: bool) -> bytes:
    """Return the RE2 source that matches what the pattern matches, for `re2match`.

    Raises:
        RegexError: for what Lucene refuses, what RE2 cannot express, and what is too large.
    """
    if len(pattern) > MAX_REGEX_CHARACTERS:
        what = f"the regular expression is longer than {MAX_REGEX_CHARACTERS:,} characters"
        raise RegexError(0, what, "split it into several patterns")
    return _Translation(pattern, fold).run().encode("ascii")


class _Translation:
    def __init__(self, pattern: str, fold: bool) -> None:
        self._text, self._fold, self._at = pattern, fold, 0

    def run(self) -> str:
        """Return the whole pattern's translation. Groups are a stack: depth costs no recursion."""
        stack = [_Group(0)]
        while self._at < len(self._text):
            pos, group = self._at, stack[-1]
            if group.empty:
                self._expression(stack)
            elif self._take("|"):
                group.alternative()
            elif self._text[pos] == ")":
                self._close(stack)
            elif self._take("&"):
                do = "write two conditions joined by `and`, or \\& for the character"
                raise RegexError(pos, "`&` (intersection) is not supported in a regular expression", do)
            else:
                self._expression(stack)
            if stack[-1].size > MAX_REGEX_SIZE:
                raise RegexError(pos, "the regular expression is too large", "repeat less, or split it")
        if stack[-1].empty and self._text:
            raise RegexError(
                self._at, "the regular expression ends where something is expected", "write () for nothing"
            )
        if len(stack) > 1:
            raise RegexError(
                stack[-1].pos, "the parenthesis is never closed", "close it, or write \\( for the character"
            )
        return stack[0].close().text

    def _close(self, stack: list[_Group]) -> None:
        if len(stack) == 1:
            raise RegexError(self._at, "`)` closes nothing", "write \\) for the character")
        self._at += 1
        group = stack.pop()
        stack[-1].add(self._repeated(group.close(), group.pos))

    def _expression(self, stack: list[_Group]) -> None:
        """Read one expression with its repetitions, or open a group."""
        pos = self._at
        if self._take("("):
            if self._take(")"):
                stack[-1].add(self._repeated(_Piece("(?:)", 1), pos))
                return
            if len(stack) > MAX_DEPTH:
                raise RegexError(pos, f"the regular expression nests deeper than {MAX_DEPTH}")
            stack.append(_Group(pos))
            return
        stack[-1].add(self._repeated(self._simple(), pos))

    def _simple(self) -> _Piece:
        pos, character = self._at, self._next()
        if character == ".":
            return _Piece(_ANY, charset.size(charset.ANY))
        if character == "[":
            return self._set(self._class(pos))
        if character == "\\":
            found = self._predefined()
            return self._set(charset.single(self._next(), fold=self._fold) if found is None else found)
        if character == "@":
            return _Piece(f"(?:{_ANY}*)", charset.size(charset.ANY) + 1)
        if character == "#":
            return self._set(())
        if character == '"':
            return self._literal(self._until('"', pos))
        if character == "<":
            return self._interval(self._until(">", pos), pos)
        if character == "~":
            do = "write `not` before the condition, or \\~ for the character"
            raise RegexError(pos, "`~` (complement) is not supported in a regular expression", do)
        return self._set(charset.single(character, fold=self._fold))

    def _set(self, ranges: charset.Ranges) -> _Piece:
        return _Piece(charset.written(ranges), charset.size(ranges))

    def _literal(self, text: str) -> _Piece:
        pieces = [self._set(charset.single(c, fold=self._fold)) for c in text]
        return _Piece(f"(?:{''.join(p.text for p in pieces)})", sum(p.size for p in pieces) + 1)

    def _interval(self, text: str, pos: int) -> _Piece:
        low, dash, high = text.partition("-")
        if not dash:
            raise RegexError(pos, f"there is no automaton <{text[:40]}>", "write \\< for the character")
        if (
            not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit())
            or max(int(n) if len(n) <= 40 else _INT_MAX + 1 for n in (low, high)) > _INT_MAX
        ):
            raise RegexError(
                pos, f"<{text[:40]}> is no interval of numbers", "write it as <1-100>, or \\< for the character"
            )
        found = interval(int(low), int(high), len(low) if len(low) == len(high) else 0)
        return _Piece(f"(?:{found})", len(found))

    def _class(self, pos: int) -> charset.Ranges:
        negated = self._take("^")
        parts = [self._member()]
        while self._at < len(self._text) and self._text[self._at] != "]":
            parts.append(self._member())
        if not self._take("]"):
            raise RegexError(pos, "the bracket is never closed", "close it, or write \\[ for the character")
        return charset.complement(charset.union(parts)) if negated else charset.union(parts)

    def _member(self) -> charset.Ranges:
        """Read one member of a class: a character, a range or a predefined class."""
        pos = self._at
        if self._take("\\"):
            found = self._predefined()
            if found is not None:
                return found
            if self._take("\\"):
                return charset.single("\\", fold=False)
        low = self._next()
        if not self._take("-"):
            return charset.single(low, fold=self._fold)
        self._take("\\")
        high = self._next()
        if low > high:
            do = "put the dash first, or write \\- for the character"
            raise RegexError(pos, f"the range {low}-{high} is empty", do)
        return charset.span(ord(low), ord(high))

    def _predefined(self) -> charset.Ranges | None:
        """Read what follows a backslash if it is a letter."""
        letter = self._text[self._at : self._at + 1]
        if not (letter.isascii() and letter.isalpha()):
            return None
        found = charset.CLASSES.get(letter)
        if found is None:
            do = "there are \\d \\D \\s \\S \\w \\W; everything else stands for itself without a backslash"
            raise RegexError(self._at - 1, f"unknown class \\{letter}", do)
        self._at += 1
        return found

    def _repeated(self, piece: _Piece, pos: int) -> _Piece:
        """Read the repetitions that follow an expression; each applies to all before it."""
        while self._at < len(self._text) and self._text[self._at] in "?*+{":
            at, operator = self._at, self._next()
            if operator == "{":
                piece = self._counted(piece, at)
            else:
                piece = _Piece(f"(?:{piece.text}{operator})", piece.size + 1, piece.repeats, piece.depth + 1)
            if piece.depth > MAX_DEPTH:
                raise RegexError(pos, f"the regular expression nests deeper than {MAX_DEPTH}")
        return piece

    def _counted(self, piece: _Piece, at: int) -> _Piece:
        least = most = self._digits()
        if not least:
            raise RegexError(at, "a number is expected after `{`", "write it as {2} or {2,5}, or \\{ for the character")
        open_ended = False
        if self._take(","):
            most = self._digits()
            open_ended = not most
        if not self._take("}"):
            raise RegexError(at, "the brace is never closed", "write it as {2} or {2,5}, or \\{ for the character")
        low, high = _number(least), _number(most or least)
        if low > high:
            raise RegexError(at, f"{{{least},{most}}} repeats at least more often than at most", "swap the numbers")
        repeats = piece.repeats * max(high, 1)
        if repeats > MAX_REGEX_REPEATS:
            do = "repetitions within repetitions multiply; `*` and `+` are free"
            raise RegexError(at, f"more than {MAX_REGEX_REPEATS:,} repetitions", do)
        size = piece.size * max(high + open_ended, 1) + 1
        suffix = f"{{{low},}}" if open_ended else f"{{{low}}}" if low == high else f"{{{low},{high}}}"
        return _Piece(f"(?:{piece.text}{suffix})", size, repeats, piece.depth + 1)

    def _digits(self) -> str:
        begin = self._at
        while self._text[self._at : self._at + 1] in tuple("0123456789"):
            self._at += 1
        return self._text[begin : self._at]

    def _until(self, end: str, pos: int) -> str:
        close = self._text.find(end, self._at)
        if close < 0:
            raise RegexError(
                pos, f"`{self._text[pos]}` is never closed", f"write \\{self._text[pos]} for the character"
            )
        out, self._at = self._text[self._at : close], close + 1
        return out

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise RegexError(self._at, "the regular expression ends where a character is expected")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, character: str) -> bool:
        if self._text[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= 9 else _INT_MAX
