"""Events of any shape become a source that gives back what they held, with types that were inferred."""

from __future__ import annotations

import base64
import json
import pickle
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine import Engine
from kestrel_lab.schema.errors import LimitError
from kestrel_lab.schema.flat import FlatSource, Layout, source_of
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import EqlType
from tests.engine.support import pack_of
from tests.schema.flat.support import rows_of

NO_TIME = Layout(timestamp=None)

scalars = st.one_of(
    st.text(st.characters(), max_size=4),  # lone surrogates included
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
values = st.recursive(st.one_of(st.none(), scalars), lambda v: st.lists(v, max_size=3), max_leaves=6)
objects = st.dictionaries(st.sampled_from(["a", "b", "a.b", "action", "=x", ""]), values, max_size=4)
events = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "o", "event_id", "ts_boot_ns", "action", "=action", "x y"]),
    st.one_of(values, objects, st.lists(objects, max_size=2)),
    max_size=5,
)


def leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(f"{name}.{key}" if name else key, item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(name, item)]
    return [] if value is None else [(name, value)]


def cells_of(event: dict[str, Any]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for key, value in event.items():
        for name, leaf in (
            leaves(key, value)
            if not isinstance(value, dict)
            else [x for k, v in value.items() for x in leaves(f"{key}.{k}", v)]
        ):
            out.setdefault(name, []).append(leaf)
    return out


def kind_of(items: list[Any]) -> EqlType:
    types = {type(i) for i in items}
    if types == {bool}:
        return EqlType.BOOL
    if str in types or bool in types:
        return EqlType.STRING
    if float in types:
        return EqlType.FLOAT
    if min(items) < 0:
        return EqlType.FLOAT if max(items) >= 2**63 else EqlType.INT
    return EqlType.UINT if max(items) >= 2**63 else EqlType.INT


def as_kind(kind: EqlType, value: Any) -> Any:
    if kind is EqlType.STRING:
        text = value if isinstance(value, str) else json.dumps(value)
        return text.encode("utf-8", "surrogatepass")
    return float(value) if kind is EqlType.FLOAT else value


def same(a: Any, b: Any) -> bool:
    """Equal in type as well, and in the sign of zero."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    return type(a) is type(b) and a == b


def assert_holds(source: FlatSource, given: list[dict[str, Any]]) -> None:
    cells = [cells_of(event) for event in given]
    names = {name for event in cells for name in event}
    kinds = {n: kind_of([v for e in cells for v in e.get(n, ())]) for n in names}
    many = {n: any(len(e.get(n, ())) > 1 for e in cells) for n in names}
    fields = source.info.schema.fields
    for name in names:
        assert (fields[name].type, fields[name].many) == (kinds[name], many[name]), name
    for event, row in zip(cells, rows_of(source), strict=True):
        row = {n: v for n, v in row.items() if n not in ("table", "ts", "@timestamp", "event.sequence")}
        assert row.keys() == event.keys()
        for name, items in event.items():
            typed = tuple(as_kind(kinds[name], i) for i in items)
            assert same(row[name], typed if many[name] else typed[0]), (name, row[name], typed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(events, min_size=1, max_size=6), st.integers(1, 3))
def test_what_events_hold_comes_back(given: list[dict[str, Any]], epoch_rows: int) -> None:
    source = source_of(given, NO_TIME, epoch_rows=epoch_rows)
    assert not source.rejected
    assert [len(e.tables["table-1"]) for e in source.epochs()][:-1] == [epoch_rows] * ((len(given) - 1) // epoch_rows)
    assert_holds(source, given)
    again = pickle.loads(pickle.dumps(source))
    assert rows_of(again) == rows_of(source)
    schema = source.info.schema
    assert Schema.from_lock(json.loads(json.dumps(schema.lock()))) == schema == again.info.schema


def test_events_come_in_the_order_of_time_then_tiebreaker_then_line() -> None:
    given = [
        {"t": "2020-01-01T00:00:00.000000002Z", "n": 1, "i": 0},
        {"t": "2020-01-01T00:00:00.000000001Z", "n": "b", "i": 1},
        {"t": "2020-01-01T01:00:00.000000001+01:00", "n": 10, "i": 2},
        {"t": "2020-01-01T00:00:00.000000001", "i": 3},
        {"t": "2020-01-01 00:00:00,000000001", "n": 9, "i": 4},
        {"t": "2020-01-01", "n": 10, "i": 5},
        {"t": "2020-01-01T00:00:00.000000001Z", "n": 9, "i": 6},
    ]
    rows = rows_of(source_of(given, Layout(timestamp="t", tiebreaker="n")))
    assert [r["i"] for r in rows] == [5, 4, 6, 2, 1, 3, 0]
    assert [r["ts"] - 1577836800 * 10**9 for r in rows] == [0, 1, 1, 1, 1, 1, 2]
    assert [r["@timestamp"] for r in rows] == [1577836800000] * 7
    assert [r["i"] for r in rows_of(source_of(given, Layout(timestamp="t")))] == [5, 1, 2, 3, 4, 6, 0]


@pytest.mark.parametrize(
    ("value", "unit", "ns"),
    [
        (1, "s", 10**9), (1, "ms", 10**6), (1, "us", 1000), (1, "ns", 1), (116444736000000001, "filetime", 100),
        ("1516116808349", "ms", 1516116808349 * 10**6), ("1.5", "s", 1_500_000_000), (0.1, "s", 100_000_000),
        (1516116808.349, "s", 1516116808349000000), ("116444736000000000", "filetime", 0), (2**63 - 1, "ns", 2**63 - 1),
        ("1970-01-01T00:00:60Z", "ms", 60 * 10**9), ("2262-04-11T23:47:16.854775807Z", "ms", 2**63 - 1),
        ("2024-02-29T12:34Z", "ns", 1709210040 * 10**9), ("2020-01-01T00:00:00.1234567899-00:30", "ms",
                                                         1577838600123456789),
    ],
)  # fmt: skip
def test_times(value: Any, unit: Any, ns: int) -> None:
    (row,) = rows_of(source_of([{"@timestamp": value}], Layout(unit=unit)))
    assert (row["ts"], row["@timestamp"]) == (ns, ns // 10**6)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "it has no `@timestamp`"), ({"@timestamp": None}, "it has no `@timestamp`"),
        ({"@timestamp": "yesterday"}, "`@timestamp`: 'yesterday' is no time"),
        ({"@timestamp": "2023-02-29"}, "`@timestamp`: '2023-02-29' is no time"),
        ({"@timestamp": "2023-02-01T24:00:00Z"}, "`@timestamp`: '2023-02-01T24:00:00Z' is no time"),
        ({"@timestamp": -1}, "`@timestamp`: -1 is a time before 1970"),
        ({"@timestamp": 2**60}, f"`@timestamp`: {2**60} is a time after 2262"),
        ({"@timestamp": True}, "`@timestamp`: True is no time"),
        ({"@timestamp": [1, 2]}, "`@timestamp`: several values are no time"),
        ({"@timestamp": 1, "process.pid": "many"}, "`process.pid` is a field of type int, and 'many' is none"),
        ({"@timestamp": 1, "process.pid": 1.5}, "`process.pid` is a field of type int, and '1.5' is none"),
        ({"@timestamp": 1, "process.pid": True}, "`process.pid` is a field of type int, and 'true' is none"),
        ({"@timestamp": 1, "process": {"pid": [1, 2**63]}},
         "`process.pid` is a field of type int, and '9223372036854775808' is none"),
        ({"@timestamp": 1, "source.ip": "10.0.0.256"}, "`source.ip` is a field of type ip, and '10.0.0.256' is none"),
        ({"@timestamp": 1, "source.ip": 1}, "`source.ip` is a field of type ip, and '1' is none"),
        ({"@timestamp": 1, "a": {1, 2}}, "`a` is a set, which JSON does not have"),
        ({"@timestamp": 1, "a": json.loads("[" * 200 + "1" + "]" * 200)}, "it is nested deeper than 100"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out_with_its_reason(event: dict[str, Any], reason: str) -> None:
    source = source_of([{"@timestamp": 5, "x": 1}, event, {"@timestamp": 6, "x": 2}])
    assert [(r.number, r.reason) for r in source.rejected] == [(1, reason)]
    assert [r["x"] for r in rows_of(source)] == [1, 2]


def test_builtin_fields_keep_their_types() -> None:
    given = {
        "@timestamp": 1, "user": {"id": 0}, "process.pid": "7", "process.args": "ls", "process.exit_code": 3.0,
        "source.ip": "::ffff:10.0.0.1", "destination.ip": "FE80:0::1", "host.ip": ["10.0.0.1", "::1"],
        "file.name": True, "file.inode": 2**64 - 1, "process.name": ["a", "b"], "process.interactive": "true",
    }  # fmt: skip
    source = source_of([given, {"@timestamp": 2, "process.args": []}])
    row, other = rows_of(source)
    assert row["user.id"] == b"0"
    assert row["process.pid"] == 7
    assert row["process.args"] == (b"ls",)
    assert row["process.exit_code"] == 3
    assert row["source.ip"] == b"10.0.0.1"
    assert row["destination.ip"] == b"fe80::1"
    assert row["host.ip"] == (b"10.0.0.1", b"::1")
    assert row["file.name"] == b"true"
    assert row["file.inode"] == 2**64 - 1
    assert row["process.name"] == (b"a", b"b")
    assert row["process.interactive"] is True
    assert "process.args" not in other
    fields = source.info.schema.fields
    assert all(fields[name].type is entry.type for name, entry in BUILTIN.fields.items())
    assert not fields["process.executable"].tables


def test_bytes_that_are_no_text_come_back_from_a_dump() -> None:
    raw = b"\xff/x"
    (row,) = rows_of(source_of([{"a": {"$bytes": base64.b64encode(raw).decode()}, "b": {"$bytes": 1}}], NO_TIME))
    assert row["a"] == raw
    assert row["b.$bytes"] == 1


def test_categories_are_tables_and_actions() -> None:
    given = [
        {"event.category": "process", "n": 0}, {"event.category": ["process", "file"], "n": 1}, {"n": 2},
        {"event": {"category": "../x"}, "n": 3}, {"event.category": "entity", "n": 4},
        {"event.category": ["file", "process"], "n": 5}, {"event.category": 7, "n": 6},
    ]  # fmt: skip
    source = source_of(given, NO_TIME)
    schema = source.info.schema
    assert schema.base == BUILTIN.fingerprint
    assert [r["table"] for r in rows_of(source)] == ["process", "process", "table-1", "table-2", "table-4", "file", "7"]
    found = {}
    for category in ("process", "file", "any", "entity"):
        where = category if category == "any" else json.dumps(category)
        pack = pack_of({"r": f"{where} where true"}).for_schema(schema)
        alerts = [a for e in source.epochs() for a in Engine(pack, source.info, "live").process(e).alerts]
        found[category] = [a.event_ids[0] - 1 for a in alerts]
    assert found == {"process": [0, 1, 5], "file": [1, 5], "any": [*range(7)], "entity": [4]}


def test_too_many_categories_and_fields_are_refused() -> None:
    source_of([{"event.category": str(n)} for n in range(255)], NO_TIME)
    with pytest.raises(LimitError, match="more than 255 sets of categories"):
        source_of([{"event.category": str(n)} for n in range(256)], NO_TIME)
    with pytest.raises(LimitError, match="more than 4,096 fields"):
        source_of([{f"f{n}": n} for n in range(5000)], NO_TIME)


@pytest.mark.parametrize(
    ("event", "layout", "found"),
    [
        ({"_id": "a", "event.id": "b"}, NO_TIME, b"a"), ({"event": {"id": 5}}, NO_TIME, 5),
        ({"x": 5, "_id": 1}, Layout(timestamp=None, id="x"), 5), ({"_id": 1}, Layout(timestamp=None, id="x"), None),
        ({"kestrel.source_id": "q", "_id": 1}, NO_TIME, b"q"), ({"x": 1}, NO_TIME, None),
    ],
)  # fmt: skip
def test_the_original_id_is_kept(event: dict[str, Any], layout: Layout, found: Any) -> None:
    (row,) = rows_of(source_of([event], layout))
    assert row.get("kestrel.source_id") == found


def test_no_events_are_a_source_too() -> None:
    source = source_of([])
    assert list(source.epochs()) == []
    assert source.info.schema.tables == ()
