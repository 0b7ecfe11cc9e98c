"""What every hit of a condition passes: clauses of literals, for an index that finds rows by them.

A literal is a text test, or `not` and one that the first look at a value decides; a clause is a list of literals, and
a hit passes at least one of each clause. A condition joined by `and` has the clauses of all its parts. One joined by
`or` has every choice of a clause of each part, joined to one, if those are few: together they then say all that it
says. Else each part gives its best clause, and those together are one; the second best of each are another, and so on.
All of this depends on the condition alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from kestrel_lab.engine.text.glob import key_of
from kestrel_lab.engine.text.literals import MAX_BYTES
from kestrel_lab.eql import TextTest
from kestrel_lab.eql.ir import And, Expr, Not, Or, TextLeaf
from kestrel_lab.eql.typed import fold_tree
from kestrel_lab.schema.derive import OF_LIST, PARTS
from kestrel_lab.schema.types import ByAction, Constant, Derived, Field, link_of

_DEPTH = 3  # clauses of a condition joined by `or` that they do not exhaust
_MOST = 8  # clauses of one that they do
_LITERAL_OPS = ("equal", "prefix", "suffix", "contains", "like")


class Literal(NamedTuple):
    """A text test passes (`holds`), or does not."""

    test: TextTest
    holds: bool = True


Clause: TypeAlias = tuple[Literal, ...]
_Rank: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Implied:
    """Clauses that a condition implies; `exact`: the condition holds wherever they and the action do."""

    clauses: tuple[Clause, ...]
    exact: bool


def implied(expr: Expr, known: Mapping[str, Field]) -> Implied:
    """Return clauses that a condition implies; in it, `not` stands over leaves only."""

    def joined(node: Expr, parts: tuple[Implied, ...]) -> Implied:
        if isinstance(node, And):
            return Implied(tuple(c for part in parts for c in part.clauses), all(part.exact for part in parts))
        return _either(parts, known) if isinstance(node, Or) else _of_leaf(node, known)

    return fold_tree(expr, lambda node: node.items if isinstance(node, And | Or) else (), joined)


def ordered(clauses: Iterable[Clause], known: Mapping[str, Field]) -> tuple[Clause, ...]:
    """Return clauses, and what they imply of whole strings, in the order in which an index should put them to rows.

    Left out is what the action decides: the index knows it.
    """
    found = [*clauses]
    found += [wider for clause in found if (wider := _of_origins(clause, known))]
    useful = [c for c in dict.fromkeys(found) if not all(_is_of_action(literal.test, known) for literal in c)]
    return tuple(sorted(useful, key=lambda clause: _rank(clause, known)))


def _of_leaf(leaf: Expr, known: Mapping[str, Field]) -> Implied:
    if isinstance(leaf, TextLeaf):
        return Implied(((Literal(leaf.test),),), True)
    if isinstance(leaf, Not) and isinstance(leaf.item, TextLeaf) and _is_plain(leaf.item.test, known):
        return Implied(((Literal(leaf.item.test, False),),), True)
    return Implied((), False)


def _is_plain(test: TextTest, known: Mapping[str, Field]) -> bool:
    """Return whether one look at a value decides a test."""
    source = known[test.field].source
    if isinstance(source, Derived) and source.function in OF_LIST:
        return False
    if test.op in ("equal", "prefix", "suffix", "contains"):
        return all(0 < len(pattern) <= MAX_BYTES for pattern in test.patterns)
    return test.op in ("address", "cidr")


def _either(parts: Sequence[Implied], known: Mapping[str, Field]) -> Implied:
    """Return what a condition joined by `or` implies, given what its parts do."""
    found = [part.clauses for part in parts]
    if all(part.exact for part in parts) and prod(map(len, found)) <= _MOST:
        return Implied(tuple(dict.fromkeys(_any_of(choice) for choice in product(*found))), True)
    if not all(found):
        return Implied((), False)
    ranked = [sorted(part, key=lambda clause: _rank(clause, known)) for part in found]
    depth = min(max(map(len, ranked)), _DEPTH)
    choices = ([part[min(place, len(part) - 1)] for part in ranked] for place in range(depth))
    return Implied(tuple(map(_any_of, choices)), False)


def _any_of(clauses: Iterable[Clause]) -> Clause:
    return tuple(sorted({literal for clause in clauses for literal in clause}, key=_order))


def _of_origins(clause: Clause, known: Mapping[str, Field]) -> Clause:
    """Return what a clause implies of the strings that its derived ones are parts of, empty if it says nothing of them.

    So what is derived of a string is only made where the whole string leaves it open.
    """
    wider = _any_of([(_of_origin(literal, known) or literal,) for literal in clause])
    return () if set(wider) == set(clause) else wider


def _of_origin(literal: Literal, known: Mapping[str, Field]) -> Literal | None:
    test, source = literal.test, known[literal.test.field].source
    if not isinstance(source, Derived) or source.function not in PARTS or test.op not in _LITERAL_OPS:
        return None
    dot = b"." if source.function == "extension" and test.op in ("equal", "prefix") else b""
    parts = [key_of(p) if test.op == "like" else dot + p for p in test.patterns]
    if not literal.holds or not all(parts):
        return None
    return Literal(TextTest(source.of, "contains", test.fold, tuple(sorted(set(parts)))))


def _order(literal: Literal) -> tuple[str, str, bool, tuple[bytes, ...], bool]:
    test = literal.test
    return test.field, test.op, test.fold, test.patterns, literal.holds


def _rank(clause: Clause, known: Mapping[str, Field]) -> _Rank:
    """Return what sorts clauses: cheap values first, then few fields, then long literals, which are rare."""
    fields = {literal.test.field for literal in clause}
    return max(cost(literal.test, known) for literal in clause), len(fields), -min(map(_literal_bytes, clause))


def _is_of_action(test: TextTest, known: Mapping[str, Field]) -> bool:
    return isinstance(known[test.field].source, ByAction)


def cost(test: TextTest, known: Mapping[str, Field]) -> int:
    """Return how dear it is to know a test of a field: strings of processes repeat, lists and what is made of them do
    not; what tells nothing comes last."""
    if isinstance(known[test.field].source, Constant | ByAction):
        return 9
    field, derived = known[test.field], 0
    while isinstance(field.source, Derived):
        field, derived = known[field.source.of], 1
    own = 4 + derived if field.many else 2 * (link_of(field.source) is None) + derived
    return own + (test.op in ("regex", "computed"))


def _literal_bytes(literal: Literal) -> int:
    """Return how many bytes a value surely has that passes, as far as that tells; 0 for what most values pass."""
    test = literal.test
    if not literal.holds:
        return 0
    if test.op in ("equal", "address"):
        return min(map(len, test.patterns))
    return min(len(key_of(p)) for p in test.patterns) if test.op == "like" else 0
