"""What every hit of a condition passes: clauses of text tests, for an index that finds rows by them.

A clause is a list of tests; a hit passes at least one of each clause. A condition joined by `and` has the clauses of
all its parts. Of one joined by `or`, each part gives its best clause, and those together are one; the second best of
each are another, and so on. A bar is a test that no hit passes: what stands under `not`, where it is decided by the
first look at a value. So clauses and bars depend on the condition alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kestrel_lab.engine.text.glob import key_of
from kestrel_lab.engine.text.literals import MAX_BYTES
from kestrel_lab.eql import TextTest
from kestrel_lab.eql.ir import And, Expr, Not, Or, TextLeaf, conjuncts
from kestrel_lab.schema.derive import OF_LIST, PARTS
from kestrel_lab.schema.types import ByAction, Constant, Derived, Entity, Field, Parent

_DEPTH = 3  # clauses of a condition joined by `or`
_LITERAL_OPS = ("equal", "prefix", "suffix", "contains", "like")

Clause: TypeAlias = tuple[TextTest, ...]
_Rank: TypeAlias = tuple[int, int, int]


def clauses_of(expr: Expr, known: Mapping[str, Field]) -> tuple[Clause, ...]:
    """Return the clauses of a condition, in the order in which an index should put them to rows.

    Left out is what the action decides: the index knows it.
    """
    found = _clauses(expr, known)
    found += [wider for clause in found if (wider := _of_origins(clause, known))]
    useful = [clause for clause in dict.fromkeys(found) if not all(_is_of_action(test, known) for test in clause)]
    return tuple(sorted(useful, key=lambda clause: _rank(clause, known)))


def bars_of(expr: Expr, known: Mapping[str, Field]) -> tuple[TextTest, ...]:
    """Return the tests that no hit of a condition passes, as far as values tell them without a closer look."""
    under = (item.item for item in conjuncts(expr) if isinstance(item, Not))
    tests = dict.fromkeys(leaf.test for leaf in under if isinstance(leaf, TextLeaf))
    return tuple(test for test in tests if not _is_of_action(test, known) and _is_plain(test, known))


def decides(gates: Sequence[Clause], bars: Sequence[TextTest], item: Expr) -> bool:
    """Return whether a condition holds for every row that passes a test of each of the clauses, and no bar."""
    if isinstance(item, Not):
        return isinstance(item.item, TextLeaf) and item.item.test in bars
    parts = item.items if isinstance(item, Or) else (item,)
    tests = [part.test for part in parts if isinstance(part, TextLeaf)]
    return len(tests) == len(parts) and tuple(sorted(set(tests), key=_order)) in gates


def _is_plain(test: TextTest, known: Mapping[str, Field]) -> bool:
    """Return whether one look at a value decides a test."""
    source = known[test.field].source
    if isinstance(source, Derived) and source.function in OF_LIST:
        return False
    if test.op in ("equal", "prefix", "suffix", "contains"):
        return all(0 < len(pattern) <= MAX_BYTES for pattern in test.patterns)
    return test.op in ("address", "cidr")


def _clauses(root: Expr, known: Mapping[str, Field]) -> list[Clause]:
    work: list[tuple[Expr, bool]] = [(root, False)]
    results: list[list[Clause]] = []
    while work:
        node, ready = work.pop()
        if not isinstance(node, And | Or):
            results.append([(node.test,)] if isinstance(node, TextLeaf) else [])
        elif not ready:
            work.append((node, True))
            work.extend((item, False) for item in node.items)
        else:
            parts = results[-len(node.items) :]
            del results[-len(node.items) :]
            results.append(_joined(node, parts, known))
    return results.pop()


def _joined(node: And | Or, parts: Sequence[list[Clause]], known: Mapping[str, Field]) -> list[Clause]:
    if isinstance(node, And):
        return [clause for part in parts for clause in part]
    if not all(parts):
        return []
    ranked = [sorted(part, key=lambda clause: _rank(clause, known)) for part in parts]
    depth = min(max(map(len, ranked)), _DEPTH)
    choices = ([part[min(place, len(part) - 1)] for part in ranked] for place in range(depth))
    return [tuple(sorted({test for clause in choice for test in clause}, key=_order)) for choice in choices]


def _of_origins(clause: Clause, known: Mapping[str, Field]) -> Clause:
    """Return what a clause implies of the strings that its derived ones are parts of, empty if it says nothing of them.

    So what is derived of a string is only made where the whole string leaves it open.
    """
    tests = tuple(dict.fromkeys(_of_origin(test, known) or test for test in clause))
    return () if set(tests) == set(clause) else tuple(sorted(tests, key=_order))


def _of_origin(test: TextTest, known: Mapping[str, Field]) -> TextTest | None:
    source = known[test.field].source
    if not isinstance(source, Derived) or source.function not in PARTS or test.op not in _LITERAL_OPS:
        return None
    dot = b"." if source.function == "extension" and test.op in ("equal", "prefix") else b""
    parts = [key_of(p) if test.op == "like" else dot + p for p in test.patterns]
    return TextTest(source.of, "contains", test.fold, tuple(sorted(set(parts)))) if all(parts) else None


def _order(test: TextTest) -> tuple[str, str, bool, tuple[bytes, ...]]:
    return test.field, test.op, test.fold, test.patterns


def _rank(clause: Clause, known: Mapping[str, Field]) -> _Rank:
    """Return what sorts clauses: cheap values first, then few fields, then long literals, which are rare."""
    fields = {test.field for test in clause}
    return max(cost(test, known) for test in clause), len(fields), -min(map(_literal_bytes, clause))


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
    own = 4 + derived if field.many else 2 * (not isinstance(field.source, Entity | Parent)) + derived
    return own + (test.op in ("regex", "computed"))


def _literal_bytes(test: TextTest) -> int:
    if test.op in ("equal", "address"):
        return min(map(len, test.patterns))
    return min(len(key_of(p)) for p in test.patterns) if test.op == "like" else 0
