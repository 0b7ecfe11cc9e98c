"""Synthetic events told in full: whatever an event says, with strings and processes for codes and refs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from kestrel_lab.schema.epoch import Epoch, Rows
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Physical
from kestrel_lab.synth import SyntheticSource, SynthOptions

NAMES = {a.code: a.name for a in BUILTIN.actions}


@dataclass(frozen=True)
class Told:
    """An event: what it is, who did it (process number, exec_seq, ref in its segment) and whose child that is."""

    event_id: int
    ts: int
    table: str
    action: str
    who: tuple[int, int]
    ref: int
    parent: tuple[int, int]
    segment: int


def epochs(**options: Any) -> list[Epoch]:
    return [*SyntheticSource(SynthOptions(**options)).epochs()]


def image(entities: Rows, ref: int) -> tuple[int, int]:
    identity = bytes(entities.column("entity_id")[ref])
    return int.from_bytes(identity[8:], "big"), int(entities.column("exec_seq")[ref])


def told(source: Iterable[Epoch]) -> Iterator[Told]:
    """Yield the events in order, by what the entity table says of them."""
    for epoch in source:
        entities, found = epoch.segment.entities, []
        parents = entities.column("parent")
        for table, rows in epoch.tables.items():
            names = ("event_id", "ts_boot_ns", "action", "entity")
            for event_id, ts, action, ref in zip(*(rows.column(n).tolist() for n in names), strict=True):
                assert 0 < ref < epoch.entity_count
                who = image(entities, ref), ref, image(entities, parents[ref]), epoch.segment.index
                found.append(Told(event_id, ts, table, NAMES[action], *who))
        yield from sorted(found, key=lambda event: event.event_id)


def values(epoch: Epoch, table: str, column: str) -> list[Any]:
    """Return the values of a column: bytes, numbers, images; None where there is none."""
    rows = epoch.tables[table]
    kind = BUILTIN.columns_by_name(table)[column]
    found: list[Any] = rows.column(column).tolist()
    if kind.physical.coded:
        count = epoch.string_counts.get(f"{table}:{column}", 1)
        texts = [None, *epoch.segment.strings(f"{table}:{column}").values(1, count)]
        return [texts[code] for code in found]
    if kind.physical is Physical.REF:
        entities = epoch.segment.entities
        return [image(entities, ref) if ref else None for ref in found]
    valid = rows.valid(column)
    return found if valid is None else [v if ok else None for v, ok in zip(found, valid.tolist(), strict=True)]


def digest(source: Iterable[Epoch]) -> str:
    """Return a hash of everything that events say, wherever epochs end; columns that say nothing do not count."""
    columns: dict[tuple[str, str], Any] = {}
    for epoch in source:
        for table in epoch.tables:
            for column in BUILTIN.columns_of(table):
                found = values(epoch, table, column.name)
                hash_, says = columns.setdefault((table, column.name), [sha256(), False])
                hash_.update("".join(map(repr, found)).encode())
                columns[table, column.name][1] = says or any(found)
        hash_ = columns.setdefault(("entity", "args"), [sha256(), True])[0]
        hash_.update("".join(map(repr, entity_args(epoch))).encode())
    parts = sorted((*key, hash_.hexdigest()) for key, (hash_, says) in columns.items() if says)
    return sha256(repr(parts).encode()).hexdigest()


def entity_args(epoch: Epoch) -> Iterator[tuple[bytes, ...]]:
    """Yield the arguments of the images that began in an epoch."""
    entities = epoch.segment.entities
    offsets, codes = entities.lists("args")
    texts = [b"", *epoch.segment.strings("entity:args").values(1, epoch.string_counts["entity:args"])]
    first = int(np.searchsorted(entities.column("first_event_id"), epoch.first_event_id))
    for ref in range(first, epoch.entity_count):
        yield tuple(texts[code] for code in codes[offsets[ref] : offsets[ref + 1]])


def all_strings(source: Iterable[Epoch]) -> set[bytes]:
    """Return every string of every dictionary."""
    out: set[bytes] = set()
    for epoch in source:
        for key, count in epoch.string_counts.items():
            out.update(epoch.segment.strings(key).values(1, count))
    return out
