"""What names mean in a rule: variables, the library, the event; and what is said of those that mean nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.lua import ast

EVENT = "event"
MATCH, CAPTURE = "match", "capture"
CATEGORY, ACTIONS = "category", "actions"
#: Functions of Lua that rules have, by library; the empty one stands for those without.
LIBRARY = {
    "math": ("abs", "ceil", "floor", "fmod", "max", "min"),
    "string": ("byte", "find", "len", "lower", "sub", "upper"),
    "": ("ipairs", "next", "pairs"),
}
#: Tests of a text with constant patterns.
TESTS = ("like", "ilike", "regex", "iregex", "cidr")
_RESERVED = (EVENT, *TESTS, *LIBRARY[""], "math", "string")
_HAVE = "rules have math.{abs, ceil, floor, fmod, max, min}, string.{byte, find, len, lower, sub, upper}, pairs, ipairs, next, like, ilike, regex, iregex and cidr"  # noqa: E501 - one sentence


@dataclass
class Names:
    """The variables that can be seen. A level is a function; level 0 is what runs when the rule is loaded."""

    globals: frozenset[str]
    _blocks: list[dict[str, int]] = field(default_factory=lambda: [{}])
    level: int = 0

    def enter(self) -> None:
        """Begin a block."""
        self._blocks.append({})

    def leave(self) -> None:
        """End it."""
        self._blocks.pop()

    def declare(self, name: ast.Name) -> None:
        """Make a local variable.

        Raises:
            QueryError: if the name stands for something else.
        """
        check_free(name)
        self._blocks[-1][name.name] = self.level

    def level_of(self, name: str) -> int | None:
        """Return the level a variable belongs to; None if there is none of that name."""
        found = next((b[name] for b in reversed(self._blocks) if name in b), None)
        return 0 if found is None and name in self.globals else found

    def unknown(self, name: ast.Name) -> QueryError:
        """Return the fault of a name that means nothing."""
        seen = [*dict.fromkeys(n for b in self._blocks for n in b), *sorted(self.globals), *_RESERVED]
        near = get_close_matches(name.name, seen, n=1)
        return QueryError(name.pos, f"`{name.name}` is not defined", f"did you mean `{near[0]}`?" if near else _HAVE)


def check_free(name: ast.Name) -> None:
    """Refuse a name that has a meaning of its own.

    Raises:
        QueryError: if it has.
    """
    if name.name in _RESERVED:
        what = f"`{name.name}` has a meaning of its own in rules"
        raise QueryError(name.pos, what, "take another name")


def no_function(pos: int, library: str, name: str) -> QueryError:
    """Return the fault of a function that a library does not have here."""
    if not name:
        return QueryError(
            pos, f"a function of {library} is named in the text", f"write {library}.{LIBRARY[library][0]}"
        )
    near = get_close_matches(name, LIBRARY[library], n=1)
    do = f"did you mean {library}.{near[0]}?" if near else _HAVE
    return QueryError(pos, f"rules have no {library}.{name}", do)


def global_names(block: ast.Block) -> frozenset[str]:
    """Return the names that statements outside functions assign to."""
    return frozenset(name.name for item in _outer(block) for name in _assigned(item))


def _assigned(item: ast.Stat) -> Iterable[ast.Name]:
    if isinstance(item, ast.Assignment):
        return [t for t in item.targets if isinstance(t, ast.Name)]
    return [item.name] if isinstance(item, ast.FunctionStatement) and not item.local else []


def _outer(block: ast.Block) -> Iterator[ast.Stat]:
    work = list(block.items)
    while work:
        item = work.pop()
        yield item
        if isinstance(item, ast.If):
            work += [s for _, b in item.clauses for s in b.items]
            work += item.otherwise.items if item.otherwise else ()
        elif isinstance(item, ast.Do | ast.Loop | ast.For):
            work += item.block.items
