"""A rule's test file: `NAME.test.toml` beside `NAME.toml`. See docs/rule-tests.md."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kestrel_lab.schema.errors import RuleError

SUFFIX = ".test.toml"
_MAX_BYTES = 4 << 20
_UNITS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
_STEP_NS = 10 * 10**6  #: from one event to the next where the test does not say
_AT = re.compile(r"(\d+)(ms|s|m|h|d)", re.ASCII)
_HEADER = re.compile(r"^\s*\[\[\s*(\w+)\s*\]\]", re.M)
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_KEYS: Mapping[str, frozenset[str]] = {
    "fires": frozenset({"title", "events", "alerts"}),
    "quiet": frozenset({"title", "events"}),
    "undistinguished": frozenset({"condition", "reason"}),
}


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """An event of a case: `at_ns` after the case began, and its fields by ECS name."""

    at_ns: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `alerts`: for each alert that must be raised, the events it names, counted from 1; none: quiet."""

    kind: Literal["fires", "quiet"]
    title: str
    where: str
    events: tuple[CaseEvent, ...]
    alerts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Excuse:
    """A condition that no test has to distinguish, and why."""

    condition: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What a test file holds. `imported`: whether its events are as an import gives them, with any fields."""

    path: str
    cases: tuple[Case, ...]
    excuses: tuple[Excuse, ...]
    imported: bool


def tests_of(rule: str | Path) -> Path:
    """Return where the tests of a rule file are."""
    return Path(rule).with_suffix(SUFFIX)


def read(path: Path) -> CaseFile:
    """Return what a test file holds.

    Raises:
        RuleError: if it cannot be read, is no TOML, or is not laid out as it must be.
    """
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        where = f"{path}:{place[1]}:{place[2]}" if place else f"{path}:{len(text.splitlines())}"
        raise RuleError(f"broken TOML: {_PLACE.sub('', str(error)).strip()}", where=where) from error
    return _Reader(str(path), text, document).file()


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise RuleError(f"the file is larger than {_MAX_BYTES} bytes", where=str(path), do="Split it.")
        return data.decode()
    except OSError as error:
        raise RuleError(f"the test file cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise RuleError("the file is not UTF-8", where=str(path), do="Save it as UTF-8.") from error


class _Reader:
    def __init__(self, path: str, text: str, document: Mapping[str, Any]) -> None:
        self._path, self._document = path, document
        self._lines: dict[str, list[int]] = {}
        for found in _HEADER.finditer(text):
            self._lines.setdefault(found[1], []).append(text.count("\n", 0, found.start(1)) + 1)
        self._named = {name: flat(fields) for name, fields in self._table("events").items()}

    def file(self) -> CaseFile:
        for key in self._document:
            if key not in (*_KEYS, "events", "imported"):
                raise self._wrong(
                    f"unknown key {key!r}", "A test file has fires, quiet, undistinguished, events, fields."
                )
        cases = [*self._cases("fires"), *self._cases("quiet")]
        titles = [case.title for case in cases]
        for case in cases:
            if titles.count(case.title) > 1:
                raise RuleError(f"the title {case.title!r} stands twice", where=case.where)
        excuses = tuple(Excuse(entry["condition"], entry["reason"], where) for where, entry in self._excuses())
        return CaseFile(self._path, tuple(cases), excuses, self._imported())

    def _cases(self, kind: Literal["fires", "quiet"]) -> Iterator[Case]:
        for where, entry in self._entries(kind):
            self._words(where, entry, "title")
            events = self._events(where, entry.get("events"))
            whole = [list(range(1, len(events) + 1))]
            alerts = self._alerts(where, entry.get("alerts", whole), len(events)) if kind == "fires" else ()
            yield Case(kind, entry["title"], where, events, alerts)

    def _excuses(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for where, entry in self._entries("undistinguished"):
            self._words(where, entry, "condition", "reason")
            yield where, entry

    def _entries(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        entries = self._document.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise self._wrong(f"{kind} must be tables: [[{kind}]]")
        lines = self._lines.get(kind, [])
        for number, entry in enumerate(entries):
            where = f"{self._path}:{lines[number]}" if number < len(lines) else self._path
            for key in entry:
                if key not in _KEYS[kind]:
                    raise RuleError(f"unknown key {key!r} in [[{kind}]]", where=where)
            yield where, entry

    def _words(self, where: str, entry: Mapping[str, Any], *keys: str) -> None:
        for key in keys:
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                raise RuleError(f"{key} must be a text that is not empty", where=where)

    def _events(self, where: str, given: Any) -> tuple[CaseEvent, ...]:
        rows = _ndjson(where, given) if isinstance(given, str) else given
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise RuleError("events must be a list of tables, or lines of JSON objects", where=where)
        out: list[CaseEvent] = []
        for number, row in enumerate(rows, 1):
            out.append(self._event(f"{where} event {number}", row, out[-1].at_ns if out else None))
        return tuple(out)

    def _event(self, where: str, row: Mapping[str, Any], before_ns: int | None) -> CaseEvent:
        own = dict(row)
        at, use, without = own.pop("at", None), own.pop("use", None), own.pop("without", [])
        if use is not None and use not in self._named:
            raise RuleError(f"there is no [events.{use}]", where=where)
        if not isinstance(without, list):
            raise RuleError("without must be a list of field names", where=where)
        fields = (self._named[use] if use is not None else {}) | flat(own)
        for name in without:
            if fields.pop(name, None) is None:
                raise RuleError(f"without names {name!r}, which the event does not have", where=where)
        at_ns = _time(where, at) if at is not None else 0 if before_ns is None else before_ns + _STEP_NS
        if before_ns is not None and at_ns < before_ns:
            raise RuleError("the event is earlier than the one before", where=where, do="Events stand in time order.")
        return CaseEvent(at_ns, fields)

    def _alerts(self, where: str, given: Any, count: int) -> tuple[tuple[int, ...], ...]:
        good = isinstance(given, list) and given and all(isinstance(a, list) and a for a in given)
        if not good or not all(type(n) is int and 1 <= n <= count for alert in given for n in alert):
            do = "Write alerts = [[1, 2]]: for each alert, its events."
            raise RuleError(f"alerts must be lists of event numbers from 1 to {count}", where=where, do=do)
        return tuple(sorted(tuple(alert) for alert in given))

    def _imported(self) -> bool:
        found = self._document.get("imported", False)
        if not isinstance(found, bool):
            raise self._wrong("imported must be true or false")
        return found

    def _table(self, key: str) -> Mapping[str, Any]:
        found = self._document.get(key, {})
        if not isinstance(found, dict):
            raise self._wrong(f"{key} must be a table")
        return found

    def _wrong(self, what: str, do: str = "") -> RuleError:
        return RuleError(what, where=self._path, do=do)


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested tables as one, names joined by dots."""
    out: dict[str, Any] = {}
    work = [("", table)]
    while work:
        before, items = work.pop()
        for key, value in items.items():
            if isinstance(value, Mapping):
                work.append((f"{before}{key}.", value))
            else:
                out[before + key] = value
    return out


def _ndjson(where: str, text: str) -> Sequence[Any]:
    rows = []
    for line in filter(str.strip, text.splitlines()):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise RuleError(f"event {len(rows) + 1} is no JSON: {error}", where=where) from error
    return rows


def _time(where: str, text: Any) -> int:
    found = _AT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise RuleError(f"{text!r} is no time", where=where, do='Write at = "1500ms", "30s", "5m", "2h" or "1d".')
    return int(found[1]) * _UNITS[found[2]]
