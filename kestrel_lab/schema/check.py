"""Whether a schema that was read is one: what a reader relies on when it looks fields up in rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kestrel_lab.schema.actions import Action
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.derive import OF_LIST, SCALAR
from kestrel_lab.schema.types import (
    Absent,
    ByAction,
    Column,
    Constant,
    Derived,
    Entity,
    Field,
    Parent,
    Related,
    Row,
    Target,
)

_TABLE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_RESERVED = ("entity", "strings")


def check(fields: Mapping[str, Field], actions: Sequence[Action], columns: Mapping[str, tuple[Column, ...]]) -> None:
    """Do nothing for a whole schema.

    Raises:
        ValueError: saying what is wrong.
    """
    codes = [a.code for a in actions]
    if codes != sorted(set(codes)) or any(not 0 < code < 256 for code in codes):
        raise ValueError("the codes of actions are no rising numbers from 1 to 255")
    tables = {a.table for a in actions}
    if any(not _TABLE.fullmatch(t) or t in _RESERVED for t in tables) or {*tables, "entity"} != set(columns):
        raise ValueError("the tables are not those of the actions")
    if columns["entity"] != tuple(c for c in ENTITY_COLUMNS if c in columns["entity"]):
        raise ValueError("the columns of processes are others")
    names = {table: {c.name for c in own} for table, own in columns.items()}
    if any(len(names[table]) != len(own) for table, own in columns.items()):
        raise ValueError("two columns of a table have one name")
    for field in fields.values():
        if not set(field.tables) <= tables or not all(
            _found(field, fields, names[t], names["entity"]) for t in field.tables
        ):
            raise ValueError(f"the field {field.name} is nowhere to be found")


def _found(field: Field, fields: Mapping[str, Field], row: set[str], entity: set[str]) -> bool:
    match field.source:
        case Row(column):
            return column in row
        case Entity(column) | Parent(column):
            return "entity" in row and column in entity
        case Related(link, column):
            return "entity" in row and {link, column} <= entity
        case Target(column):
            return {"entity", "target"} <= row and column in entity
        case ByAction(attribute):
            return attribute in ("event_categories", "types", "name", "kind")
        case Derived(function, of):
            base = fields.get(of)
            known = function in SCALAR or function in OF_LIST
            return known and base is not None and not isinstance(base.source, Derived)
        case Constant() | Absent():
            return True
