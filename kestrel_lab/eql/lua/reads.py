"""What a rule reads of an event: fields, and tests of their values. Each gets a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from kestrel_lab.eql import ast as eql_ast
from kestrel_lab.eql import text
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.leaftests import TextTest
from kestrel_lab.eql.lua import ast
from kestrel_lab.eql.lua.limits import MAX_FIELDS, MAX_TESTS
from kestrel_lab.eql.lua.names import EVENT
from kestrel_lab.schema.types import EqlType, Field

_Make = Callable[[list[eql_ast.Literal]], TextTest]
_MAKERS: Mapping[str, _Make] = {
    "like": lambda items: text.like("", [str(i.value) for i in items], fold=False),
    "ilike": lambda items: text.like("", [str(i.value) for i in items], fold=True),
    "regex": lambda items: text.regex("", items, fold=False),
    "iregex": lambda items: text.regex("", items, fold=True),
    "cidr": lambda items: text.blocks("", items),
}


@dataclass
class Reads:
    """Fields, tests of fields, and patterns for other texts, in the order they were found."""

    known: Mapping[str, Field]
    fields: dict[str, int] = field(default_factory=dict)
    tests: dict[TextTest, int] = field(default_factory=dict)
    patterns: dict[TextTest, int] = field(default_factory=dict)

    def field_of(self, node: ast.Expr) -> tuple[int, str] | None:
        """Return place and name of the field that `event.a.b` (or `event["a.b"]`) names; None if it is no such thing.

        Raises:
            QueryError: if there is no such field, or its name is computed.
        """
        parts: list[str] = []
        while isinstance(node, ast.Index):
            key = node.key.value if isinstance(node.key, ast.Constant) else None
            if isinstance(key, bytes):
                parts.append(key.decode(errors="replace"))
            elif _is_event(node.object):
                do = "fields are named in the text, so that it is known what a rule reads"
                raise QueryError(node.pos, "the name of a field cannot be computed", do)
            else:
                return None
            node = node.object
        if not _is_event(node):
            return None
        name = ".".join(reversed(parts))
        if name not in self.known:
            raise self._unknown(node.pos, name)
        return node.pos, name

    def number(self, pos: int, name: str) -> int:
        """Return the number of a field.

        Raises:
            QueryError: if there are too many.
        """
        if len(self.fields) == MAX_FIELDS and name not in self.fields:
            raise QueryError(pos, f"the rule reads more than {MAX_FIELDS} fields", "split it")
        return self.fields.setdefault(name, len(self.fields) + 1)

    def test(self, pos: int, kind: str, name: str | None, arguments: tuple[ast.Expr, ...]) -> int:
        """Return the number of a test: of a field, or where `name` is None of any text.

        Raises:
            QueryError: for patterns that are not constant or not right, or a field that is no text.
        """
        if not arguments:
            raise QueryError(pos, f"{kind} takes a value and one pattern or more", f'{kind}(event.file.path, "...")')
        test = _MAKERS[kind]([_literal(kind, a) for a in arguments])
        if len(self.tests) + len(self.patterns) >= MAX_TESTS:
            raise QueryError(pos, f"the rule has more than {MAX_TESTS:,} tests", "split it")
        if name is None:
            return self.patterns.setdefault(test, len(self.patterns) + 1)
        known = self.known[name]
        if known.type is not EqlType.STRING and not (known.type is EqlType.IP and kind == "cidr"):
            raise QueryError(pos, f"{kind} tests texts, and `{name}` is of type {known.type}")
        return self.tests.setdefault(replace(test, field=name), len(self.tests) + 1)

    def _unknown(self, pos: int, name: str) -> QueryError:
        if not name:
            what = "the event is no value: it cannot be kept or passed on"
            return QueryError(pos, what, "functions read event.FIELD themselves; leave it out of calls")
        below = [f for f in self.known if f.startswith(f"{name}.")]
        if below:
            return QueryError(pos, f"`{name}` is no field but the beginning of some", f"such as event.{below[0]}")
        near = get_close_matches(name, self.known, n=1)
        return QueryError(
            pos, f"unknown field `{name}`", f"did you mean `{near[0]}`?" if near else "see docs/fields.md"
        )


def _is_event(node: ast.Expr) -> bool:
    return isinstance(node, ast.Name) and node.name == EVENT


def _literal(kind: str, node: ast.Expr) -> eql_ast.Literal:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, bytes):
        raise QueryError(node.pos, f"the patterns of {kind} must stand in the text, as strings")
    try:
        return eql_ast.Literal(node.pos, node.value.decode())
    except UnicodeDecodeError:
        raise QueryError(node.pos, "the pattern is not UTF-8") from None
