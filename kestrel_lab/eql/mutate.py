"""Changed copies of a query, one small change each: what a rule's tests must tell from the original.

Each condition is negated, taken for true and taken for false; a sequence loses its maxspan, its `until`, each join
key and each missing event, and counts one run more or less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from kestrel_lab.eql import ast
from kestrel_lab.eql.limits import MAX_RUNS
from kestrel_lab.eql.render import render, render_span

_LONGEST_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Mutation:
    """A changed query.

    Attributes:
        pos: offset of what was changed in the text of the query; `condition`: the same as text.
        change: what became of it, as the end of a sentence: `is negated`.
        query: the query with this change.
    """

    pos: int
    condition: str
    change: str
    query: ast.Query


@dataclass(frozen=True, slots=True)
class _Change:
    """The same, without the query's pipes."""

    pos: int
    condition: str
    change: str
    body: ast.Body


#: How to get from a condition to its root: the node it stands in, its place among that one's conditions, and on.
_Path: TypeAlias = "tuple[ast.Node, int, _Path] | None"


def mutations(query: ast.Query) -> Iterator[Mutation]:
    """Yield every changed copy; those of one condition follow one another."""
    for found in _of_body(query.body):
        yield Mutation(found.pos, found.condition, found.change, replace(query, body=found.body))
    for number, pipe in enumerate(query.pipes):
        kept = (*query.pipes[:number], *query.pipes[number + 1 :])
        yield Mutation(pipe.pos, f"| {pipe.kind} {pipe.count}", "is dropped", replace(query, pipes=kept))


def _of_body(body: ast.Body) -> Iterator[_Change]:
    if isinstance(body, ast.Filter):
        yield from _of_filter(body)
        return
    yield from _of_keys(body)
    if isinstance(body, ast.Sequence) and body.maxspan is not None:
        text = f"maxspan={render_span(body.maxspan)}"
        yield _Change(body.pos, text, "is endless", replace(body, maxspan=_LONGEST_NS))
    for number, item in enumerate(body.items):
        for found in _of_filter(item.filter):
            assert isinstance(found.body, ast.Filter)
            yield replace(found, body=_with_item(body, number, replace(item, filter=found.body)))
        yield from _of_item(body, number)
    if isinstance(body, ast.Sequence) and body.until is not None:
        yield from _of_until(body, body.until)


def _of_until(body: ast.Sequence, until: ast.Item) -> Iterator[_Change]:
    yield _Change(until.pos, "until", "is dropped", replace(body, until=None))
    for found in _of_filter(until.filter):
        assert isinstance(found.body, ast.Filter)
        yield replace(found, body=replace(body, until=replace(until, filter=found.body)))


def filters(query: ast.Query) -> Iterator[ast.Filter]:
    """Yield every `category where condition` of a query."""
    body = query.body
    if isinstance(body, ast.Filter):
        yield body
        return
    yield from (item.filter for item in body.items)
    if isinstance(body, ast.Sequence) and body.until is not None:
        yield body.until.filter


def conditions(root: ast.Node) -> Iterator[ast.Node]:
    """Yield the leaves of a condition: those that no other condition stands in; constants are none."""
    yield from (leaf for leaf, _ in _leaves(root))


def first_pos(node: ast.Node) -> int:
    """Return the offset at which a node's text begins; an operator stands after its left side."""
    while isinstance(node, ast.Compare | ast.Match | ast.Arithmetic) and node.left is not None:
        node = node.left
    return node.pos


def _of_filter(node: ast.Filter) -> Iterator[_Change]:
    for leaf, path in _leaves(node.condition):
        pos, text = first_pos(leaf), render(leaf)
        changed: tuple[tuple[str, ast.Node], ...] = (
            ("is negated", ast.Not(leaf.pos, leaf)),
            ("is always true", ast.Literal(leaf.pos, True)),
            ("is always false", ast.Literal(leaf.pos, False)),
        )
        for change, new in changed:
            yield _Change(pos, text, change, replace(node, condition=_rebuilt(path, new)))


def _leaves(root: ast.Node) -> Iterator[tuple[ast.Node, _Path]]:
    work: list[tuple[ast.Node, _Path]] = [(root, None)]
    while work:
        node, path = work.pop()
        inner = _inner(node)
        if inner:
            work.extend((item, (node, place, path)) for place, item in reversed(list(enumerate(inner))))
        elif not isinstance(node, ast.Literal):
            yield node, path


def _inner(node: ast.Node) -> tuple[ast.Node, ...]:
    """Return the conditions that stand in a node; none in a leaf."""
    if isinstance(node, ast.Not):
        return (node.item,)
    if isinstance(node, ast.Junction):
        return node.items
    if isinstance(node, ast.Compare):
        return tuple(side for side in (node.left, node.right) if _is_condition(side))
    return ()


def _is_condition(node: ast.Node) -> bool:
    return isinstance(node, ast.Compare | ast.Match | ast.Not | ast.Junction)


def _rebuilt(path: _Path, new: ast.Node) -> ast.Node:
    while path is not None:
        node, place, path = path
        if isinstance(node, ast.Not):
            new = replace(node, item=new)
        elif isinstance(node, ast.Junction):
            new = replace(node, items=(*node.items[:place], new, *node.items[place + 1 :]))
        elif isinstance(node, ast.Compare):
            new = replace(node, left=new) if place == 0 and _is_condition(node.left) else replace(node, right=new)
    return new


def _with_item(body: ast.Sequence | ast.Sample, number: int, *items: ast.Item) -> ast.Body:
    """Return a query with other items in place of one; an item that is left alone is an event query."""
    after = (*body.items[:number], *items, *body.items[number + 1 :])
    if len(after) == 1 and after[0].runs == 1:
        return after[0].filter
    return replace(body, items=after)


def _of_keys(body: ast.Sequence | ast.Sample) -> Iterator[_Change]:
    for number, key in enumerate(body.by):
        kept = (*body.by[:number], *body.by[number + 1 :])
        yield _Change(first_pos(key), f"by {render(key)}", "is dropped", replace(body, by=kept))
    for number, key in enumerate(body.items[0].by):
        without = replace(body, items=tuple(_without_key(item, number) for item in body.items))
        if isinstance(without, ast.Sequence) and without.until is not None:
            without = replace(without, until=_without_key(without.until, number))
        yield _Change(first_pos(key), f"by {render(key)}", "is dropped", without)


def _without_key(item: ast.Item, number: int) -> ast.Item:
    return replace(item, by=(*item.by[:number], *item.by[number + 1 :]))


def _of_item(body: ast.Sequence | ast.Sample, number: int) -> Iterator[_Change]:
    item = body.items[number]
    if item.missing:
        yield _Change(item.pos, "![...]", "is dropped", _with_item(body, number))
    if item.runs > 1:
        for runs in (item.runs - 1, item.runs + 1):
            if runs <= MAX_RUNS:
                changed = _with_item(body, number, replace(item, runs=runs))
                yield _Change(item.pos, f"with runs={item.runs}", f"is {runs}", changed)
