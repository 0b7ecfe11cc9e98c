"""EQL by definition: slow, obvious, and independent of the compiler behind its parser.

An event is a dict: field name to bytes, int, float, bool, a tuple of one of them, or None; absent is missing. It also
has `event.sequence` (the event_id), `ts` (boot time, ns) and maybe `categories`, without which they are those of
`event.category`.
"""

from __future__ import annotations

import ipaddress
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kestrel_lab.eql import ast
from kestrel_lab.eql.parse import parse
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.schema.types import Absent, EqlType, Field
from tests.eql import lucene
from tests.eql import naive_values as values
from tests.eql.naive_values import Instant, Unsigned
from tests.eql.strategies import FIELDS

Event = Mapping[str, Any]
Fields = Mapping[str, Field]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Match:
    """What a query found: the events, None for a missing one, and the join key they share."""

    event_ids: tuple[int | None, ...]
    key: Key = ()


def run(text: str, events: Sequence[Event], fields: Fields = FIELDS) -> list[Match]:
    """Return what a query finds in events in event_id order, in the order of the last events."""
    query = _parsed(text)
    found = _look(query.body, events, fields)
    for pipe in query.pipes:
        found = found[: pipe.count] if pipe.kind == "head" else found[max(0, len(found) - pipe.count) :]
    return found


@lru_cache(maxsize=1024)
def _parsed(text: str) -> ast.Query:
    return parse(text)


def passes(query: ast.Filter, event: Event, fields: Fields = FIELDS) -> bool:
    """Return whether an event is of the category and satisfies the condition."""
    words = each(event["categories"] if "categories" in event else event.get("event.category"))
    if query.category is not None and query.category.encode() not in words:
        return False
    return _Condition(event, fields).holds(query.condition)


def events_of(source: EpochSource) -> list[dict[str, Any]]:
    """Return the events of a source as dicts with every field of the schema, in event_id order."""
    out: list[dict[str, Any]] = []
    there = [f for f in source.info.schema.fields.values() if not isinstance(f.source, Absent)]
    for epoch in source.epochs():
        for table, rows in epoch.tables.items():
            part: list[dict[str, Any]] = [{"ts": int(ts)} for ts in rows.column("ts_boot_ns")]
            for event, code in zip(part, rows.column("action").tolist(), strict=True):
                event["categories"] = tuple(c.encode() for c in source.info.schema.action(code).event_categories)
            for entry in there:
                for event, value in zip(
                    part, python_values(resolve(source.info, epoch, table, entry.name)), strict=True
                ):
                    event[entry.name] = value
            out += part
    return sorted(out, key=lambda e: e["event.sequence"])


def _look(body: ast.Body, events: Sequence[Event], fields: Fields) -> list[Match]:
    if isinstance(body, ast.Filter):
        return [Match((e["event.sequence"],)) for e in events if passes(body, e, fields)]
    if isinstance(body, ast.Sample):
        return samples(body, events, fields)
    return sequences(body, events, fields)


# one event


