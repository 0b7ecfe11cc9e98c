"""Text to syntax tree. Limits are refused here, before anything else looks at the query."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, UnexpectedCharacters, UnexpectedToken

from kestrel_lab.eql import ast
from kestrel_lab.eql.build import Builder
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.guard import Guard
from kestrel_lab.eql.limits import MAX_BYTES
from kestrel_lab.eql.syntax import explain_character, explain_token


def parse(text: str) -> ast.Query:
    """Return the syntax tree of a query.

    Raises:
        QueryError: if it is too large or nests too deep, is no EQL, or uses what is not supported.
    """
    _check_text(text)
    _guard().check(text)
    try:
        found: Any = _grammar().parse(text)
    except UnexpectedCharacters as error:
        raise explain_character(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        raise explain_token(text, error.token, error.accepts or error.expected) from None
    if not isinstance(found, ast.Query):
        raise TypeError(f"the grammar made a {type(found).__name__}")
    return found


def _check_text(text: str) -> None:
    try:
        size = len(text) if len(text) > MAX_BYTES else len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryError(error.start, "half a surrogate pair is no character") from None
    if size > MAX_BYTES:
        raise QueryError(0, f"the query is larger than {MAX_BYTES:,} bytes", "split it into several rules")


@cache
def _grammar() -> Lark:
    text = files("kestrel_lab.eql").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", lexer="basic", transformer=Builder(), maybe_placeholders=True)


@cache
def _guard() -> Guard:
    return Guard(_grammar().terminals, _grammar().ignore_tokens)
