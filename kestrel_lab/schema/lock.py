"""The schema lock: the whole field table as data, and its fingerprint. Stored in every recording."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from kestrel_lab.schema.actions import ACTIONS, TABLES
from kestrel_lab.schema.fields import FIELDS, SCHEMA_VERSION, columns_of
from kestrel_lab.schema.types import Column, Field, Source


def schema_lock() -> dict[str, Any]:
    """Return the field table, the physical columns and the actions as plain data, in a fixed order."""
    return {
        "schema_version": SCHEMA_VERSION,
        "actions": [
            {"code": a.code, "table": a.table, "name": a.name, "types": list(a.types),
             "categories": list(a.event_categories)}
            for a in ACTIONS
        ],
        "tables": {t: [_column(c) for c in columns_of(t)] for t in (*TABLES, "entity")},
        "fields": [_field(f) for f in FIELDS],
    }  # fmt: skip


def fingerprint(lock: dict[str, Any] | None = None) -> str:
    """Return the sha256 (hex) of a lock's canonical JSON; of this version's lock by default."""
    text = json.dumps(schema_lock() if lock is None else lock, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": column.physical.value, "nullable": column.nullable, "delta": column.delta}


def _source(source: Source) -> dict[str, str]:
    out = {"kind": type(source).__name__.lower()}
    return out | {name: getattr(source, name) for name in source.__slots__}


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type.value,
        "many": field.many,
        "tables": list(field.tables),
        "source": _source(field.source),
        "trust": field.trust.value,
        "since": field.since,
    }
