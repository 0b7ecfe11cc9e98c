"""The schema of events that were seen: the types of their fields, their categories, and where which field stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kestrel_lab.schema.actions import Action
from kestrel_lab.schema.errors import LimitError
from kestrel_lab.schema.flat.flatten import Cell, Decimal
from kestrel_lab.schema.flat.layout import FlatEvent
from kestrel_lab.schema.schema import BUILTIN, Schema, named
from kestrel_lab.schema.types import Column, EqlType, Field, Physical, Row, Trust

MAX_CATEGORY_SETS = 255
MAX_FIELDS = 4_096
#: The columns that every table has.
COMMON = (
    Column("event_id", Physical.U64, delta=True),
    Column("ts_boot_ns", Physical.U64, delta=True),
    Column("action", Physical.U8),
)
_SAFE = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)
_RESERVED = frozenset(("entity", "strings"))  # names of streams

# What a field was seen to hold, as bits.
_BOOL, _INT, _NEGATIVE, _BIG, _FLOAT, _TEXT, _MANY = (1 << n for n in range(7))
_KINDS: Mapping[type, int] = {
    bool: _BOOL, float: _FLOAT, Decimal: _FLOAT, str: _TEXT, bytes: _TEXT,
}  # fmt: skip
_COLUMNS: Mapping[EqlType, Physical] = {
    EqlType.STRING: Physical.CODE,
    EqlType.IP: Physical.CODE,
    EqlType.INT: Physical.I64,
    EqlType.UINT: Physical.U64,
    EqlType.FLOAT: Physical.F64,
    EqlType.BOOL: Physical.BOOL,
    EqlType.DATE: Physical.I64,
}


def column_name(name: str) -> str:
    """Return the column of a field: its own name, where that is no common column's."""
    taken = name.startswith("=") or name in ("event_id", "ts_boot_ns", "action")
    return f"={name}" if taken else name


@dataclass
class Inference:
    """What was seen so far: by set of categories, what each field held."""

    seen: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)

    def see(self, event: FlatEvent) -> None:
        """Take note of an event.

        Raises:
            LimitError: if there are too many categories or fields.
        """
        held = self.seen.get(event.categories)
        if held is None:
            held = self.seen[event.categories] = {}
            if len(self.seen) > MAX_CATEGORY_SETS:
                raise LimitError(
                    f"the events have more than {MAX_CATEGORY_SETS} sets of categories",
                    do="Name the field that holds the kind of event: --category.",
                )
        for name, value in event.fields.items():
            bits = _KINDS.get(type(value)) or _bits(value)
            known = held.get(name)
            if known == bits:
                continue
            if known is None:
                held[name] = bits
                if len(held) > MAX_FIELDS:
                    raise LimitError(
                        f"the events have more than {MAX_FIELDS:,} fields",
                        do="Keys that are data (an id as the name of a field) belong into values.",
                    )
            elif known | bits != known:
                held[name] = known | bits

    def schema(self) -> Schema:
        """Return the schema that all of the events have."""
        sets = sorted(self.seen)
        tables = _table_names(sets)
        bits: dict[str, int] = {}
        places: dict[str, dict[str, None]] = {}
        for words in sets:
            for name, found in self.seen[words].items():
                bits[name] = bits.get(name, 0) | found
                places.setdefault(name, {})[tables[words]] = None
        fields = [_field(name, bits[name], tuple(places[name])) for name in sorted(bits)]
        columns = {t: COMMON + tuple(_column(f) for f in fields if t in f.tables) for t in tables.values()}
        if "event.sequence" not in bits:
            fields.append(_imported("event.sequence", EqlType.UINT, tuple(columns), "event_id", False))
        return Schema(
            named(fields),
            tuple(Action(tables[w], code, "event", (), "-", w) for code, w in enumerate(sets, 1)),
            columns | {"entity": BUILTIN.columns["entity"]},
            base=BUILTIN.fingerprint,
        )


def _bits(value: Cell) -> int:
    if isinstance(value, list):
        bits = _MANY
        for item in value:
            bits |= _KINDS.get(type(item)) or _bits(item)
        return bits
    if -(2**63) <= value < 2**63:
        return _INT | _NEGATIVE if value < 0 else _INT
    if 0 < value < 2**64:
        return _BIG
    return _FLOAT if value.bit_length() < 1023 else _TEXT  # no double is near it


def _type(bits: int) -> EqlType:
    """Return the type of a field that the builtin schema does not have."""
    if bits & _TEXT or (bits & _BOOL and bits & ~(_BOOL | _MANY)):
        return EqlType.STRING
    if bits & _BOOL:
        return EqlType.BOOL
    if bits & _FLOAT or (bits & _BIG and bits & _NEGATIVE):
        return EqlType.FLOAT
    return EqlType.UINT if bits & _BIG else EqlType.INT


def _field(name: str, bits: int, tables: tuple[str, ...]) -> Field:
    builtin = BUILTIN.fields.get(name)
    kind = _type(bits) if builtin is None else builtin.type
    many = bool(bits & _MANY) or (builtin is not None and builtin.many)
    return _imported(name, kind, tables, column_name(name), many)


def _imported(name: str, kind: EqlType, tables: tuple[str, ...], column: str, many: bool) -> Field:
    return Field(name, kind, tables, Row(column), Trust.IMPORTED, "-", "-", many)


def _column(entry: Field) -> Column:
    assert isinstance(entry.source, Row)
    physical = Physical.JSON if entry.many else _COLUMNS[entry.type]
    return Column(entry.source.column, physical, nullable=not physical.coded)


def _table_names(sets: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Return the table of each set of categories: named after the first one, where that can name a file."""
    firsts = list(dict.fromkeys(words[:1] for words in sets))
    names = {
        first: first[0] if first and _SAFE.fullmatch(first[0]) and first[0] not in _RESERVED else f"table-{n}"
        for n, first in enumerate(firsts, 1)
    }
    return {words: names[words[:1]] for words in sets}
