"""Syntax trees of Lua rules. `pos` is an offset into the text; `depth` how deep a node nests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Constant:
    """nil, a boolean, a number (an int where it is whole) or a string."""

    pos: int
    value: bytes | int | float | bool | None
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    pos: int
    name: str
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Index:
    """`object[key]`; `object.key` has a constant key, and `pos` is that of the key."""

    pos: int
    object: Expr
    key: Expr
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`."""

    pos: int
    function: Expr
    arguments: tuple[Expr, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function; parameters with their places."""

    pos: int
    parameters: tuple[Name, ...]
    body: Block
    depth: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`not`, `-` or `#`."""

    pos: int
    op: str
    item: Expr
    depth: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison or arithmetic."""

    pos: int
    op: str
    left: Expr
    right: Expr
    depth: int


@dataclass(frozen=True, slots=True)
class Chain:
    """`and`, `or` or `..` over two items or more."""

    pos: int
    op: str
    items: tuple[Expr, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Paren:
    """An expression in parentheses: one value."""

    pos: int
    item: Expr
    depth: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table; positional entries have no key."""

    pos: int
    entries: tuple[tuple[Expr | None, Expr], ...]
    depth: int


Expr: TypeAlias = Constant | Name | Index | Call | Function | Unary | Binary | Chain | Paren | Table


@dataclass(frozen=True, slots=True)
class Local:
    """`local names = values`."""

    pos: int
    names: tuple[Name, ...]
    values: tuple[Expr, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """`targets = values`."""

    pos: int
    targets: tuple[Name | Index, ...]
    values: tuple[Expr, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Run:
    """A call for its effect."""

    pos: int
    call: Call
    depth: int


@dataclass(frozen=True, slots=True)
class Do:
    """`do ... end`."""

    pos: int
    block: Block
    depth: int


@dataclass(frozen=True, slots=True)
class Loop:
    """`while condition do`, or `repeat ... until condition`, where `until` is set."""

    pos: int
    condition: Expr
    block: Block
    until: bool
    depth: int


@dataclass(frozen=True, slots=True)
class If:
    """Conditions and their blocks, and the last one's without a condition."""

    pos: int
    clauses: tuple[tuple[Expr, Block], ...]
    otherwise: Block | None
    depth: int


@dataclass(frozen=True, slots=True)
class For:
    """`for name = values do` (two or three), or where `each` is set `for names in values do`."""

    pos: int
    names: tuple[Name, ...]
    values: tuple[Expr, ...]
    block: Block
    each: bool
    depth: int


@dataclass(frozen=True, slots=True)
class FunctionStatement:
    """`function name`, or `local function name`."""

    pos: int
    name: Name
    function: Function
    local: bool
    depth: int


@dataclass(frozen=True, slots=True)
class Return:
    """`return values`."""

    pos: int
    values: tuple[Expr, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Break:
    """`break`."""

    pos: int
    depth: int = 1


Stat: TypeAlias = Local | Assignment | Run | Do | Loop | If | For | FunctionStatement | Return | Break


@dataclass(frozen=True, slots=True)
class Block:
    """Statements."""

    items: tuple[Stat, ...]
    depth: int
