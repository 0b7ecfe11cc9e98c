"""From JSON objects, nested or dotted, to fields: as Elasticsearch sees a document.

A field has one value or a list of at least two. Lists within lists, and the same name met twice, are one list; nulls
and empty lists are no values; the objects of a list give each of their fields a list.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.values import from_json

#: str, int, float, bool or bytes; or a list of two or more of them.
Cell: TypeAlias = Any
Fields: TypeAlias = dict[str, Cell]

MAX_DEPTH = 100


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


_SCALARS = (str, int, float, bool, bytes)
_PLAIN = frozenset((*_SCALARS, Decimal))


def flatten(event: Mapping[str, Any]) -> Fields:
    """Return the fields of an event.

    Raises:
        RejectedError: if it is nested too deeply, or holds what JSON does not have.
    """
    out: Fields = {}
    _object(out, "", event, 0)
    return out


#: Names of nested fields, by what they begin with and by their last part: one string object each, because all that is
#: done with fields is to look them up. Forgotten when there are too many.
_names: dict[str, dict[str, str]] = {}
_MOST_NAMES = 4_096


def _named(prefix: str, key: str) -> str:
    if len(_names) > _MOST_NAMES or len(_names.setdefault(prefix, {})) > _MOST_NAMES:
        _names.clear()
        _names[prefix] = {}
    return _names[prefix].setdefault(key, sys.intern(prefix + key) if type(key) is str else f"{prefix}{key}")


def _object(out: Fields, prefix: str, event: Mapping[str, Any], depth: int) -> None:
    known = _names.get(prefix) or {}
    for key, value in event.items():
        kind, name = type(value), known.get(key) or _named(prefix, key)
        if kind in _PLAIN:
            if name in out:
                _add(out, name, value)
            else:
                out[name] = value
        elif kind is dict:
            _inner(out, name, value, depth + 1)
        elif kind is list:
            _list(out, name, value, depth + 1)
        elif value is not None:
            _other(out, name, value, depth + 1)


def _inner(out: Fields, name: str, value: Mapping[str, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RejectedError(f"it is nested deeper than {MAX_DEPTH}")
    if len(value) == 1 and ("$bytes" in value or "$f64" in value):
        try:
            found = from_json(value)
        except (ValueError, TypeError):
            pass  # an object that happens to look like one
        else:
            _add(out, name, found)
            return
    _object(out, name + ".", value, depth)


def _list(out: Fields, name: str, values: Sequence[Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RejectedError(f"it is nested deeper than {MAX_DEPTH}")
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            _add(out, name, value)
        elif kind is dict:
            _inner(out, name, value, depth + 1)
        elif kind is list:
            _list(out, name, value, depth + 1)
        elif value is not None:
            _other(out, name, value, depth + 1)


def _other(out: Fields, name: str, value: Any, depth: int) -> None:
    """Take what a decoder of JSON does not give, but callers may: kinds of what it does."""
    if isinstance(value, _SCALARS):
        _add(out, name, value)
    elif isinstance(value, Mapping):
        _inner(out, name, value, depth)
    elif isinstance(value, tuple):
        _list(out, name, value, depth)
    else:
        raise RejectedError(f"`{name}` is a {type(value).__name__}, which JSON does not have")


def _add(out: Fields, name: str, value: Cell) -> None:
    held = out.get(name)
    if held is None:
        out[name] = value
    elif type(held) is list:
        held.append(value)
    else:
        out[name] = [held, value]
