"""From JSON objects, nested or dotted, to fields: as Elasticsearch sees a document.

A field has one value or a list of at least two. Lists within lists, and the same name met twice, are one list; nulls
and empty lists are no values; the objects of a list give each of their fields a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.values import from_json

#: str, int, float, bool or bytes; or a list of two or more of them.
Cell: TypeAlias = Any
Fields: TypeAlias = dict[str, Cell]

MAX_DEPTH = 100
_PLAIN = frozenset((str, int, float, bool, bytes))
_SCALARS = tuple(_PLAIN)


class Decimal(float):
    """A number with a fraction or an exponent that remembers how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Decimal:
        """Take the text of a JSON number.

        Raises:
            RejectedError: if no double is near it.
        """
        self = super().__new__(cls, text)
        if self in (float("inf"), float("-inf")):
            raise RejectedError(f"the number {text} is out of range")
        self.text = text
        return self


def flatten(event: Mapping[str, Any]) -> Fields:
    """Return the fields of an event.

    Raises:
        RejectedError: if it is nested too deeply, or holds what JSON does not have.
    """
    out: Fields = {}
    for key, value in event.items():
        if type(value) in _PLAIN and key not in out:
            out[key] = value
        elif value is not None:
            _nested(out, key, value)
    return out


def _nested(out: Fields, name: str, value: Any) -> None:
    work = [(name, value, 0)]
    while work:
        name, value, depth = work.pop()
        if isinstance(value, _SCALARS):
            _add(out, name, value)
        elif isinstance(value, (Mapping, list, tuple)):
            if depth == MAX_DEPTH:
                raise RejectedError(f"it is nested deeper than {MAX_DEPTH}")
            work += reversed(_parts(name, value, depth + 1))
        elif value is not None:
            raise RejectedError(f"`{name}` is a {type(value).__name__}, which JSON does not have")


def _parts(name: str, value: Any, depth: int) -> list[tuple[str, Any, int]]:
    if not isinstance(value, Mapping):
        return [(name, item, depth) for item in value]
    if len(value) == 1 and not {"$bytes", "$f64"}.isdisjoint(value):
        try:
            return [(name, from_json(value), depth)]
        except (ValueError, TypeError):
            pass  # an object that happens to look like one
    return [(f"{name}.{key}", item, depth) for key, item in value.items()]


def _add(out: Fields, name: str, value: Cell) -> None:
    held = out.get(name)
    if held is None:
        out[name] = value
    elif type(held) is list:
        held.append(value)
    else:
        out[name] = [held, value]
