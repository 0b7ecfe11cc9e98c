"""Rules that are modules written by users: what they read, what they capture, and that nothing else decides."""

from __future__ import annotations

import struct
from bisect import bisect_left
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from kestrel_lab.engine import Engine, Limits, load_pack, pack_from_files
from kestrel_lab.engine import limits as bounds
from kestrel_lab.engine.packs.reach import reach_of
from kestrel_lab.engine.scanning import columns
from kestrel_lab.engine.user.check import check_module
from kestrel_lab.engine.user.columns import Column, _Items, place
from kestrel_lab.engine.user.evaluate import _DATA_AT
from kestrel_lab.engine.user.layout import Kind
from kestrel_lab.engine.user.runtime import user_runtime
from kestrel_lab.schema.access import Coded, Dictionary, Numbers, python_values, resolve
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.flat import source_of
from kestrel_lab.schema.values import Value
from tests.engine.support import MODES, QUERIES, found, random_events, run
from tests.engine.user_modules import EITHER, EXIT, FOLDER, FOREVER, NAME, module, pack_with, rule, seen
from tests.support.epochs import source

GETTERS = (FOLDER / "getters.wat").read_text()


def values_of(events: EpochSource, fields: tuple[str, ...]) -> dict[int, list[Value]]:
    """Return the values of fields by event_id."""
    out: dict[int, list[Value]] = {}
    for epoch in events.epochs():
        for table, rows in epoch.tables.items():
            own = [python_values(resolve(events.info, epoch, table, field)) for field in fields]
            ids = rows.column("event_id").tolist()
            out |= {i: list(row) for i, row in zip(ids, zip(*own, strict=True), strict=True)}
    return out


def packed(exit_code: Value, inode: Value, name: Value, args: Value) -> bytes:
    """Return what `getters.wat` writes for these values."""

    def texts(value: Value) -> bytes:
        own = value if isinstance(value, tuple) else () if value is None else (value,)
        items = [t for t in own if isinstance(t, bytes)]
        return struct.pack("<q", len(items)) + b"".join(struct.pack("<q", len(t)) + t for t in items)

    head = struct.pack("<qqqQ", exit_code is not None, exit_code or 0, inode is not None, inode or 0)
    return head + texts(name) + texts(args) + texts(None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(4))
def test_every_getter_gives_what_the_event_holds(seed: int, mode: Mode) -> None:
    events = source(random_events(seed), epoch_rows=30, segment_epochs=2)
    alerts, stopped, _ = seen(pack_with({"all": GETTERS}), events, mode)
    values = values_of(events, ("process.exit_code", "file.inode", "process.name", "process.args"))
    assert not stopped
    assert [a.event_ids[0] for a in alerts] == sorted(values)
    for alert in alerts:
        _, _, name, args = values[alert.event_ids[0] or 0]
        begins = name is not None and name[:1] in b"bB"  # type: ignore[index]
        shell = args is not None and any(a in (b"sh", b"bh") for a in args)  # type: ignore[union-attr]
        capture = alert.captures[0]
        assert capture["all.values"] == packed(*values[alert.event_ids[0] or 0])
        assert capture["matched"] == begins + 2 * shell


@pytest.mark.parametrize("mode", MODES)
def test_a_module_reads_fields_of_an_import(mode: Mode) -> None:
    """Floats, booleans and arrays of numbers: types that the recorder has no field of."""
    events = [
        {"@timestamp": n, "event": {"category": "thing"}, "weight": weight, "good": good, "marks": marks}
        for n, (weight, good, marks) in enumerate(
            [(2.5, True, [1, -7]), (2.5, False, [1, -7]), (1.5, True, [3]), (None, True, [4, -7]), (2.5, True, None)], 1
        )
    ]
    texts = ((60, 6), (66, 4), (70, 5))
    init = "".join(f"(drop (call $field (i32.const {at}) (i32.const {size})))" for at, size in texts)
    wat = module(
        """(call $get_bool (i32.const 1) (local.get $row) (i32.const 0))
        (f64.gt (call $get_f64 (i32.const 0) (local.get $row) (i32.const 0)) (f64.const 2))
        (i64.eq (call $get_i64 (i32.const 2) (local.get $row) (i32.const 1)) (i64.const -7))
        i32.and i32.and""",
        init, '(data (i32.const 60) "weight" "good" "marks")',
    )  # fmt: skip
    there = source_of(events)
    assert not there.rejected
    pack = pack_from_files({"m.toml": rule("m"), "m.wat": wat.encode()}, schema=there.info.schema)
    alerts, stopped, _ = seen(pack, there, mode)
    assert not stopped
    assert [a.event_ids for a in alerts] == [(1,)]