@dataclass
class _Condition:
    """The conditions of one event. `chosen`: for each occurrence of a field in a leaf, the element it stands for."""

    event: Event
    fields: Fields
    chosen: dict[int, Any] = field(default_factory=dict)

    def holds(self, node: ast.Node) -> bool:
        """A condition as a filter sees it: a leaf on a missing value is false; `not` and `!=` are plain negation."""
        if isinstance(node, ast.Not):
            return not self.holds(node.item)
        if isinstance(node, ast.Junction):
            return (all if node.op == "and" else any)(self.holds(item) for item in node.items)
        if isinstance(node, ast.Compare) and node.op == "!=":
            return not self.leaf(ast.Compare(node.pos, "==", node.left, node.right))
        if isinstance(node, ast.Match) and node.negated:
            return not self.leaf(ast.Match(node.pos, node.kind, False, node.left, node.items))
        return self.leaf(node)

    def leaf(self, node: ast.Node) -> bool:
        """A leaf is true if it is for any choice of elements; each occurrence of a field iterates on its own."""
        occurrences = [n for n in walk(node) if isinstance(n, ast.Name)]
        for choice in itertools.product(*(self.elements(n.name) for n in occurrences)):
            self.chosen = {id(n): v for n, v in zip(occurrences, choice, strict=True)}
            if self.value(node) is True:
                return True
        return False

    def elements(self, name: str) -> list[Any]:
        found = self.event.get(name)
        known = self.fields.get(name)
        if known is None:
            return [None]
        items = [v for v in each(found) if v is not None]
        if known.type is EqlType.UINT:
            items = [Unsigned(v) for v in items]
        if known.type is EqlType.DATE:
            items = [Instant(v) for v in items]
        return items or [None]

    def value(self, node: ast.Node) -> Any:
        """A value as an operand sees it: null makes null."""
        if isinstance(node, ast.Literal):
            found = node.value
            if isinstance(found, str):
                return found.encode()
            return Unsigned(found) if isinstance(found, int) and found > values.INT_MAX else found
        if isinstance(node, ast.Name):
            return self.chosen[id(node)]
        if isinstance(node, ast.Not):
            return negated(self.value(node.item))
        if isinstance(node, ast.Junction):
            found = [self.value(item) for item in node.items]
            decided = node.op == "or"
            return decided if any(v is decided for v in found) else None if None in found else not decided
        if isinstance(node, ast.Compare):
            return self.compared(node)
        if isinstance(node, ast.Match):
            return self.matched(node)
        if isinstance(node, ast.Call):
            return self.called(node)
        right = self.value(node.right)
        if node.left is None:
            return right if node.op == "+" or right is None else values.minus(right)
        left = self.value(node.left)
        return None if left is None or right is None else values.calculate(node.op, left, right)

    def compared(self, node: ast.Compare) -> bool | None:
        if node.op == "!=":
            return negated(self.compared(ast.Compare(node.pos, "==", node.left, node.right)))
        left, right = self.value(node.left), self.value(node.right)
        if self.is_null(node.left) or self.is_null(node.right):
            return left is None and right is None if node.op == "==" else None
        if left is None or right is None:
            return None
        left, right = dated(left, right), dated(right, left)
        same = same_address if self.is_address(node.left) or self.is_address(node.right) else operator.eq
        compare = {"==": same, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[node.op]
        return bool(compare(left, right))

    def is_null(self, node: ast.Node) -> bool:
        """Whether something is null whatever the event: so is an optional field that does not exist."""
        if isinstance(node, ast.Call):
            name = node.name.lower()
            optional = {"between": 3, "indexof": 2, "number": 1, "substring": 2}.get(name)
            return any(self.is_null(a) for a in node.args[:optional])
        if isinstance(node, ast.Arithmetic):
            return (node.left is not None and self.is_null(node.left)) or self.is_null(node.right)
        if isinstance(node, ast.Match) and not node.negated:
            return self.is_null(node.left)
        if isinstance(node, ast.Name):
            return node.name not in self.fields
        constant = not any(isinstance(n, ast.Name) and n.name in self.fields for n in walk(node))
        return constant and self.constant(node) is None

    def constant(self, node: ast.Node) -> Any:
        return _Condition({}, self.fields, {id(n): None for n in walk(node)}).value(node)

    def is_address(self, node: ast.Node) -> bool:
        known = self.fields.get(node.name) if isinstance(node, ast.Name) else None
        return known is not None and known.type is EqlType.IP

    def matched(self, node: ast.Match) -> bool | None:
        if node.negated:
            return negated(self.matched(ast.Match(node.pos, node.kind, False, node.left, node.items)))
        found = self.value(node.left)
        if found is None:
            return None
        items = [self.value(item) for item in node.items]
        same = same_address if self.is_address(node.left) else operator.eq
        return any(match(node.kind, found, dated(item, found), same) for item in items if item is not None)

    def called(self, node: ast.Call) -> Any:
        """A function: null for a null argument that is required."""
        name = node.name.lower()
        found = [self.value(a) for a in node.args]
        required = {"between": 3, "indexof": 2, "number": 1, "substring": 2}.get(name, len(found))
        if None in found[:required]:
            return None
        if name == "cidrmatch":
            return any(in_block(found[0], block) for block in found[1:])
        if name == "concat":
            return b"".join(values.string(v) for v in found)
        if name == "between":
            return values.between(*found, **({"folded": True} if node.fold else {}))
        if name in ARITHMETIC:
            return values.calculate(ARITHMETIC[name], *found)
        if node.fold:
            found = [values.fold(v) if isinstance(v, bytes) else v for v in found]
        return FUNCTIONS[name](*found)


ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulo": "%"}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "length": values.length,
    "indexof": values.index_of,
    "substring": values.substring,
    "string": values.string,
    "number": values.number,
    "startswith": lambda text, part: text[: len(part)] == part,
    "endswith": lambda text, part: part == b"" or text[-len(part) :] == part,
    "stringcontains": lambda text, part: part != b"" and values.find(text, part, 0) >= 0,
}


