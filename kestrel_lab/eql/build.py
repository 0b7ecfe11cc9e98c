"""Grammar rules to syntax tree. Called by the parser at each reduction, so nothing here recurses."""

# ruff: noqa: D102 - a method is named for the rule it builds, and the grammar says what that is

from __future__ import annotations

from typing import Any, NoReturn

from lark import Token, Transformer
from lark.visitors import v_args

from kestrel_lab.eql import ast
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.limits import MAX_DEPTH, MAX_ITEMS, MAX_RESULTS, MAX_RUNS
from kestrel_lab.eql.literals import decimal, integer, name_of, unquote, unquote_raw

_NS = {"ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
_UNITS = "the units are ms, s, m, h and d: with maxspan=5m"
_MAX_SPAN_NS = (1 << 63) - 1


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method for each rule or alias of the grammar."""

    def start(self, body: ast.Body, *pipes: ast.Pipe) -> ast.Query:
        if pipes and isinstance(body, ast.Sample):
            raise QueryError(pipes[0].pos, "a sample takes no pipes", "its results have no order to cut")
        return ast.Query(body, pipes)

    def pipe(self, bar: Token, name: Token, *arguments: ast.Node | None) -> ast.Pipe:
        kind: Any = str(name)
        if kind not in ("head", "tail"):
            raise QueryError(name.start_pos or 0, f"there is no pipe {name}", "the pipes are head and tail")
        found = [a for a in arguments if a is not None]
        count = found[0].value if len(found) == 1 and isinstance(found[0], ast.Literal) else None
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_RESULTS:
            pos = found[0].pos if found else name.start_pos or 0
            raise QueryError(pos, f"{name} takes one whole number, 0 to {MAX_RESULTS:,}", f"write | {name} 10")
        return ast.Pipe(bar.start_pos or 0, kind, count)

    # conditions

    def literal(self, token: Token) -> ast.Literal:
        pos = token.start_pos or 0
        value: str | int | float | bool | None
        if token.type == "STRING":
            value = unquote(token, pos)
        elif token.type == "RAW":
            value = unquote_raw(token)
        elif token.type == "INT":
            value = integer(token, pos)
        elif token.type == "FLOAT":
            value = decimal(token, pos)
        else:
            value = {"TRUE": True, "FALSE": False, "NULL": None}[token.type]
        return ast.Literal(pos, value)

    def field(self, token: Token) -> ast.Name:
        pos = token.start_pos or 0
        return ast.Name(pos, name_of(token, pos))

    def optional_field(self, mark: Token, token: Token) -> ast.Name:
        return ast.Name(mark.start_pos or 0, name_of(token, token.start_pos or 0), optional=True)

    def call(self, token: Token, args: tuple[ast.Node, ...] | None) -> ast.Call:
        name, pos = str(token), token.start_pos or 0
        return ast.Call(pos, name.rstrip("~"), name.endswith("~"), args or (), _deeper(pos, *(args or ())))

    def sign(self, op: Token, item: ast.Node) -> ast.Node:
        pos = op.start_pos or 0
        if isinstance(item, ast.Literal) and isinstance(item.value, int | float) and not isinstance(item.value, bool):
            value = item.value if op == "+" else -item.value
            return ast.Literal(pos, integer(str(value), pos) if isinstance(value, int) else value, item.depth)
        return ast.Arithmetic(pos, str(op), None, item, _deeper(pos, item))

    def arithmetic(self, left: ast.Node, op: Token, right: ast.Node) -> ast.Arithmetic:
        pos = op.start_pos or 0
        return ast.Arithmetic(pos, str(op), left, right, _deeper(pos, left, right))

    def group(self, item: ast.Node) -> ast.Node:
        return _with_depth(item, _deeper(item.pos, item))

    def compare(self, left: ast.Node, op: Token, right: ast.Node) -> ast.Compare:
        pos = op.start_pos or 0
        kind: Any = str(op)
        return ast.Compare(pos, kind, left, right, _nesting(left, right))

    def chained(self, left: ast.Compare, op: Token, right: ast.Node) -> NoReturn:
        raise QueryError(op.start_pos or 0, "comparisons cannot be chained", "join two comparisons with `and`")

    def in_kind(self, token: Token) -> Token:
        return token

    def match_kind(self, token: Token) -> Token:
        return token

    def list(self, *items: ast.Node) -> tuple[ast.Node, ...]:
        if len(items) > MAX_ITEMS:
            raise QueryError(items[MAX_ITEMS].pos, f"the list has more than {MAX_ITEMS:,} items", "split the rule")
        return items

    def member(self, left: ast.Node, kind: Token, items: tuple[ast.Node, ...]) -> ast.Match:
        return _match(left, kind, items)

    def not_member(self, left: ast.Node, _: Token, kind: Token, items: tuple[ast.Node, ...]) -> ast.Match:
        return _match(left, kind, items, negated=True)

    def match(self, left: ast.Node, kind: Token, item: ast.Node) -> ast.Match:
        return _match(left, kind, (item,))

    def match_list(self, left: ast.Node, kind: Token, items: tuple[ast.Node, ...]) -> ast.Match:
        return _match(left, kind, items)

    def negation(self, op: Token, item: ast.Node) -> ast.Not:
        pos = op.start_pos or 0
        return ast.Not(pos, item, _deeper(pos, item))

    def any_of(self, *items: ast.Node) -> ast.Junction:
        return ast.Junction(items[0].pos, "or", items, _nesting(*items))

    def all_of(self, *items: ast.Node) -> ast.Junction:
        return ast.Junction(items[0].pos, "and", items, _nesting(*items))

    # queries

    def filter(self, category: Token, condition: ast.Node) -> ast.Filter:
        pos = category.start_pos or 0
        if category.type == "NAME":
            name = name_of(category, pos)
            return ast.Filter(pos, None if category == "any" else name, condition)
        text = unquote_raw(category) if category.type == "RAW" else unquote(category, pos)
        return ast.Filter(pos, text, condition)

    def by(self, *keys: ast.Node) -> tuple[ast.Node, ...]:
        return keys

    def params(self, with_: Token, name: Token, _: Token, count: Token, unit: Token | None) -> int:
        if name != "maxspan":
            raise QueryError(name.start_pos or 0, f"a sequence has no {name}", "write `with maxspan=5m`")
        pos = count.start_pos or 0
        if unit is None or str(unit) not in _NS:
            found = "has no unit" if unit is None else f"has an unknown unit, {unit}"
            raise QueryError((unit or count).start_pos or 0, f"maxspan {found}", _UNITS)
        span = integer(count, pos) * _NS[unit]
        if not 0 < span <= _MAX_SPAN_NS:
            raise QueryError(pos, "maxspan must be more than nothing and less than 292 years", _UNITS)
        return span

    def decimal_span(self, with_: Token, name: Token, _: Token, count: Token, unit: Token | None) -> NoReturn:
        raise QueryError(count.start_pos or 0, "maxspan must be a whole number", "use a smaller unit: 1500ms")

    def runs(self, with_: Token, name: Token, _: Token | None, count: Token | None, unit: Token | None) -> int:
        if name == "maxspan":
            raise QueryError(name.start_pos or 0, "maxspan belongs to the sequence, not to an item",
                             "write `sequence by ... with maxspan=5m [...]`")  # fmt: skip
        if name != "runs" or count is None or unit is not None:
            raise QueryError(name.start_pos or 0, "an item can only be followed by `with runs=N`")
        pos = count.start_pos or 0
        value = integer(count, pos)
        if not 1 <= value <= MAX_RUNS:
            raise QueryError(pos, f"runs must be 1 to {MAX_RUNS}")
        return value

    def item(self, open_: Token, filter_: ast.Filter, by: tuple[ast.Node, ...] | None, runs: int | None) -> ast.Item:
        return ast.Item(open_.start_pos or 0, filter_, by or (), runs or 1)

    def missing_item(
        self, open_: Token, filter_: ast.Filter, by: tuple[ast.Node, ...] | None, runs: int | None
    ) -> ast.Item:
        return ast.Item(open_.start_pos or 0, filter_, by or (), runs or 1, missing=True)

    def until(self, item: ast.Item) -> tuple[ast.Item]:
        if item.missing:
            raise QueryError(item.pos, "`until` takes an event, not a missing one", "write until [...]")
        if item.runs > 1:
            raise QueryError(item.pos, "`until` takes no runs: its first event ends the sequence")
        return (item,)

    def sequence(
        self, word: Token, by: tuple[ast.Node, ...] | None, span: int | None, *items: ast.Item | tuple[ast.Item] | None
    ) -> ast.Sequence:
        last = items[-1]
        own = tuple(i for i in items if isinstance(i, ast.Item))
        until = last[0] if isinstance(last, tuple) else None
        return ast.Sequence(word.start_pos or 0, by or (), span, own, until)

    def by_after_with(self, word: Token, *_: Any) -> NoReturn:
        raise QueryError(
            word.start_pos or 0, "`by` must stand before `with`", "write `sequence by ... with maxspan=...`"
        )

    def sample(self, word: Token, by: tuple[ast.Node, ...] | None, *items: ast.Item) -> ast.Sample:
        for item in items:
            if item.missing or item.runs > 1:
                what = "missing events" if item.missing else "runs"
                raise QueryError(item.pos, f"a sample takes no {what}", "they belong to a sequence")
        return ast.Sample(word.start_pos or 0, by or (), items)

    def join(self, word: Token, *_: Any) -> NoReturn:
        raise QueryError(word.start_pos or 0, "EQL has no `join` any more", "use `sequence by ...` or `sample by ...`")


def _match(left: ast.Node, kind: Token, items: tuple[ast.Node, ...], negated: bool = False) -> ast.Match:
    pos = kind.start_pos or 0
    word: Any = str(kind)
    return ast.Match(pos, word, negated, left, items, _nesting(left, *items))


def _nesting(*items: ast.Node) -> int:
    return max((i.depth for i in items), default=0)


def _deeper(pos: int, *items: ast.Node) -> int:
    depth = 1 + _nesting(*items)
    if depth > MAX_DEPTH:
        raise QueryError(pos, f"the condition nests deeper than {MAX_DEPTH}", "flatten it, or split the rule")
    return depth


def _with_depth(item: ast.Node, depth: int) -> ast.Node:
    values = {name: getattr(item, name) for name in item.__slots__}
    return type(item)(**(values | {"depth": depth}))
