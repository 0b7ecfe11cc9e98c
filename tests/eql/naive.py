"""EQL by definition: slow, obvious, and independent of the compiler behind its parser.

An event is a dict: field name to bytes, int, float, bool, tuple of bytes, or None; absent is missing. It also has
`event.sequence` (the event_id) and `ts` (boot time, ns).
"""

from __future__ import annotations

import ipaddress
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kestrel_lab.eql import ast
from kestrel_lab.eql.parse import parse
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import EqlType
from tests.eql import lucene

KNOWN = {*BUILTIN.fields, "t.float", "t.flag"}
Event = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Match:
    """What a query found: the events, and the join key they share."""

    event_ids: tuple[int, ...]
    key: Key = ()


def run(text: str, events: Sequence[Event]) -> list[Match]:
    """Return what a query finds in events in event_id order, in the order of the last events."""
    query = parse(text)
    found = look(query.body, events)
    for pipe in query.pipes:
        found = found[: pipe.count] if pipe.kind == "head" else found[max(0, len(found) - pipe.count) :]
    return found


def look(body: ast.Body, events: Sequence[Event]) -> list[Match]:
    if isinstance(body, ast.Filter):
        return [Match((e["event.sequence"],)) for e in events if passes(body, e)]
    if isinstance(body, ast.Sample) or any(item.missing for item in body.items):
        raise NotImplementedError
    return _Sequences(body).run(events)


def events_of(source: EpochSource) -> list[dict[str, Any]]:
    """Return the events of a source as dicts with every field of the schema, in event_id order."""
    out: list[dict[str, Any]] = []
    for epoch in source.epochs():
        for table, rows in epoch.tables.items():
            part: list[dict[str, Any]] = [{"ts": int(ts)} for ts in rows.column("ts_boot_ns")]
            for entry in FIELDS:
                for event, value in zip(
                    part, python_values(resolve(source.info, epoch, table, entry.name)), strict=True
                ):
                    event[entry.name] = value
            out += part
    return sorted(out, key=lambda e: e["event.sequence"])


# one event


def passes(query: ast.Filter, event: Event) -> bool:
    """Return whether an event is of the category and satisfies the condition."""
    if query.category is not None and query.category.encode() not in (event.get("event.category") or ()):
        return False
    return holds(query.condition, event)


def holds(node: ast.Node, event: Event) -> bool:
    """A condition as a filter sees it: a leaf on a missing value is false; `not` and `!=` are plain negation."""
    if isinstance(node, ast.Not):
        return not holds(node.item, event)
    if isinstance(node, ast.Junction):
        return (all if node.op == "and" else any)(holds(item, event) for item in node.items)
    if isinstance(node, ast.Compare) and node.op == "!=":
        return value(ast.Compare(node.pos, "==", node.left, node.right), event) is not True
    if isinstance(node, ast.Match) and node.negated:
        return value(ast.Match(node.pos, node.kind, False, node.left, node.items), event) is not True
    return value(node, event) is True


def value(node: ast.Node, event: Event) -> Any:
    """A value as an operand sees it: null makes null. Strings are bytes; an array is a tuple."""
    if isinstance(node, ast.Literal):
        return node.value.encode() if isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name):
        return present(event.get(node.name))
    if isinstance(node, ast.Not):
        return negated(value(node.item, event))
    if isinstance(node, ast.Junction):
        found = [value(item, event) for item in node.items]
        decided = node.op == "or"
        return decided if decided in found else None if None in found else not decided
    if isinstance(node, ast.Compare):
        return compared(node, event)
    if isinstance(node, ast.Match):
        return matched(node, event)
    if isinstance(node, ast.Call):
        return called(node, event)
    raise NotImplementedError(type(node).__name__)


def present(found: Any) -> Any:
    """Return null for an empty array and for one of nulls only."""
    if isinstance(found, tuple | list):
        return tuple(v for v in found if v is not None) or None
    return found


def negated(found: bool | None) -> bool | None:
    return None if found is None else not found