def walk(root: ast.Node) -> Iterator[ast.Node]:
    """Yield a node and everything in it."""
    work = [root]
    while work:
        node = work.pop()
        yield node
        for name in ("item", "left", "right"):
            found = getattr(node, name, None)
            work += [found] if found is not None else []
        work += [*getattr(node, "items", ()), *getattr(node, "args", ())]


def negated(found: bool | None) -> bool | None:
    return None if found is None else not found


def each(found: Any) -> tuple[Any, ...]:
    return tuple(found) if isinstance(found, tuple | list) else (found,)


def dated(value: Any, other: Any) -> Any:
    """Return a text as a date where it is compared with one."""
    return values.instant(value) if isinstance(value, bytes) and isinstance(other, Instant) else value


def same_address(a: bytes, b: bytes) -> bool:
    def packed(text: bytes) -> Any:
        try:
            found = ipaddress.ip_address(text.decode())
        except ValueError:
            return None
        return getattr(found, "ipv4_mapped", None) or found

    return packed(a) is not None and bool(packed(a) == packed(b))


def match(kind: str, found: Any, item: Any, same: Callable[[Any, Any], bool]) -> bool:
    if kind.startswith("regex"):
        return lucene.matches(item.decode(), found, fold=kind == "regex~")
    if kind.endswith("~") or kind == ":":
        found, item = (values.fold(s) if isinstance(s, bytes) else s for s in (found, item))
    if kind in ("in", "in~"):
        return same(found, item)
    return glob(item.decode("utf-8", "surrogateescape"), found.decode("utf-8", "surrogateescape"))


def glob(pattern: str, text: str) -> bool:
    """`*` any run, `?` one character. `reach` is the set of lengths of text that the pattern so far can cover."""
    reach = {0}
    for char in pattern:
        if char == "*":
            reach = set(range(min(reach), len(text) + 1)) if reach else reach
        else:
            reach = {n + 1 for n in reach if n < len(text) and char in ("?", text[n])}
    return len(text) in reach


def in_block(text: bytes, block: bytes) -> bool:
    """Compare bit by bit, IPv4 as the IPv6 addresses it is mapped to."""

    def bits(address: bytes) -> str:
        found = ipaddress.ip_address(address.decode())
        return f"{int(found):0128b}" if found.version == 6 else "0" * 80 + "1" * 16 + f"{int(found):032b}"

    head, slash, length = block.partition(b"/")
    try:
        have = bits(text)
    except ValueError:
        return False
    size = 128 if not slash else int(length) + (0 if b":" in head else 96)
    return have[:size] == bits(head)[:size]


# several events


def keys(by: tuple[ast.Node, ...], item: ast.Item, event: Event, fields: Fields) -> list[Key]:
    """Return the join keys of an event: a product where fields are arrays; none if a plain key is null."""
    options = []
    for name in (*by, *item.by):
        assert isinstance(name, ast.Name)
        known = fields.get(name.name)
        items = [v for v in each(event.get(name.name)) if v is not None and known is not None]
        options.append(list(dict.fromkeys(items)) or ([None] if name.optional else []))
    return [Joined(key) for key in itertools.product(*options)]


