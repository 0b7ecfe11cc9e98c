"""Streams of events: values missing, in arrays, at one time, extreme, and such as public rules look for."""

from __future__ import annotations

import base64
from random import Random
from typing import Any

from tests.differential import vocabulary as v

#: Between two streams lies more time than any sequence waits (ms), so that one engine can see them one after the other.
APART_MS = 10 * 24 * 3600 * 1000
_KNOWN_TYPES: dict[str, Any] = {
    "t.word": "a", "t.words": ["a", "b"], "t.int": -1, "t.big": 2**64 - 1, "t.float": 0.5, "t.double": 0.5,
    "t.ints": [1, -1], "t.floats": [0.5, 1.5], "t.flag": True, "t.other": False, "t.flags": [True, False],
}  # fmt: skip


def first_event() -> dict[str, Any]:
    """Return an event that shows the type of every field of ours, before all streams."""
    return {"@timestamp": 0, "event.category": "none", **_KNOWN_TYPES}


def stream(rng: Random, number: int, size: int) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    now, out = (number + 1) * APART_MS, []
    focus = _focus(rng)
    for _ in range(size):
        now += rng.choice([0, 0, 0, 1, 2, 500, 1000, 60_000])
        out.append({"@timestamp": now, "event.category": _categories(rng), **_values(rng, focus)})
    return out


def _focus(rng: Random) -> dict[str, list[Any]]:
    """Return few values for the fields of join keys, so that events meet."""
    return {
        "host.id": rng.choices(["h1", "h2", None], k=2),
        "process.entity_id": rng.choices(["e1", "e2", None], k=2),
        "process.parent.entity_id": rng.choices(["e1", "e2", None], k=2),
        "process.pid": rng.choices(v.SIGNED, k=2),
    }


def _categories(rng: Random) -> Any:
    return rng.choice([*v.CATEGORIES, *v.CATEGORIES, ["process", "network"], [], None])


def _values(rng: Random, focus: dict[str, list[Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in v.TEXTS:
        out[name] = _maybe(rng, lambda n=name: _text(rng, n))
    for name in (*v.ARRAYS, *v.ADDRESS_ARRAYS, *v.NUMBER_ARRAYS, *v.FLAG_ARRAYS):
        out[name] = _maybe(rng, lambda n=name: [_maybe(rng, lambda: _element(rng, n), 0.1) for _ in _some(rng)])
    for names, values in ((v.INTS, v.SIGNED), (v.UINTS, v.UNSIGNED), (v.FLOATS, v.DOUBLES), (v.ADDRESSES, v.IPS)):
        for name in names:
            out[name] = _maybe(rng, lambda found=values: rng.choice(found))
    for name in v.FLAGS:
        out[name] = _maybe(rng, lambda: rng.random() < 0.5)
    for name, values in focus.items():
        out[name] = rng.choice(values)
    for name, texts in v.public_values().items():
        if name not in out and rng.random() < 0.2 and name in _PUBLIC:
            out[name] = rng.choice(texts)
    return {name: value for name, value in out.items() if value is not None}


_PUBLIC = ("process.parent.executable", "process.working_directory", "file.name", "file.extension", "host.os.family")


def _maybe(rng: Random, make: Any, missing: float = 0.3) -> Any:
    return None if rng.random() < missing else make()


def _some(rng: Random) -> range:
    return range(rng.choice([0, 1, 1, 2, 3]))


def _element(rng: Random, name: str) -> Any:
    if name in v.ADDRESS_ARRAYS:
        return rng.choice(v.IPS)
    if name in v.FLAG_ARRAYS:
        return rng.random() < 0.5
    if name in v.NUMBER_ARRAYS:
        return rng.choice(v.DOUBLES if name == "t.floats" else v.SIGNED)
    return _text(rng, name)


def _text(rng: Random, name: str) -> Any:
    chance = rng.random()
    if chance < 0.05:
        return {"$bytes": base64.b64encode(rng.choice(v.ODD)).decode()}
    found = v.public_values().get(name)
    if found and chance < 0.5:
        return rng.choice(found)
    return rng.choice(v.WORDS)
