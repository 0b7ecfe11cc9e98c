"""Text to syntax tree. Limits are refused here, before anything else looks at the rule."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.lua import ast
from kestrel_lab.eql.lua.build import Builder
from kestrel_lab.eql.lua.limits import MAX_BYTES

_OPEN = {'"': "the string is not closed", "'": "the string is not closed", "[": "the long bracket is not closed",
         "-": "the comment is not closed"}  # fmt: skip


def parse(text: str) -> ast.Block:
    """Return the syntax tree of a rule's code.

    Raises:
        QueryError: if it is too large or nests too deep, is no Lua, or uses what rules do not have.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise QueryError(0, f"the rule is larger than {MAX_BYTES:,} bytes", "split it into several rules")
    try:
        found: Any = _grammar().parse(text)
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        what = _OPEN.get(text[at], f"{text[at]!r} cannot stand here")
        raise QueryError(at, what, "strings end on their line" if text[at] in "\"'" else "") from None
    except UnexpectedToken as error:
        raise _unexpected(text, error.token) from None
    if not isinstance(found, ast.Block):
        raise TypeError(f"the grammar made a {type(found).__name__}")
    return found


def _unexpected(text: str, token: Token) -> QueryError:
    if token.type == "$END":
        return QueryError(len(text.rstrip()), "the code ends in the middle of something", "is an `end` missing?")
    do = {"EQUAL": "two values are compared with ==", "NAME": "is an operator or a comma missing?"}.get(token.type, "")
    return QueryError(token.start_pos or 0, f"`{str(token)[:40]}` cannot stand here", do)


@cache
def _grammar() -> Lark:
    text = files("kestrel_lab.eql.lua").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", lexer="basic", transformer=Builder(), maybe_placeholders=True)
