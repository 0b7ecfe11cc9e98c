"""Items of lists that no test event matches: long lists are not all tested, and this says which items were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kestrel_lab.eql import TextTest, ast
from kestrel_lab.eql.mutate import conditions, filters
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.render import render
from kestrel_lab.eql.texttest import passes

_FOLDING = ("in~", ":", "like~")


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Items of one list that no event matches, as the query has them; `condition`: the list's text."""

    condition: str
    items: tuple[str, ...]


def unmatched_items(query: str, events: Iterable[Mapping[str, Any]]) -> list[Unmatched]:
    """Return, for each list of strings in a query that a field is held against, the items that no event matches."""
    seen = list(events)
    out = []
    for node in _lists(parse(query)):
        assert isinstance(node.left, ast.Name)
        values = {item for event in seen for item in _texts(event.get(node.left.name))}
        rest = tuple(
            item.value
            for item in node.items
            if isinstance(item, ast.Literal) and isinstance(item.value, str) and not _matched(node, item.value, values)
        )
        if rest:
            out.append(Unmatched(render(node), rest))
    return out


def _lists(query: ast.Query) -> Iterator[ast.Match]:
    for leaf in (leaf for filter_ in filters(query) for leaf in conditions(filter_.condition)):
        if isinstance(leaf, ast.Match) and isinstance(leaf.left, ast.Name) and not leaf.kind.startswith("regex"):
            yield leaf


def _matched(node: ast.Match, pattern: str, values: Iterable[str]) -> bool:
    assert isinstance(node.left, ast.Name)
    fold = node.kind in _FOLDING
    wanted = (pattern.lower() if fold else pattern).encode()
    test = TextTest(node.left.name, "equal" if node.kind in ("in", "in~") else "like", fold, (wanted,))
    return any(passes(test, value.encode()) for value in values)


def _texts(value: Any) -> Iterator[str]:
    yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
