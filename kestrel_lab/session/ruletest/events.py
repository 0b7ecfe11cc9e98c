"""Events as a test writes them, made whole: what the action and other fields decide need not be written."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from kestrel_lab.schema.derive import OF_LIST, SCALAR, basename
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Absent, Derived, EqlType, Field

_PYTHON: Mapping[EqlType, tuple[type, ...]] = {EqlType.STRING: (str,), EqlType.IP: (str,), EqlType.BOOL: (bool,),
                                              EqlType.FLOAT: (int, float)}  # fmt: skip
_OTHERS = "See docs/fields.md for the fields there are; imported = true lets a test have others."
_SAME = (("process.executable", "process.name"), ("process.parent.executable", "process.parent.name"))


def complete(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's fields with those that follow from them, where it does not name them.

    `event.action` gives category and type, an executable the process's name, and a path its name, extension and
    folder; arguments their number and the command line.

    Raises:
        RuleError: for an unknown field, a value of the wrong type, or an action that does not exist.
    """
    fields = dict(given)
    for name, value in fields.items():
        _check(where, name, value)
    _add_action(where, fields)
    for path, name in _SAME:
        if path in fields and name not in fields:
            fields[name] = (basename(fields[path].encode()) or b"").decode()
    for entry in BUILTIN.fields.values():
        if isinstance(entry.source, Derived) and entry.name not in fields and entry.source.of in fields:
            found = _derived(entry.source.function, fields[entry.source.of])
            if found is not None:
                fields[entry.name] = found
    return fields


def _add_action(where: str, fields: dict[str, Any]) -> None:
    name = fields.get("event.action")
    if "event.category" in fields:
        return
    action = next((a for a in BUILTIN.actions if a.name == name), None)
    if action is None:
        near = get_close_matches(str(name), [a.name for a in BUILTIN.actions], 1)
        raise RuleError(
            f"event.action is {name!r}, which no event here has" if name else "the event has no event.action",
            where=where, do=f"Did you mean {near[0]}?" if near else "Name the action, or event.category.",
        )  # fmt: skip
    fields["event.category"], fields["event.type"] = list(action.event_categories), list(action.types)


def _check(where: str, name: str, value: Any) -> None:
    entry = BUILTIN.fields.get(name)
    if entry is None:
        near = get_close_matches(name, BUILTIN.fields, 1)
        do = f"Did you mean {near[0]}?" if near else _OTHERS
        raise RuleError(f"unknown field {name!r}", where=where, do=do)
    if isinstance(entry.source, Absent):
        raise RuleError(
            f"no event here has the field {name!r}", where=where, do="See docs/fields.md for those that do."
        )
    for item in value if entry.many and isinstance(value, list) else [value]:
        if not _fits(entry, item):
            raise RuleError(f"{name} is of type {entry.type}, and {item!r} is not", where=where)


def _fits(entry: Field, value: Any) -> bool:
    kind = _PYTHON.get(entry.type, (int,))
    return isinstance(value, kind) and isinstance(value, bool) == (entry.type is EqlType.BOOL)


def _derived(function: str, value: Any) -> Any:
    if function in OF_LIST:
        items = value if isinstance(value, list) else [value]
        found = OF_LIST[function]([item.encode() for item in items])
    elif function == "hex":
        return None
    else:
        found = SCALAR[function](value.encode())
    return found.decode() if isinstance(found, bytes) else found