def test_floats_booleans_and_arrays_of_numbers() -> None:
    """The same over columns made by hand."""
    wat = module(
        """(i32.and (call $get_bool (i32.const 1) (local.get $row) (i32.const 0)) (i32.and
          (f64.eq (call $get_f64 (i32.const 0) (local.get $row) (i32.const 0)) (f64.const -2.5))
          (i64.eq (call $get_i64 (i32.const 2) (local.get $row) (i32.const 1)) (i64.const -7))))""",
        3 * "(drop (call $field (i32.const 0) (i32.const 0)))",
    )
    floats, booleans, arrays = _Items(Kind.F64), _Items(Kind.BOOL), _Items(Kind.I64)
    lists: list[tuple[int, ...] | None] = [None, (1, -7, 3), (4,)]
    dictionary = Dictionary("k", lambda: 3, lambda a, b: lists[a:b])  # type: ignore[arg-type,return-value]
    made: list[Column] = [
        floats.column(floats.add_numbers(Numbers(np.array([-2.5, -2.5, -2.5, 1.0]), None))),
        booleans.column(booleans.add_numbers(Numbers(np.array([True] * 4), np.array([True, True, False, True])))),
        arrays.column(arrays.add_coded(Coded(np.array([1, 2, 1, 1]), dictionary))),
    ]
    for mode in MODES:
        runtime = user_runtime(mode)
        instance = runtime.start(runtime.compile(bytes(wat2wasm(wat))), 1, 100_000)
        instance.call("init", 0, 0)
        at = place(made, _DATA_AT, instance.write)
        instance.write(at, np.arange(4, dtype="<u4"))
        instance.call("bind", 3, 4)
        assert instance.call("eval", 0, at, at + 16, at + 16) == 1
        assert instance.read(at + 16, at + 20) == bytes(4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 40), mode=st.sampled_from(MODES))
def test_a_module_that_says_what_a_query_says_raises_the_same_alerts(seed: int, rows: int, mode: Mode) -> None:
    events = source(random_events(seed, 60), epoch_rows=rows, segment_epochs=3)
    query = 'any where process.name == "bash" or process.exit_code > 0'
    raised = found(run(pack_with({"module": EITHER}, {"query": query}), events, mode))
    assert raised.get("module") == raised.get("query")


@pytest.mark.parametrize("mode", MODES)
def test_a_module_refines_the_items_of_a_sequence(mode: Mode) -> None:
    last = '[process where process.name == "bash" or process.exit_code > 0]'
    shape = "sequence by process.pid [file where file.extension != null] {last} until [network where true]"
    refine = EITHER.replace("(i32.or", "(i32.ne (local.get $stage) (i32.const 1)) (i32.or", 1).replace(
        "(i64.const 0)))", "(i64.const 0))) i32.or", 1
    )
    for seed in range(5):
        events = source(random_events(seed), epoch_rows=15)
        pack = pack_with(
            {"module": refine}, {"query": shape.format(last=last)}, shape.format(last="[process where true]")
        )
        raised = found(run(pack, events, mode))
        assert raised["module"] == raised["query"]


COUNTS = module(
    """(global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.const 1000) (i32.add (i32.load (i32.const 1000)) (global.get $n)))
    (i32.eqz (i32.rem_u (i32.load (i32.const 1000)) (i32.const 3)))"""
)


