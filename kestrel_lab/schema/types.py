"""Words of the field table: EQL types, physical columns, sources of a field, trust."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import pyarrow as pa


class EqlType(StrEnum):
    """A field's type as the EQL compiler sees it."""

    STRING = "string"
    INT = "int"  #: signed 64 bits
    UINT = "uint"  #: unsigned 64 bits
    FLOAT = "float"
    BOOL = "bool"
    IP = "ip"  #: stored as canonical text
    DATE = "date"  #: milliseconds since 1970, signed 64 bits


class Trust(StrEnum):
    """Who could have changed the value before it was read."""

    KERNEL = "kernel"
    USER_MEMORY = "user_memory"
    PROCFS = "procfs"
    DERIVED = "derived"
    IMPORTED = "imported"


class Physical(StrEnum):
    """A physical column. `CODE` is an int32 into the column's dictionary, 0 = missing;
    `JSON` the same, each value of the dictionary being the JSON text of an array (see `values.array_text`);
    `CODES` a list of codes; `REF` a uint32 row of the segment's entity table, 0 = unknown.
    """

    CODE = "code"
    JSON = "json"
    CODES = "codes"
    REF = "ref"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    I32 = "i32"
    I64 = "i64"
    F64 = "f64"
    BOOL = "bool"
    BIN16 = "bin16"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the column while open: codes are plain int32."""
        return _ARROW[self]

    @property
    def coded(self) -> bool:
        """Whether a row holds one code into the column's dictionary."""
        return self in (Physical.CODE, Physical.JSON)


_ARROW: dict[Physical, pa.DataType] = {
    Physical.CODE: pa.int32(),
    Physical.JSON: pa.int32(),
    Physical.CODES: pa.list_(pa.field("item", pa.int32(), nullable=False)),
    Physical.REF: pa.uint32(),
    Physical.U8: pa.uint8(),
    Physical.U16: pa.uint16(),
    Physical.U32: pa.uint32(),
    Physical.U64: pa.uint64(),
    Physical.I32: pa.int32(),
    Physical.I64: pa.int64(),
    Physical.F64: pa.float64(),
    Physical.BOOL: pa.bool_(),
    Physical.BIN16: pa.binary(16),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A physical column of a table (or of the entity table). Only `nullable` ones carry a validity bitmap; codes and
    refs use 0. In the entity table a nullable number is stored plus one, and 0 is missing. `delta`: stored on disk as
    differences within each record batch.
    """

    name: str
    physical: Physical
    nullable: bool = False
    delta: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The field is the column of the same name in the event's own row."""

    column: str


@dataclass(frozen=True, slots=True)
class Entity:
    """The field is a column of the entity the row refers to."""

    column: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The field is a column of the parent of the entity the row refers to, frozen when the entity began."""

    column: str


@dataclass(frozen=True, slots=True)
class Related:
    """The field is a column of another entity: the one that `link`, a `REF` column of the row's entity, refers to."""

    link: str
    column: str


@dataclass(frozen=True, slots=True)
class Target:
    """The field is a column of the entity that the act is about, which the row's `target` refers to."""

    column: str


@dataclass(frozen=True, slots=True)
class ByAction:
    """The field is a function of the action: `attribute` of `Action` (a word or a tuple of words)."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Constant:
    """The field is one value for the whole recording, from the manifest's host section."""

    key: str


@dataclass(frozen=True, slots=True)
class Derived:
    """The field is `function` (see `derive.py`) of another field's value, once per distinct value."""

    function: str
    of: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No event here has the field: rules may name it, and it is missing everywhere."""


Source: TypeAlias = Row | Entity | Parent | Related | Target | ByAction | Constant | Derived | Absent


def link_of(source: Source) -> str | None:
    """Return the column that leads from a row's entity to the one that the field is of; empty if it is that one, None
    if the field is of no entity."""
    match source:
        case Entity():
            return ""
        case Parent():
            return "parent"
        case Related(link, _):
            return link
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the field table.

    Attributes:
        name: the ECS name rules use.
        type: its EQL type; `many` says that it is an array.
        tables: where it can have a value.
        source: how its value is found from a row.
        trust, read, doc: who could change it, when it is read relative to the act, what it means.
        since: the schema version that brought it.
    """

    name: str
    type: EqlType
    tables: tuple[str, ...]
    source: Source
    trust: Trust
    read: str
    doc: str
    many: bool = False
    since: int = 1
