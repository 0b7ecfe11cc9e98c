"""Elasticsearch's own EQL suite as cases: a query, its events as a source, and what it has to find.

What Elasticsearch learns from a mapping, and events alone do not say, is said here: which texts are dates in a format
of their own, and which text stands for null.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from kestrel_lab.schema.flat import FlatSource, Layout, source_of
from tests.eql.corpora import CORPORA

FOLDER = CORPORA / "es_eql_suite"
EXCEPTIONS = Path(__file__).with_name("es_eql_suite_exceptions.toml")

Ids = tuple[int | None, ...]


@dataclass(frozen=True)
class DataSet:
    """Events of the suite: the files, how they are read, and the field that `expected_event_ids` are of."""

    files: tuple[str, ...]
    layout: Layout
    id: str


DATA: Mapping[str, DataSet] = {
    "endgame": DataSet(
        ("endgame_test_data.json",),
        Layout("event_type", "timestamp", "filetime", "serial_event_id", "serial_event_id"),
        "serial_event_id",
    ),
    "extra": DataSet(("extra.json",), Layout("event_type", tiebreaker="sequence", id="sequence"), "sequence"),
    "missing": DataSet(
        ("missing-events.json",), Layout("event_type", tiebreaker="sequence", id="sequence"), "sequence"
    ),
    "sample": DataSet(
        ("sample1.json", "sample2.json", "sample3.json"), Layout("event_type", None, id="id"), "id"
    ),
}  # fmt: skip
FILES: Mapping[str, tuple[str, int]] = {
    "test_queries.toml": ("endgame", 133),
    "additional_test_queries.toml": ("endgame", 61),
    "test_queries_date.toml": ("endgame", 4),
    "test_extra.toml": ("extra", 40),
    "test_missing_events.toml": ("missing", 26),
    "test_sample.toml": ("sample", 25),
}


@dataclass(frozen=True)
class Case:
    """A query. `expected`: the answers it may give, ids in order; `size`: how many results are asked for."""

    name: str
    query: str
    data: str
    expected: tuple[Ids, ...]
    size: int | None = None


@cache
def cases() -> tuple[Case, ...]:
    """Return every case of the suite; none where it is absent."""
    if not FOLDER.exists():
        return ()
    return (*(c for name, (data, _) in FILES.items() for c in _queries(name, data)), *_series())


@cache
def exceptions() -> Mapping[str, str]:
    """Return the cases that are not held to, each with the reason."""
    found = tomllib.loads(EXCEPTIONS.read_text())["exception"]
    return {entry["name"]: entry["reason"] for entry in found}


@cache
def source(data: str, epoch_rows: int = 65_536) -> FlatSource:
    """Return the events of a data set."""
    if data.startswith("series "):
        events = [*_series_events(data.removeprefix("series "))]
        return source_of(events, Layout("event_type", "time", "ms", id="time"), epoch_rows=epoch_rows)
    found = DATA[data]
    raw = [event for name in found.files for event in json.loads((FOLDER / "data" / name).read_text())]
    return source_of([_mapped(event) for event in raw], found.layout, epoch_rows=epoch_rows)


def id_field(data: str) -> str:
    """Return the field that expected ids are values of."""
    return "time" if data.startswith("series ") else DATA[data].id


def _queries(name: str, data: str) -> Iterator[Case]:
    for entry in tomllib.loads((FOLDER / name).read_text())["queries"]:
        ids: list[Any] = entry["expected_event_ids"]
        options = ids if ids and isinstance(ids[0], list) else [ids]
        expected = tuple(tuple(None if i == -1 else i for i in option) for option in options)
        yield Case(f"{name.removesuffix('.toml')}: {entry['name']}", entry["query"], data, expected, entry.get("size"))


def _mapped(event: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(event)
    if out.get("optional_field_default_null", "") is None:
        out["optional_field_default_null"] = "NULL"
    for name in ("@timestamp_pretty", "date", "date_tags"):
        if name in out:
            out[name] = [_millis(v) for v in out[name]] if isinstance(out[name], list) else _millis(out[name])
    return out


def _millis(text: str) -> int:
    """Return a date in one of the formats that the mappings name, as ms since 1970."""
    if text.isdigit():
        return int(text)
    day_first = len(text.partition("-")[0]) == 2
    found = datetime.strptime(text, "%d-%m-%Y") if day_first else datetime.fromisoformat(text)
    return int(found.replace(tzinfo=UTC).timestamp() * 1000)


# the specification of the matcher alone: one line a stage


@cache
def _specs() -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
    """Return stage lines and expected lines of each case."""
    text = (FOLDER / "sequences.series-spec").read_text()
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith("//")]
    out = {}
    while lines:
        name, end = lines[0].strip(), lines.index(";")
        after = lines.index(";", end + 1)
        out[name] = lines[1:end], lines[end + 1 : after]
        lines = lines[after + 1 :]
    return out


def _series() -> Iterator[Case]:
    for name, (stages, expected) in _specs().items():
        by = "by key" if any("|" in line for line in stages) else ""
        query = f"sequence {by} {' '.join(f'[S{n} where true]' for n in range(len(stages)))}"
        ids = tuple(int(word.rpartition("|")[2][1:]) for line in expected for word in line.split())
        yield Case(f"series: {name}", query, f"series {name}", (ids,))


def _series_events(name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_specs()[name][0]):
        for word in line.split():
            key, _, point = word.rpartition("|")
            yield {"event_type": f"S{number}", "time": int(point[1:]), "key": key}