def test_what_a_module_remembers_lasts_one_recorded_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither spans nor windows nor other rules nor the mode change what it is asked, in which order."""
    events = source(random_events(4), epoch_rows=13)
    pack = pack_with({"count": COUNTS})
    first = seen(pack, events)
    ids = [a.event_ids[0] for a in first[0]]
    want = []
    for epoch in events.epochs():
        total = 0
        for turn in range(1, epoch.rows + 1):
            total += turn
            want += [epoch.first_event_id + turn - 1] if total % 3 == 0 else []
    assert ids == want
    assert seen(pack, events, "deterministic") == first
    engine = Engine(pack, events.info, "deterministic")
    assert list(engine.process_span(list(events.epochs())).alerts) == first[0]
    assert dict(engine.fuel) == first[2]
    monkeypatch.setattr(columns, "WINDOW_ROWS", 3)
    assert seen(pack, events)[0] == first[0]
    with_others = seen(pack_with({"count": COUNTS}, QUERIES), events)
    assert found(with_others[0])["count"] == found(first[0])["count"]
    assert with_others[2]["count"] == first[2]["count"]


def test_large_columns_are_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    events, pack = source(random_events(7), epoch_rows=120), pack_with({"all": GETTERS})
    whole = seen(pack, events)
    monkeypatch.setattr(bounds, "COLUMN_BYTES", 2_000)
    parts = seen(pack, events)
    assert parts[0] == whole[0]
    assert parts[2]["all"] > whole[2]["all"]  # pred_init ran more often
    monkeypatch.setattr(bounds, "COLUMN_BYTES", 10)
    assert [(e.rule_id, e.trapped) for e in seen(pack, events)[1]] == [("all", True)]


@pytest.mark.parametrize("mode", MODES)
def test_a_module_that_never_ends_is_stopped_in_its_epoch_alone(mode: Mode) -> None:
    events = source(random_events(5), epoch_rows=35)
    only_files = "file where true"
    alerts, stopped, fuel = seen(pack_with({"loop": FOREVER}, QUERIES, only_files), events, mode)
    others = seen(pack_with({}, QUERIES), events, mode)
    assert found(alerts) == found(others[0])
    limits, rows = Limits(), [len(e.tables["file"]) for e in events.epochs()]
    assert [e.limit for e in stopped] == [limits.user_fuel + limits.user_fuel_per_row * n for n in rows]
    assert {(e.rule_id, e.trapped) for e in stopped} == {("loop", False)}
    assert fuel["loop"] == sum(e.limit for e in stopped)


SOME = module(
    """(global.set $n (i32.const 700))
    (loop $on (global.set $n (i32.sub (global.get $n) (i32.const 1))) (br_if $on (global.get $n)))
    (i32.const 1)"""
)


@pytest.mark.parametrize("fuel", [1_000, 100_000, 130_000, 170_000, 240_000])
def test_exhaustion_is_the_same_in_both_modes_and_in_spans(fuel: int) -> None:
    events = source([e for seed in range(3) for e in random_events(seed)], epoch_rows=29)
    limits, epochs = Limits(user_fuel=fuel, user_fuel_per_row=0), list(events.epochs())
    pack = pack_with({"some": SOME}, {"file": QUERIES["file"]}, "process where true")
    live, deterministic = (seen(pack, events, mode, limits) for mode in MODES)
    assert live == deterministic
    engine = Engine(pack, events.info, "deterministic", limits)
    span = engine.process_span(epochs)
    assert (list(span.alerts), list(span.exhausted), dict(engine.fuel)) == live


def test_memory_grows_to_its_limit_and_no_further() -> None:
    grown = module(f"(memory.grow (i32.const {bounds.MEMORY_PAGES - 1})) (i32.const 1) i32.eq"
                   " (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) i32.and")  # fmt: skip
    events = source(random_events(1, 10), epoch_rows=1)
    for mode in MODES:
        alerts, stopped, _ = seen(pack_with({"grown": grown}), events, mode)
        assert (len(alerts), stopped) == (10, [])


WRONG = {
    "a handle that is none": "(call $count (i32.const 1) (local.get $row))",
    "a negative handle": "(call $count (i32.const -1) (local.get $row))",
    "a row beyond the last": "(call $count (i32.const 0) (i32.add (local.get $row) (i32.const 1000)))",
    "a negative row": "(call $count (i32.const 0) (i32.const -1))",
    "another type": "(i32.wrap_i64 (call $get_i64 (global.get $name) (local.get $row) (i32.const 0)))",
    "a field as a pattern": "(call $matches (global.get $name) (local.get $row))",
    "a buffer beyond the memory": "(call $str_copy (global.get $name) (local.get $row) (i32.const 0) (i32.const -4) "
    "(i32.const 4096))",
    "text beyond the memory": "(call $str_eq (global.get $name) (local.get $row) (i32.const 0) (i32.const 65536) "
    "(call $str_len (global.get $name) (local.get $row) (i32.const 0)))",
    "a declaration": "(call $field (i32.const 0) (i32.const 12))",
    "a capture": "(call $capture_i64 (i32.const 0) (i64.const 1)) (i32.const 1)",
    "its own memory": "(i32.load (i32.const 65536))",
    "the stack of nothing": "(i32.div_u (i32.const 1) (i32.const 0))",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_what_is_wrong_traps_alike_and_harms_nobody(body: str) -> None:
    events = source([e | {"name": "bash"} for e in random_events(5)], epoch_rows=35)
    pack = pack_with({"wrong": module(body, NAME)}, QUERIES)
    live, deterministic = (seen(pack, events, mode) for mode in MODES)
    assert live == deterministic
    assert [(e.rule_id, e.trapped) for e in live[1]] == [("wrong", True)] * 4
    assert found(live[0]) == found(seen(pack_with({}, QUERIES), events)[0])


@pytest.mark.parametrize(
    "capture",
    [
        "(call $capture_str (global.get $n) (i32.const 0) (i32.const 65530))",  # more than one event may have
        "(call $capture_str (global.get $n) (i32.const 65000) (i32.const 1000))",
        "(call $capture_str (global.get $name) (i32.const 0) (i32.const 1))",
        "(loop $on (call $capture_i64 (global.get $n) (i64.const 1)) (br $on))",
    ],
)
def test_captures_that_are_wrong_trap(capture: str) -> None:
    init = NAME + "(global.set $n (call $capture (i32.const 45) (i32.const 4)))"
    pack = pack_with({"wrong": module(init=init, capture=capture)})
    live, deterministic = (seen(pack, source(random_events(5, 20)), mode) for mode in MODES)
    assert live == deterministic
    assert not live[0]
    assert all(e.trapped for e in live[1])


def test_captures_of_many_events_come_in_batches() -> None:
    init = "(global.set $n (call $capture (i32.const 45) (i32.const 4)))"
    capture = ("(i32.store (i32.const 100) (local.get $row))"
               " (call $capture_str (global.get $n) (i32.const 100) (i32.const 60000))")  # fmt: skip
    alerts, stopped, _ = seen(pack_with({"note": module(init=init, capture=capture)}), source(random_events(5, 30), 30))
    assert not stopped
    notes = [a.captures[0]["note"] for a in alerts]
    assert [int.from_bytes(n[:4], "little") for n in notes] == list(range(30))  # type: ignore[index]
    assert {len(n) for n in notes} == {60_000}  # type: ignore[arg-type]


def test_text_and_binary_are_the_same_rule_but_for_the_hash(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "m.toml").write_bytes(rule("m", file="code/m.wasm"))
    (tmp_path / "deep" / "code").mkdir()
    (tmp_path / "deep" / "code" / "m.wasm").write_bytes(wat2wasm(EITHER))
    binary, text = load_pack([tmp_path]), pack_with({"m": EITHER})
    inline = pack_from_files({"m.toml": rule("m").replace(b'module = "m.wat"', f"query = '''{EITHER}'''".encode())})
    events = source(random_events(2), epoch_rows=20)
    assert found(run(binary, events)) == found(run(text, events)) == found(run(inline, events))
    assert len({binary.hash, text.hash, inline.hash}) == 3
    again = pack_from_files(binary.files)
    assert (again.hash, sorted(binary.files)) == (binary.hash, ["deep/code/m.wasm", "deep/m.toml"])
    (tmp_path / "deep" / "code" / "m.wasm").write_bytes(wat2wasm(EITHER.replace("gt_s", "ge_s")))
    assert load_pack([tmp_path]).hash != binary.hash


def test_the_events_a_module_is_asked_about_are_part_of_its_hash() -> None:
    packs = [pack_with({"m": EITHER}, events=events) for events in (None, "file where true", "process where true")]
    assert len({p.hash for p in packs}) == 3


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(EITHER)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "m.toml").write_bytes(rule("m"))
    (tmp_path / "pack" / "m.wat").symlink_to(tmp_path / "secret")
    with pytest.raises(RuleError, match="leads out of"):
        load_pack([tmp_path / "pack"])


def test_fields_of_a_module_are_told() -> None:
    [r] = pack_with({"m": EITHER}, events='any where user.id == "0"').rules
    assert r.program.fields == {"process.name", "process.exit_code", "user.id"}
    assert r.user is not None
    assert r.user.fields == ("process.name", "process.exit_code")
    assert NAME + EXIT in EITHER
    assert reach_of(r.program).unavailable == ()
    [on_files] = pack_with({"m": EITHER}, events="file where true").rules
    assert reach_of(on_files.program).unavailable == ("process.exit_code",)


def chain(length: int, values: int) -> str:
    """Return a module whose functions call one another in a row, each with so many values alive meanwhile."""
    functions = "".join(
        f"(func $f{n} (param i64) (result i64) {'call $g ' * values} (call $f{n + 1} (local.get 0)) "
        f"{'i64.add ' * values})"
        for n in range(length)
    )
    rest = f"(func $g (result i64) (i64.load (i32.const 0))) {functions} (func $f{length} (param i64) (result i64) "
    return module("(i64.ne (call $f0 (i64.const 5)) (i64.const 7))", rest=rest + "(local.get 0))")


@pytest.mark.parametrize("values", [0, 10, 200, 900])
def test_the_deepest_calls_there_may_be_fit_the_stack_of_either_mode(values: int) -> None:
    def refused(length: int) -> bool:
        try:
            check_module(bytes(wat2wasm(chain(length, values))), "deep")
        except RuleError:
            return True
        return False

    length = bisect_left(range(1, 700 if values < 100 else 120), True, key=refused)
    assert length > 5
    for mode in MODES:
        alerts, stopped, _ = seen(
            pack_with({"deep": bytes(wat2wasm(chain(length, values)))}), source(random_events(1, 10)), mode
        )
        assert (len(alerts), stopped) == (10, [])
