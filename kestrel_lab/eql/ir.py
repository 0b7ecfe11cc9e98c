"""The typed intermediate form: what a query means, apart from its spelling and from any target.

Conditions are two-valued. A leaf on a missing value is false; the checker has put every other rule about missing
values into the shape of the tree. `Not` stands over leaves, except over a null test of a condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kestrel_lab.eql.leaftests import ScalarTest, TextOp, TextTest
from kestrel_lab.eql.typed import Node

#: operations of which `a or b` is one test with the patterns of both
_LISTS: tuple[TextOp, ...] = ("equal", "like", "prefix", "suffix", "contains", "regex", "address", "cidr")
NumberOp = Literal["==", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class TextLeaf:
    """True if the text test passes."""

    test: TextTest


@dataclass(frozen=True, slots=True)
class Present:
    """True if the field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    """True if the number field has a value and compares so. `value` is within the field's type, exactly."""

    field: str
    op: NumberOp
    value: int | float


@dataclass(frozen=True, slots=True)
class Flag:
    """True if the boolean field is true."""

    field: str


@dataclass(frozen=True, slots=True)
class Computed:
    """True if the computed test is. It reads several fields, or numbers alone; the host makes a column of it."""

    test: ScalarTest


@dataclass(frozen=True, slots=True)
class Const:
    """Always `value`."""

    value: bool


@dataclass(frozen=True, slots=True)
class And:
    """True if all items are; two or more, none of them an `And`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True if any item is; two or more, none of them an `Or`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True if the item is false."""

    item: Expr


Leaf: TypeAlias = TextLeaf | Present | Compare | Flag | Computed | Const
Expr: TypeAlias = TextLeaf | Present | Compare | Flag | Computed | Const | And | Or | Not

TRUE, FALSE = Const(True), Const(False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One item of a sequence, or the whole of an event query.

    Attributes:
        category: one of event.category; None for `any`.
        expr: the condition, without the category: `actions` stand for it.
        by: fields of the join key, the query's own first, None for one that does not exist and so is null;
            `by_optional`: whether null joins null there.
        actions: codes of the actions whose events could satisfy it.
        required: tests that every hit passes, the most selective kind first; keys for an index.
        missing: `![...]`: no event may satisfy it where it stands.
    """

    category: str | None
    expr: Expr
    by: tuple[str | None, ...]
    actions: frozenset[int]
    required: tuple[TextTest, ...]
    by_optional: tuple[bool, ...] = ()
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Pipe:
    """`| head count` or `| tail count`: the first or last results, in the order of their last events."""

    kind: Literal["head", "tail"]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """What the compiler did to a part of a condition: `before`, at its place in the text, became `after`."""

    name: str
    before: Node
    after: Node | Expr


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled query. `maxspan_ns` counts from the first event, inclusive. `fields`: all that it reads.

    An item with runs stands in `stages` that many times, each time the same object. `pipes` apply in order. `rewrites`:
    how the conditions came to be, in the order it was done.
    """

    kind: Literal["event", "sequence", "sample"]
    stages: tuple[Stage, ...]
    until: Stage | None
    maxspan_ns: int | None
    fields: frozenset[str]
    pipes: tuple[Pipe, ...] = ()
    rewrites: tuple[Rewrite, ...] = field(default=(), compare=False, repr=False)

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages by their number in a module: those of the sequence, then `until`."""
        return self.stages if self.until is None else (*self.stages, self.until)

    @property
    def distinct_stages(self) -> tuple[Stage, ...]:
        """The stages, those with runs once."""
        return tuple({id(stage): stage for stage in self.all_stages}.values())


def all_of(items: tuple[Expr, ...]) -> Expr:
    """Return the conjunction, flattened and without constants."""
    return _join(items, And, TRUE, FALSE)


def any_of(items: tuple[Expr, ...]) -> Expr:
    """Return the disjunction, flattened and without constants."""
    return _join(items, Or, FALSE, TRUE)


def negation(item: Expr) -> Expr:
    """Return `not item`, without a double negation."""
    if isinstance(item, Const):
        return FALSE if item.value else TRUE
    return item.item if isinstance(item, Not) else Not(item)


def leaves(expr: Expr) -> Iterator[Leaf]:
    """Yield the leaves in the order they are written."""
    work = [expr]
    while work:
        node = work.pop()
        if isinstance(node, (And, Or)):
            work.extend(reversed(node.items))
        elif isinstance(node, Not):
            work.append(node.item)
        else:
            yield node


def fields_of(leaf: Leaf) -> tuple[str, ...]:
    """Return the fields a leaf reads."""
    if isinstance(leaf, TextLeaf):
        return (leaf.test.field,)
    if isinstance(leaf, Computed):
        return leaf.test.fields
    return () if isinstance(leaf, Const) else (leaf.field,)


def _join(items: tuple[Expr, ...], kind: type[And] | type[Or], neutral: Const, decided: Const) -> Expr:
    flat: list[Expr] = []
    for item in items:
        if item == decided:
            return decided
        if isinstance(item, kind):
            flat.extend(item.items)
        elif item != neutral:
            flat.append(item)
    out = _merge(flat, kind)
    if not out:
        return neutral
    return out[0] if len(out) == 1 else kind(out)


def _merge(items: list[Expr], kind: type[And] | type[Or]) -> tuple[Expr, ...]:
    """Join tests that differ only in their patterns: `a or b` into one test, `not a and not b` likewise."""
    patterns: dict[tuple[str, TextOp, bool], list[bytes]] = {}
    out: dict[object, Expr | None] = {}
    for item in items:
        test = _mergeable(item, kind)
        if test is None:
            out[len(out), ""] = item
        else:
            key = test.field, test.op, test.fold
            patterns.setdefault(key, []).extend(test.patterns)
            out.setdefault(key, None)
    tests = {key: TextLeaf(TextTest(*key, tuple(sorted(set(found))))) for key, found in patterns.items()}
    joined: dict[object, Expr] = {key: leaf if kind is Or else Not(leaf) for key, leaf in tests.items()}
    return tuple(joined[key] if item is None else item for key, item in out.items())


def _mergeable(item: Expr, kind: type[And] | type[Or]) -> TextTest | None:
    if kind is And:
        if not isinstance(item, Not):
            return None
        item = item.item
    if not isinstance(item, TextLeaf) or item.test.op not in _LISTS:
        return None
    return item.test
