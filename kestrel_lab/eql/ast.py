"""The syntax tree of a query, as written. Every node keeps `pos`, its offset in the text.

`depth` counts the parentheses, `not`s, calls and signs that stand around one another; the parser refuses too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import TypeAlias

MatchKind = OneOf["in", "in~", ":", "like", "like~", "regex", "regex~"]
CompareOp = OneOf["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, boolean or null."""

    pos: int
    value: str | int | float | bool | None
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A field; `optional` if written with `?`."""

    pos: int
    name: str
    optional: bool = False
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `fold` if written with `~`."""

    pos: int
    name: str
    fold: bool
    args: tuple[Node, ...]
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right`; a sign has no left side."""

    pos: int
    op: str
    left: Node | None
    right: Node
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`; `pos` is the operator's."""

    pos: int
    op: CompareOp
    left: Node
    right: Node
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Match:
    """`left kind (items)`; one item where there are no parentheses. `pos` is the operator's."""

    pos: int
    kind: MatchKind
    negated: bool
    left: Node
    items: tuple[Node, ...]
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """`not item`."""

    pos: int
    item: Node
    depth: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Junction:
    """`and` or `or` of two or more items."""

    pos: int
    op: OneOf["and", "or"]
    items: tuple[Node, ...]
    depth: int = field(default=0, compare=False)


Node: TypeAlias = Literal | Name | Call | Arithmetic | Compare | Match | Not | Junction


@dataclass(frozen=True, slots=True)
class Filter:
    """`category where condition`; no category for `any`."""

    pos: int
    category: str | None
    condition: Node


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a sequence or sample, to be matched `runs` times in a row; `missing` if written `![...]`."""

    pos: int
    filter: Filter
    by: tuple[Node, ...]
    runs: int = 1
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """`sequence by ... with maxspan=... items until ...`; `maxspan` in ns."""

    pos: int
    by: tuple[Node, ...]
    maxspan: int | None
    items: tuple[Item, ...]
    until: Item | None


@dataclass(frozen=True, slots=True)
class Sample:
    """`sample by ... items`."""

    pos: int
    by: tuple[Node, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """`| kind count`."""

    pos: int
    kind: OneOf["head", "tail"]
    count: int


Body: TypeAlias = Filter | Sequence | Sample


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query: what it looks for, and the pipes its results go through, in order."""

    body: Body
    pipes: tuple[Pipe, ...] = ()
