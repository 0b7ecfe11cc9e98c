"""A schema: the fields, actions and columns that a source has. `BUILTIN` is that of the recorder; an imported
recording has one of its own, which extends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kestrel_lab.schema import lock
from kestrel_lab.schema.actions import ACTIONS, Action
from kestrel_lab.schema.check import check
from kestrel_lab.schema.columns import COMMON_COLUMNS, ENTITY_COLUMNS, TABLE_COLUMNS
from kestrel_lab.schema.fields import FIELDS, SCHEMA_VERSION
from kestrel_lab.schema.types import (
    Absent,
    ByAction,
    Column,
    Constant,
    Derived,
    Entity,
    Field,
    Parent,
    Physical,
    Related,
    Row,
    Target,
)
from kestrel_lab.schema.vocabulary import VOCABULARY

#: Every field that a rule may name in any schema, for those in which no event has it.
_ABSENT: Mapping[str, Field] = VOCABULARY | {f.name: replace(f, tables=(), source=Absent()) for f in FIELDS}


def named(fields: Iterable[Field]) -> dict[str, Field]:
    """Return fields by name, and after them all those that a rule may name and no event has."""
    found = {f.name: f for f in fields}
    return found | {name: f for name, f in _ABSENT.items() if name not in found}


@dataclass(frozen=True, eq=False)
class Schema:
    """Fields, actions and columns. Two are equal if their fingerprints are.

    Attributes:
        fields: every field that a rule may name; those that no event has (`Absent`) are no part of the lock.
        actions: every kind of event, in code order.
        columns: physical columns by table, `entity` last.
        version: the version of the builtin table that it is, or extends.
        base: fingerprint of the schema that it extends, empty for none.
    """

    fields: Mapping[str, Field]
    actions: tuple[Action, ...]
    columns: Mapping[str, tuple[Column, ...]]
    version: int = SCHEMA_VERSION
    base: str = ""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Schema) and self.fingerprint == other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The event tables, in the order of their first action."""
        return tuple(dict.fromkeys(a.table for a in self.actions))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 (hex) of the lock's canonical JSON."""
        return lock.fingerprint(self.lock())

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every dictionary of a segment; a key's place here stands for it in what is stored."""
        return tuple(key for table in (*self.tables, "entity") for key in self.dictionary_keys(table))

    @cached_property
    def key_numbers(self) -> Mapping[str, int]:
        """The place in `keys` of each key."""
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def _by_code(self) -> Mapping[int, Action]:
        return {a.code: a for a in self.actions}

    @cached_property
    def _by_name(self) -> Mapping[str, Mapping[str, Column]]:
        return {table: {c.name: c for c in columns} for table, columns in self.columns.items()}

    def columns_of(self, table: str) -> tuple[Column, ...]:
        """Return the physical columns of an event table, or of the entity table (`entity`), in order."""
        return self.columns[table]

    def columns_by_name(self, table: str) -> Mapping[str, Column]:
        """Return the same by name."""
        return self._by_name[table]

    def dictionary_keys(self, table: str) -> tuple[str, ...]:
        """Return the dictionary keys (`table:column`) of a table's string columns."""
        return tuple(
            f"{table}:{c.name}" for c in self.columns[table] if c.physical.coded or c.physical is Physical.CODES
        )

    def action(self, code: int) -> Action:
        """Return the action of a code; KeyError if there is none."""
        return self._by_code[code]

    def action_code(self, table: str, name: str) -> int:
        """Return the uint8 code of an action; KeyError if there is none of that name."""
        for action in self.actions:
            if (action.table, action.name) == (table, name):
                return action.code
        raise KeyError((table, name))

    def actions_of(self, table: str) -> tuple[Action, ...]:
        """Return the actions of one table, in code order."""
        return tuple(a for a in self.actions if a.table == table)

    def tables_holding(self, category: str | None) -> tuple[str, ...]:
        """Return the tables that may hold an event of `category` (`None`: any), in table order."""
        holding = {a.table for a in self.actions if category is None or category in a.event_categories}
        return tuple(t for t in self.tables if t in holding)

    def dictionary_key(self, table: str, field: str) -> str:
        """Return the `key` of the dictionary that `resolve` finds a string, IP or array field of a table in.

        Raises:
            KeyError: if there is no such field.
        """
        entry = self.fields[field]
        if table not in entry.tables:
            return "missing"
        match entry.source:
            case Derived(function, of):
                return f"{self.dictionary_key(table, of)}|{function}"
            case Constant(key):
                return f"constant:{key}"
            case ByAction(attribute):
                return f"action:{attribute}"
            case Row(column):
                return f"{table}:{column}"
            case Entity(column) | Parent(column) | Related(_, column) | Target(column):
                return f"entity:{column}"
            case Absent():
                return "missing"

    def lock(self) -> dict[str, Any]:
        """Return the schema lock: all of it as plain data, in a fixed order."""
        out: dict[str, Any] = {
            "schema_version": self.version,
            "actions": [lock.action_data(a) for a in self.actions],
            "tables": {t: [lock.column_data(c) for c in self.columns[t]] for t in (*self.tables, "entity")},
            "fields": [lock.field_data(f) for f in self.fields.values() if not isinstance(f.source, Absent)],
        }
        return out | {"base": self.base} if self.base else out

    @classmethod
    def from_lock(cls, data: Mapping[str, Any]) -> Schema:
        """Return the schema of a lock; the builtin fields that it lacks are there and missing everywhere.

        Raises:
            KeyError, ValueError, TypeError: if the data is no lock.
        """
        fields = named(map(lock.field_from, data["fields"]))
        actions = tuple(lock.action_from(a) for a in data["actions"])
        columns = {t: tuple(lock.column_from(c) for c in own) for t, own in data["tables"].items()}
        check(fields, actions, columns)
        return cls(fields, actions, columns, int(data["schema_version"]), str(data.get("base", "")))


BUILTIN = Schema(
    named(FIELDS),
    ACTIONS,
    {**{table: COMMON_COLUMNS + own for table, own in TABLE_COLUMNS.items()}, "entity": ENTITY_COLUMNS},
)
