"""Which fields of an event say what it is, when it happened and what came first; and an event read by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kestrel_lab.schema.flat.convert import fit, text_of
from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.flat.flatten import Cell, Fields, flatten
from kestrel_lab.schema.flat.times import Unit, time_ns
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import EqlType

TIME = "@timestamp"
SOURCE_ID = "kestrel.source_id"
#: Where the original id is found if nothing else is said; the first that an event has.
IDS = (SOURCE_ID, "_id", "event.id")
_MS = 10**6

#: Fields whose type is known beforehand and not every value's: to text anything can be converted.
_TYPED: Mapping[str, EqlType] = {f.name: f.type for f in BUILTIN.fields.values() if f.type is not EqlType.STRING}


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of fields.

    Attributes:
        category: the words before `where`; an event without is matched by `any where` alone.
        timestamp: when it happened; None if events have no time: each is one millisecond after the one before.
        unit: what numbers in it count.
        tiebreaker: the order of events of one time; None for that in which they are given.
        id: what is kept as `kestrel.source_id`; None for `_id`, else `event.id`.
    """

    category: str = "event.category"
    timestamp: str | None = TIME
    unit: Unit = "ms"
    tiebreaker: str | None = None
    id: str | None = None

    def read(self, event: Mapping[str, Any], number: int, time: int | None = None) -> FlatEvent:
        """Return an event; `number` is how many there were before it, `time` its time in ns if that is known.

        Raises:
            RejectedError: if it has no time, or a value that does not fit its field.
        """
        fields = flatten(event)
        time = self._time(fields, number) if time is None else time
        if self.timestamp == TIME or TIME not in fields:
            fields[TIME] = time // _MS
        for name in [name for name in fields if name in _TYPED]:
            fields[name] = fit(name, _TYPED[name], fields[name])
        for name in (self.id,) if self.id else IDS:
            if name in fields:
                fields[SOURCE_ID] = fields[name]
                break
        tie = None if self.tiebreaker is None else fields.get(self.tiebreaker)
        return FlatEvent(fields, _words(fields.get(self.category)), time, tie)

    def _time(self, fields: Fields, number: int) -> int:
        if self.timestamp is None:
            return number * _MS
        value = fields.get(self.timestamp)
        if value is None:
            raise RejectedError(f"it has no `{self.timestamp}`")
        try:
            return time_ns(value, self.unit)
        except RejectedError as error:
            raise RejectedError(f"`{self.timestamp}`: {error}") from None


class FlatEvent(NamedTuple):
    """An event: its fields, those of the builtin schema converted; its categories; its time in ns since 1970."""

    fields: Fields
    categories: tuple[str, ...]
    time_ns: int
    tie: Cell


def _words(value: Cell) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(str(text_of(item)) for item in items))
