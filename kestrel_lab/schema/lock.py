"""The parts of a schema lock: fields, columns and actions as plain data and back, and the fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from kestrel_lab.schema.actions import Action
from kestrel_lab.schema.types import (
    ByAction,
    Column,
    Constant,
    Derived,
    Entity,
    EqlType,
    Field,
    Parent,
    Physical,
    Related,
    Row,
    Source,
    Target,
    Trust,
)

_SOURCES: Mapping[str, type[Source]] = {
    kind.__name__.lower(): kind for kind in (Row, Entity, Parent, Related, Target, ByAction, Constant, Derived)
}


def fingerprint(lock: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of a lock's canonical JSON."""
    return sha256(json.dumps(lock, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def action_data(action: Action) -> dict[str, Any]:
    """Return an action as plain data."""
    words = {"types": list(action.types), "categories": list(action.event_categories)}
    kind = {} if action.kind == "event" else {"kind": action.kind}  # since version 3
    return {"code": action.code, "table": action.table, "name": action.name, **words, **kind}


def action_from(data: Mapping[str, Any]) -> Action:
    """Return the action that `action_data` was given; what is for the documentation alone is not in it."""
    words = tuple(data["types"]), "-", tuple(data["categories"])
    return Action(data["table"], data["code"], data["name"], *words, data.get("kind", "event"))


def column_data(column: Column) -> dict[str, Any]:
    """Return a column as plain data."""
    return {"name": column.name, "type": column.physical.value, "nullable": column.nullable, "delta": column.delta}


def column_from(data: Mapping[str, Any]) -> Column:
    """Return the column that `column_data` was given."""
    return Column(data["name"], Physical(data["type"]), data["nullable"], data["delta"])


def field_data(field: Field) -> dict[str, Any]:
    """Return a field as plain data."""
    return {
        "name": field.name,
        "type": field.type.value,
        "many": field.many,
        "tables": list(field.tables),
        "source": _source_data(field.source),
        "trust": field.trust.value,
        "since": field.since,
    }


def field_from(data: Mapping[str, Any]) -> Field:
    """Return the field that `field_data` was given; what is for the documentation alone is not in it."""
    return Field(
        data["name"], EqlType(data["type"]), tuple(data["tables"]), _source_from(data["source"]), Trust(data["trust"]),
        "-", "-", data["many"], data["since"],
    )  # fmt: skip


def _source_data(source: Source) -> dict[str, str]:
    return {"kind": type(source).__name__.lower()} | {name: getattr(source, name) for name in source.__slots__}


def _source_from(data: Mapping[str, Any]) -> Source:
    return _SOURCES[data["kind"]](**{name: value for name, value in data.items() if name != "kind"})
