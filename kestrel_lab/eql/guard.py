"""Counts what tokens can count, so that a query far beyond the limits is refused before all of it is parsed."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token
from lark.lark import PostLex

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.limits import MAX_DEPTH, MAX_ITEMS, MAX_STAGES, MAX_TOKENS


class Guard(PostLex):
    """Stands between lexer and parser. A condition may nest a few parentheses deeper than its tree."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Yield the tokens.

        Raises:
            QueryError: at the first that is too much.
        """
        commas, stages = [0], 0
        for number, token in enumerate(stream):
            if token.type == "LPAR":
                commas.append(0)
            elif token.type == "RPAR" and len(commas) > 1:
                commas.pop()
            elif token.type == "COMMA":
                commas[-1] += 1
            elif token.type in ("OPEN", "MISSING_OPEN"):
                stages += 1
            if commas[-1] >= MAX_ITEMS:
                raise QueryError(_at(token), f"the list has more than {MAX_ITEMS:,} items", "split the rule")
            if len(commas) > 4 * MAX_DEPTH:
                raise QueryError(
                    _at(token), f"the condition nests deeper than {MAX_DEPTH}", "flatten it, or split the rule"
                )
            if stages > MAX_STAGES + 1:
                raise QueryError(_at(token), f"the sequence has more than {MAX_STAGES:,} items, runs counted")
            if number >= MAX_TOKENS:
                raise QueryError(_at(token), f"the query has more than {MAX_TOKENS:,} tokens", "split the rule")
            yield token


def _at(token: Token) -> int:
    return token.start_pos or 0
