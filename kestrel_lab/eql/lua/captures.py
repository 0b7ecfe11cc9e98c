"""The names under which a rule's `capture` adds values to an alert. They are known before the rule runs."""

from __future__ import annotations

from collections.abc import Container, Iterator

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.lua import ast

_MAX_NAMES = 64
_FORM = "return { name = value, ... }"


def capture_names(block: ast.Block, fields: Container[str]) -> tuple[str, ...]:
    """Return the names in the tables that the rule's `capture` returns, in the order they are written.

    Args:
        fields: names that are taken: a value under a field's name would pass for the field.

    Raises:
        QueryError: if it returns anything else, or a name that is taken.
    """
    found: dict[str, None] = {}
    for item in block.items:
        if isinstance(item, ast.FunctionStatement) and not item.local and item.name.name == "capture":
            for given in _returns(item.function.body):
                found |= dict.fromkeys(_names(given, fields))
    if len(found) > _MAX_NAMES:
        raise QueryError(0, f"capture names more than {_MAX_NAMES} values")
    return tuple(found)


def _names(item: ast.Return, fields: Container[str]) -> Iterator[str]:
    if not item.values or (isinstance(item.values[0], ast.Constant) and item.values[0].value is None):
        return
    table = item.values[0]
    if len(item.values) > 1 or not isinstance(table, ast.Table):
        raise QueryError(item.pos, "capture returns a table that stands in the return itself", _FORM)
    for key, value in table.entries:
        if not isinstance(key, ast.Constant) or not isinstance(key.value, bytes):
            raise QueryError((key or value).pos, "a captured value has a name, and it stands in the text", _FORM)
        name = key.value.decode(errors="replace")
        if name in fields:
            do = "name fields in the rule file's captures, and give other values other names"
            raise QueryError(key.pos, f"`{name}` is the name of a field", do)
        yield name


def _returns(block: ast.Block) -> Iterator[ast.Return]:
    work = list(reversed(block.items))
    while work:
        item = work.pop()
        if isinstance(item, ast.Return):
            yield item
        elif isinstance(item, ast.If):
            blocks = [b for _, b in item.clauses] + ([item.otherwise] if item.otherwise else [])
            work += [s for b in reversed(blocks) for s in reversed(b.items)]
        elif isinstance(item, ast.Do | ast.Loop | ast.For):
            work += reversed(item.block.items)