class Joined(tuple[Any, ...]):
    """A key. Equality is typed: 5 is not 5.0, and true is not 1."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and _typed(self) == _typed(other)

    def __hash__(self) -> int:
        return hash(_typed(self))


def _typed(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((isinstance(v, float), isinstance(v, bool), v) for v in key)


@dataclass(frozen=True)
class _Hit:
    """An event under one of its keys: id and event time, which never goes back (ns)."""

    id: int
    now: int


@dataclass
class _Sequence:
    """A state machine over the items that are events, and what it has found, in the order of the last events."""

    query: ast.Sequence
    items: list[ast.Item]
    pending: dict[tuple[Key, int], list[_Hit]] = field(default_factory=dict)  # at most one for each key and stage
    found: list[tuple[Key, list[_Hit]]] = field(default_factory=list)

    def match(self, stage: int, key: Key, hit: _Hit) -> None:
        if stage == 0:
            old: list[_Hit] | None = []
        else:
            old = self.pending.pop((key, stage - 1), None)  # gone, even if it is then rejected
            maxspan = self.query.maxspan
            if old is None or (maxspan is not None and hit.now - old[0].now > maxspan):
                return
        if stage == len(self.items) - 1:
            self.found.append((key, [*old, hit]))
        else:
            self.pending[key, stage] = [*old, hit]


def sequences(query: ast.Sequence, events: Sequence[Event], fields: Fields) -> list[Match]:
    """Candidates of the events that are there, then a check of those that must not be."""
    shape = [item for item in query.items for _ in range(item.runs)]
    machine = _Sequence(query, [item for item in shape if not item.missing])
    seen: dict[int, list[tuple[Key, _Hit]]] = {n: [] for n, item in enumerate(shape) if item.missing}
    now = 0
    for event in events:
        now = max(now, event["ts"])
        hit = _Hit(event["event.sequence"], now)
        for number, of_item in seen.items():
            if passes(shape[number].filter, event, fields):
                of_item += [(key, hit) for key in keys(query.by, shape[number], event, fields)]
        _step(machine, event, hit, fields)
    candidates = [(key, hits) for key, hits in machine.found if _nothing_between(query, shape, key, hits, seen)]
    out = [(hits[-1].id, Match(_placed(shape, hits), key)) for key, hits in candidates]
    return [m for _, m in sorted(out, key=lambda pair: (pair[0], repr(pair[1].event_ids), repr(pair[1].key)))]


def _step(machine: _Sequence, event: Event, hit: _Hit, fields: Fields) -> None:
    by, until = machine.query.by, machine.query.until
    for stage in reversed(range(len(machine.items))):
        item = machine.items[stage]
        if passes(item.filter, event, fields):
            for key in keys(by, item, event, fields):
                machine.match(stage, key, hit)
    if until is not None and passes(until.filter, event, fields):
        for key in keys(by, until, event, fields):
            for stage in range(len(machine.items)):
                machine.pending.pop((key, stage), None)


def _placed(shape: Sequence[ast.Item], hits: Sequence[_Hit]) -> tuple[int | None, ...]:
    left = iter(hits)
    return tuple(None if item.missing else next(left).id for item in shape)


def _nothing_between(
    query: ast.Sequence, shape: Sequence[ast.Item], key: Key, hits: Sequence[_Hit],
    seen: Mapping[int, list[tuple[Key, _Hit]]],
) -> bool:  # fmt: skip
    """Check a candidate: in the middle nothing strictly between the neighbours; at the ends nothing within maxspan."""
    first, last = hits[0].now, hits[-1].now
    before, after = [], []
    place = 0  # of the next event
    for number, item in enumerate(shape):
        if not item.missing:
            place += 1
            continue
        times = [hit.now for other, hit in seen[number] if other == key]
        if place == 0:
            before += [t for t in times if t < first]
        elif place == len(hits):
            after += [t for t in times if t > last]
        elif any(hits[place - 1].now < t < hits[place].now for t in times):
            return False
    span = query.maxspan or 0
    leading, trailing = shape[0].missing, shape[-1].missing
    if leading and trailing:
        return not before or not after or min(after) - max(before) > span
    if leading:
        return not before or last - max(before) > span
    return not trailing or not after or min(after) - first > span


def samples(query: ast.Sample, events: Sequence[Event], fields: Fields) -> list[Match]:
    """For each key one sample: at the first event that makes one possible, the least in the order of the items."""
    held: dict[Key, list[list[int]]] = {}
    done: dict[Key, Match] = {}
    for event in events:
        touched: dict[Key, None] = {}
        for number, item in enumerate(query.items):
            if passes(item.filter, event, fields):
                for key in keys(query.by, item, event, fields):
                    held.setdefault(key, [[] for _ in query.items])[number].append(event["event.sequence"])
                    touched[key] = None
        for key in touched:
            if key not in done:
                found = next((c for c in itertools.product(*held[key]) if len(set(c)) == len(c)), None)
                if found is not None:
                    done[key] = Match(found, key)
    return list(done.values())
