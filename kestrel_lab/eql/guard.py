"""Counts what tokens can count, so that a query far beyond the limits is refused before any of it is parsed.

The parser takes twenty times as long for a token as a look at the token does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lark.lexer import TerminalDef

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.limits import MAX_DEPTH, MAX_ITEMS, MAX_STAGES, MAX_TOKENS


class Guard:
    """Reads the tokens of a grammar whose lexer does not depend on the parser.

    Args:
        terminals: of the grammar; `ignored`: the names of those that are not tokens.
    """

    def __init__(self, terminals: Collection[TerminalDef], ignored: Collection[str]) -> None:
        ranked = sorted(terminals, key=_rank)  # as lark's basic lexer tries them
        self._token = re.compile("|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in ranked))
        self._ignored = frozenset(ignored)

    def check(self, text: str) -> None:
        """Look at the tokens of a query, up to the first character that begins none. A condition may nest a few
        parentheses deeper than its tree.

        Raises:
            QueryError: at the first that is too much.
        """
        commas, stages = [0], 0
        for number, (kind, place) in enumerate(self._tokens(text)):
            if kind == "LPAR":
                commas.append(0)
            elif kind == "RPAR" and len(commas) > 1:
                commas.pop()
            elif kind == "COMMA":
                commas[-1] += 1
            elif kind in ("OPEN", "MISSING_OPEN"):
                stages += 1
            if commas[-1] >= MAX_ITEMS:
                raise QueryError(place, f"the list has more than {MAX_ITEMS:,} items", "split the rule")
            if len(commas) > 4 * MAX_DEPTH:
                raise QueryError(place, f"the condition nests deeper than {MAX_DEPTH}", "flatten it, or split the rule")
            if stages > MAX_STAGES + 1:
                raise QueryError(place, f"the sequence has more than {MAX_STAGES:,} items, runs counted")
            if number >= MAX_TOKENS:
                raise QueryError(place, f"the query has more than {MAX_TOKENS:,} tokens", "split the rule")

    def _tokens(self, text: str) -> Iterator[tuple[str | None, int]]:
        place, match = 0, self._token.match
        while found := match(text, place):
            if found.lastgroup not in self._ignored:
                yield found.lastgroup, place
            place = found.end()


def _rank(terminal: TerminalDef) -> tuple[int, int, int, str]:
    return -terminal.priority, -terminal.pattern.max_width, -len(terminal.pattern.value), terminal.name
