"""The whole way from text to program."""

from __future__ import annotations

from kestrel_lab.eql.errors import QueryError, Source
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.ir import Program
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.query import check_query
from kestrel_lab.schema.schema import BUILTIN, Schema


def compile_query(text: str, *, path: str = "<query>", first_line: int = 1, schema: Schema = BUILTIN) -> Program:
    """Return the program of an EQL query.

    Args:
        text: the query.
        path, first_line: the file it stands in and the line of that file on which it begins, for messages.
        schema: the fields it may read, and the actions there are.

    Raises:
        RuleError: with path:line:column, the source line, a caret and, where there is one, a suggestion.
    """
    try:
        return check_query(parse(text), Scope(schema))
    except QueryError as fault:
        raise Source(text, path, first_line).error(fault) from None
