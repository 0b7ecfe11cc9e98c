"""The cases of a test file as epochs: an epoch for each event; as recorded, or as an import gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingSegment
from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Derived, Entity, Field, Parent, Physical, Related, Row, Source, Target, link_of
from kestrel_lab.schema.values import array_text
from kestrel_lab.session.ruletest.events import complete
from kestrel_lab.session.ruletest.file import CaseFile
from kestrel_lab.session.ruletest.imported import imported_cases

_HOST = {"host.os.type": "linux", "host.id": "host", "host.name": "host"}
_OF = (Entity, Parent, Related, Target)
_TARGET = "target"
_LINKS = tuple(c.name for c in BUILTIN.columns_of("entity") if c.physical is Physical.REF)
_BEGIN_NS = 10**9  #: boot time of the beginning of each case
_WALL_NS = 1_700_000_000 * 10**9


class World:
    """The cases of a test file, ready to be run.

    Attributes:
        info: what is true of all of them.
        cases: the epochs of each; event ids go on from one case to the next.
        fields: the fields of every event, in order.

    Raises:
        RuleError: if an event is wrong.
    """

    def __init__(self, file: CaseFile) -> None:
        self.info = SourceInfo("rule-tests", _HOST)
        self.cases: list[list[Epoch]] = []
        self.fields: list[dict[str, Any]] = []
        if file.imported:
            self.info, self.cases, self.fields = imported_cases(file)
            return
        for number, case in enumerate(file.cases):
            segment, epochs, before = GrowingSegment(number), list[Epoch](), 0
            for place, event in enumerate(case.events, 1):
                fields = complete(f"{case.where} event {place}", event.fields)
                self.fields.append(fields)
                epochs.append(_epoch(segment, len(self.fields), _BEGIN_NS + event.at_ns, before, fields))
                before = epochs[-1].ts_max_ns
            self.cases.append(epochs)


def _epoch(segment: GrowingSegment, event_id: int, ts_ns: int, before_ns: int, fields: Mapping[str, Any]) -> Epoch:
    table = fields["event.category"][0]
    row: dict[str, Any] = {
        "event_id": event_id,
        "ts_boot_ns": ts_ns,
        "action": BUILTIN.action_code(table, fields["event.action"]),
        "entity": _image(segment, fields),
    }
    if table == "process":
        row["target"] = _entity(segment, fields, _TARGET, {})
    row |= {column: _physical(segment, f"{table}:{column}", value) for column, value in _stored(fields, table)}
    columns = {c.name: np.array([row.get(c.name) or 0], DTYPES[c.physical]) for c in BUILTIN.columns_of(table)}
    valid = {c.name: np.array([row.get(c.name) is not None]) for c in BUILTIN.columns_of(table)}
    return Epoch(
        number=event_id, segment=segment, first_event_id=event_id, rows=1, ts_min_ns=ts_ns, ts_max_ns=ts_ns,
        event_time_ns=before_ns, clock_boot_ns=0, clock_wall_ns=_WALL_NS,
        tables={table: ArrayRows(table, 1, columns, valid)}, string_counts=segment.string_counts(),
        entity_count=len(segment.entities),
    )  # fmt: skip


def _stored(fields: Mapping[str, Any], table: str) -> Iterator[tuple[str, Any]]:
    for entry, value in _known(fields):
        if isinstance(entry.source, Row) and table in entry.tables:
            yield entry.source.column, value


def _image(segment: GrowingSegment, fields: Mapping[str, Any]) -> int:
    """Return the entity of the acting process. Only an id can say that two events are of one process or parent."""
    related = {link: _entity(segment, fields, link, {}) for link in _LINKS}
    return _entity(segment, fields, "", {link: ref for link, ref in related.items() if ref})


def _entity(segment: GrowingSegment, fields: Mapping[str, Any], link: str, related: Mapping[str, int]) -> int:
    entity_id = next((v for e, v in _known(fields) if e.name.endswith(".entity_id") and _link(e) == link), None)
    columns = {e.source.column: v for e, v in _known(fields) if _whose(e.source) == link and isinstance(e.source, _OF)}
    if not columns and entity_id is None and not related:
        return 0
    row = {name: _physical(segment, f"entity:{name}", value) for name, value in columns.items()}
    identity = f"#{len(segment.entities)}" if entity_id is None else entity_id
    return segment.entities.add({**row, "entity_id": sha256(identity.encode()).digest()[:16], **related})


def _link(entry: Field) -> str | None:
    """Return whose entity id a field is the text of."""
    return _whose(BUILTIN.fields[entry.source.of].source) if isinstance(entry.source, Derived) else None


def _whose(source: Source) -> str | None:
    return _TARGET if isinstance(source, Target) else link_of(source)


def _known(fields: Mapping[str, Any]) -> Iterator[tuple[Field, Any]]:
    for name, value in fields.items():
        yield BUILTIN.fields[name], value


def _physical(segment: GrowingSegment, key: str, value: Any) -> Any:
    table, _, name = key.partition(":")
    column = BUILTIN.columns_by_name(table)[name]
    if column.physical is Physical.CODES:
        return segment.strings(key).codes([item.encode() for item in value])
    if column.physical is Physical.JSON:
        return segment.strings(key).code(array_text([item.encode() for item in value]) if value else None)
    if column.physical is Physical.CODE:
        return segment.strings(key).code(value.encode())
    return value + 1 if table == "entity" and column.nullable else value