def each(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def compared(node: ast.Compare, event: Event) -> bool | None:
    if node.op == "!=":
        return negated(compared(ast.Compare(node.pos, "==", node.left, node.right), event))
    left, right = value(node.left, event), value(node.right, event)
    if any(is_null(side) for side in (node.left, node.right)):
        return left is None and right is None
    if left is None or right is None:
        return None
    same = same_address if is_address(node.left) or is_address(node.right) else operator.eq
    compare = {"==": same, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[node.op]
    return any(compare(a, b) for a, b in itertools.product(each(left), each(right)))


def is_null(node: ast.Node) -> bool:
    """Return whether a side is null whatever the event: written so, or an optional field that does not exist."""
    if isinstance(node, ast.Name):
        return node.optional and node.name not in KNOWN
    return isinstance(node, ast.Literal) and node.value is None


def is_address(node: ast.Node) -> bool:
    known = BUILTIN.fields.get(node.name) if isinstance(node, ast.Name) else None
    return known is not None and known.type is EqlType.IP


def same_address(a: bytes, b: bytes) -> bool:
    def packed(text: bytes) -> Any:
        try:
            found = ipaddress.ip_address(text.decode())
        except ValueError:
            return text
        return getattr(found, "ipv4_mapped", None) or found

    return bool(packed(a) == packed(b))


def matched(node: ast.Match, event: Event) -> bool | None:
    if node.negated:
        return negated(matched(ast.Match(node.pos, node.kind, False, node.left, node.items), event))
    found = value(node.left, event)
    if found is None:
        return None
    items = [value(item, event) for item in node.items]
    same = same_address if is_address(node.left) else operator.eq
    return any(match(node.kind, v, item, same) for v in each(found) for item in items)


def match(kind: str, found: Any, item: Any, same: Callable[[Any, Any], bool]) -> bool:
    if kind.startswith("regex"):
        return lucene.matches(item.decode(), found, fold=kind == "regex~")
    if kind.endswith("~") or kind == ":":
        found, item = (s.lower() if isinstance(s, bytes) else s for s in (found, item))
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


def called(node: ast.Call, event: Event) -> bool | None:
    """A boolean function: null for a null argument, else true if any element passes."""
    name = node.name.lower()
    if name not in ("cidrmatch", "startswith", "endswith", "stringcontains"):
        raise NotImplementedError(name)
    found, *rest = (value(a, event) for a in node.args)
    if found is None or None in rest:
        return None
    if name == "cidrmatch":
        return any(in_block(v, block) for v in each(found) for block in rest)
    wanted = rest[0].lower() if node.fold else rest[0]
    values = [v.lower() if node.fold else v for v in each(found)]
    if name == "stringcontains":
        return any(wanted != b"" and wanted in v for v in values)
    return any(v.startswith(wanted) if name == "startswith" else v.endswith(wanted) for v in values)


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


# sequences


@dataclass
class _Pending:
    """A sequence that has matched some stages: its events and the event time of the first."""

    ids: tuple[int, ...]
    first_ns: int


@dataclass
class _Sequences:
    query: ast.Sequence
    items: list[ast.Item] = field(init=False)
    pending: dict[tuple[Key, int], _Pending] = field(default_factory=dict)  # at most one for each key and stage
    found: list[Match] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items = [item for item in self.query.items for _ in range(item.runs)]

    def run(self, events: Sequence[Event]) -> list[Match]:
        now = 0
        for event in events:
            now = max(now, event["ts"])  # event time never goes back
            self.step(event, now)
        return self.found

    def step(self, event: Event, now: int) -> None:
        before = len(self.found)
        for stage in reversed(range(len(self.items))):
            item = self.items[stage]
            if passes(item.filter, event):
                for key in self.keys(item, event):
                    self.match(stage, key, event["event.sequence"], now)
        self.found[before:] = sorted(self.found[before:], key=lambda m: (m.event_ids, repr(m.key)))
        until = self.query.until
        if until is not None and passes(until.filter, event):
            for key in self.keys(until, event):
                for stage in range(len(self.items)):
                    self.pending.pop((key, stage), None)

    def match(self, stage: int, key: Key, event_id: int, now: int) -> None:
        if stage == 0:
            self.pending[key, 0] = _Pending((event_id,), now)
            return
        old = self.pending.pop((key, stage - 1), None)  # gone, even if it is then rejected
        if old is None or (self.query.maxspan is not None and now - old.first_ns > self.query.maxspan):
            return
        new = _Pending((*old.ids, event_id), old.first_ns)
        if stage == len(self.items) - 1:
            self.found.append(Match(new.ids, key))
        else:
            self.pending[key, stage] = new

    def keys(self, item: ast.Item, event: Event) -> Iterator[Key]:
        """Yield the join keys of an event: a product where fields are arrays; none if a plain key is null."""
        names = [name for name in (*self.query.by, *item.by) if isinstance(name, ast.Name)]
        options = []
        for name in names:
            found = value(name, event)
            distinct = list(dict.fromkeys(each(found)))
            options.append(distinct if found is not None else [None] if name.optional else [])
        yield from itertools.product(*options)
