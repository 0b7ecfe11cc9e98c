"""Hostile rules: each ends in a clear error or in a recorded limit, within a second, and harms no other rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from kestrel_lab.engine import check_pack, load_pack
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.errors import RuleError
from tests.engine.support import MODES, QUERIES, found, random_events, toml
from tests.engine.user_modules import FOREVER, NAME, Seen, imports, module, pack_with, rule, seen
from tests.support.budget import at_most
from tests.support.epochs import source

pytestmark = pytest.mark.slow

SECOND = 1.0  # of processor time
EVENTS = source(random_events(11), epoch_rows=40)


def repeat(part: str, count: int) -> str:
    return part * count


def bare(rest: str, memory: str = '(memory (export "memory") 1)') -> str:
    """Return a module that does nothing, with something beside."""
    return (
        f'(module {memory} {rest} (func (export "pred_init") (result i32) i32.const 1)'
        ' (func (export "pred_eval") (param i32 i32) (result i32) i32.const 1))'
    )


def numbered(count: int, part: str) -> str:
    return "".join(part.format(n=n) for n in range(count))


def growing_phis(depth: int, names: int) -> str:
    """Return loops in loops that change locals: quadratic work for a compiler."""
    body = numbered(names, "local.get {n} i64.const 1 i64.add local.set {n} ")
    return f"(func (local {repeat('i64 ', names)}) {repeat('loop ', depth)} {body} " + (
        repeat("local.get 0 i64.eqz br_if 0 end ", depth) + ")"
    )


#: Rule files that are refused, and a word of the reason.
REFUSED_QUERIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a file of 10 MB": (lambda: toml("bad", f'process where process.name : "{repeat("a", 10_000_000)}"'), "larger"),
    "a list of 100,000": (lambda: toml("bad", f"any where process.pid in ({repeat('1,', 100_000)}1)"), "20,000 items"),
    "parentheses, 10,000 deep": (
        lambda: toml("bad", f"any where {repeat('(', 10_000)}true{repeat(')', 10_000)}"), "deeper than 200",
    ),
    "not, 100,000 times": (lambda: toml("bad", f"any where {repeat('not ', 100_000)}true"), "tokens"),
    "a sequence of 100,000 items": (lambda: toml("bad", "sequence " + repeat("[any where true]", 50_000)), "items"),
    "stars without end": (lambda: toml("bad", f'any where process.name regex "{repeat("(a*)*", 900)}"'), "longer than"),
    "a condition of 100,000 parts": (lambda: toml("bad", f"any where {repeat('true or ', 100_000)} true"), "tokens"),
    "TOML, 100,000 deep": (lambda: f"[rule]\na = {repeat('[', 100_000)}".encode(), ""),
}  # fmt: skip

#: Modules that are refused when the pack is loaded, and a word of the reason.
REFUSED_MODULES: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "an import of nothing": (
        lambda: '(module (import "env" "time" (func (result i64))))',
        "imports the function env.time, which does not exist",
    ),
    "an import from WASI": (
        lambda: '(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))',
        "wasi_snapshot_preview1.fd_write, which does not exist",
    ),
    "an import of another shape": (
        lambda: '(module (import "kestrel_lab_v1" "field" (func (param i64) (result i32))))', "other parameters",
    ),
    "the columns of the others": (
        lambda: '(module (import "kestrel_lab_v1" "memory" (memory 2048 2048)))', "imports the memory",
    ),
    "a table of the host": (
        lambda: '(module (import "kestrel_lab_v1" "table" (table 1 funcref)))', "imports the table",
    ),
    "nothing": (lambda: "(module)", "lacks the export pred_init"),
    "another result": (
        lambda: '(module (func (export "pred_init") (result i64) i64.const 1))', "not what it should be",
    ),
    "another version": (lambda: module(version=2), "speaks ABI 2"),
    "an init that never ends": (lambda: module(init="(loop $on (br $on))"), "uses more than"),
    "a start that never ends": (lambda: bare("(func $s (loop $on (br $on))) (start $s)"), "uses more than"),
    "an init that traps": (lambda: module(init="unreachable"), "traps"),
    "a getter in init": (lambda: module(init=NAME + "(drop (call $count (i32.const 0) (i32.const 0)))"), "traps"),
    "a getter in start": (
        lambda: module(rest="(func $s (drop (call $count (i32.const 0) (i32.const 0)))) (start $s)"), "traps",
    ),
    "a name beyond the memory": (lambda: module(init="(drop (call $field (i32.const 65530) (i32.const 12)))"), "traps"),
    "a name of 4 GiB": (lambda: module(init="(drop (call $field (i32.const 0) (i32.const -1)))"), "traps"),
    "a name that is not UTF-8": (
        lambda: module(init="(i32.store8 (i32.const 0) (i32.const 255))" + NAME), "not UTF-8",
    ),
    "handles without end": (lambda: module(init=f"(loop $on {NAME} (br $on))"), "at most 256 handles"),
    "patterns without end": (
        lambda: module(init=f"{NAME} (loop $on (drop (call $glob (i32.const 0) (i32.const 0) (i32.const 65000)"
                       " (i32.const 0))) (br $on))", memory="2"), "1048576 in all",
    ),
    "a pattern on no handle": (
        lambda: module(init="(drop (call $glob (i32.const 9) (i32.const 0) (i32.const 1) (i32.const 0)))"), "no string",
    ),
    "an unknown field": (
        lambda: module(init="(drop (call $field (i32.const 0) (i32.const 11)))"), "unknown field 'process.nam'",
    ),
    "a regex without end": (
        lambda: module(init=NAME + "(memory.fill (i32.const 100) (i32.const 40) (i32.const 60000))"
                       "(drop (call $regex (i32.const 0) (i32.const 100) (i32.const 60000) (i32.const 0)))"), "regex",
    ),
    "a capture that is a field": (
        lambda: module(init="(drop (call $capture (i32.const 0) (i32.const 12)))"), "a field's name",
    ),
    "recursion": (lambda: bare("(func $f (call $f))"), "function 0 -> function 0"),
    "recursion of two": (lambda: bare("(func $f (call $g)) (func $g (call $f))"), "can call itself"),
    "recursion through a table": (
        lambda: bare("(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f)"
                     "(func $f (call_indirect (type $t) (i32.const 0)))"), "a table",
    ),
    "a ring of 4,000 calls": (
        lambda: bare("".join(f"(func $f{n} (call $f{(n + 1) % 4_000}))" for n in range(4_000))), "itself",
    ),
    "much stack": (
        lambda: bare("".join(f"(func $f{n} (local {repeat('i64 ', 900)}) (call $f{n + 1}))" for n in range(60))
                     + "(func $f60)"), "bytes of stack",
    ),
    "a memory of 4 GiB": (lambda: bare("", '(memory (export "memory") 65536)'), "65536 pages of memory"),
    "a memory of 64 bits": (lambda: bare("", '(memory (export "memory") i64 1)'), "not supported"),
    "two memories": (lambda: bare("(memory 1)"), "2 memories"),
    "a shared memory": (lambda: bare("", '(memory (export "memory") 1 1 shared)'), "not supported"),
    "a table of 4 billion": (lambda: bare("(table 4000000000 funcref)"), "4000000000 table elements"),
    "ten tables": (lambda: bare(repeat("(table 1 funcref)", 10)), "10 tables"),
    "locals without end": (
        lambda: wat2wasm(bare(f"(func (local {repeat('i64 ', 50_000)}))")), "50000 locals in one function",
    ),
    "100,000 functions": (lambda: wat2wasm(bare(repeat("(func)", 100_000))), "more than 131072"),
    "5,000 functions": (lambda: bare(repeat("(func)", 5_000)), "functions, more than 4096"),
    "a long function": (lambda: bare(f"(func {repeat('nop ', 40_000)})"), "bytes in one function"),
    "a long segment": (lambda: bare(f'(data (i32.const 0) "{repeat("a", 200_000)}")'), "bytes, more than 131072"),
    "5,000 segments": (lambda: bare(repeat('(data (i32.const 0) "a")', 5_000)), "data segments"),
    "blocks without end": (lambda: bare(f"(func {repeat('block ', 250)} {repeat('end ', 250)})"), "nested"),
    "loops in loops": (lambda: bare(repeat(growing_phis(190, 190), 4)), "locals times branches"),
    "branches without end": (
        lambda: bare(f"(func (param i32) block {repeat('local.get 0 br_if 0 ', 6_000)} end)"), "branches",
    ),
    "a thousand results": (
        lambda: bare(f"(func (result {repeat('i64 ', 1_000)}) unreachable)"), "1000 results",
    ),
    "SIMD": (lambda: bare("(func (drop (v128.const i64x2 0 0)))"), "not supported"),
    "a tail call": (lambda: bare("(func $f return_call $f)"), "not supported"),
    "an exception": (lambda: bare("(tag $e) (func throw $e)"), "not supported"),
    "an object": (lambda: bare("(type (struct))"), "not supported"),
    "bytes cut off": (lambda: bytes(wat2wasm(FOREVER)[:-20]), "refused"),
    "an element count that lies": (lambda: b"\0asm\1\0\0\0" + b"\x04\x05\xff\xff\xff\xff\x0f", "cut off"),
    "noise": (lambda: b"\0asm\1\0\0\0" + bytes(range(1, 200)), "refused"),
    "text that is wrong": (lambda: "(module (func", "text is wrong"),
    "text, 10,000 deep": (lambda: f"(module (func {repeat('(block ', 10_000)}{repeat(')', 10_000)}))", ""),
    "text of comments": (lambda: f"(module {repeat('(; ', 100_000)}", "text is wrong"),
    "2 MB of text": (lambda: bare(repeat(";; nothing\n", 200_000)), "larger than"),
}  # fmt: skip

#: Modules that load, and are stopped in every epoch: whether they trap (or else run out of fuel).
STOPPED_MODULES: dict[str, tuple[Callable[[], str], bool]] = {
    "a loop": (lambda: FOREVER, False),
    "a loop that fills its memory": (
        lambda: module("(loop $on (memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216)) (br $on)) unreachable",
                       memory="256"), False,
    ),
    "a loop that grows its memory": (
        lambda: module("(loop $on (drop (memory.grow (i32.const 1))) (br $on)) unreachable"), False,
    ),
    "a loop that copies a value": (
        lambda: module("(loop $on (drop (call $str_copy (global.get $name) (local.get $row) (i32.const 0)"
                       " (i32.const 0) (i32.const 1000))) (br $on)) unreachable", NAME), False,
    ),
    "a loop of slow instructions": (
        lambda: module("(local $x f64) (loop $on (local.set $x (f64.nearest (f64.sqrt (local.get $x)))) (br $on))"
                       " unreachable"), False,
    ),
    "a loop that fills a table": (
        lambda: module("(loop $on (table.fill (i32.const 0) (ref.null func) (i32.const 10000)) (br $on)) unreachable",
                       rest="(table 10000 funcref)"), False,
    ),
    "a pointer beyond the memory": (
        lambda: module("(call $str_copy (global.get $name) (local.get $row) (i32.const 0) (i32.const -1)"
                       " (i32.const -1))", NAME), True,
    ),
    "an init that declares something else later": (
        lambda: module(rest="(table 1 funcref) (func $grow (result i32) (table.grow (ref.null func) (i32.const 1)))",
                       evaluate="(drop (call $grow)) (loop $on (br $on)) unreachable"), False,
    ),
    "a table that grows": (
        lambda: module("(i32.div_u (i32.const 1) (i32.add (i32.const 1)"
                       " (table.grow (ref.null func) (i32.const 1000000))))", rest="(table 1 funcref)"), True,
    ),
}  # fmt: skip


@cache
def peaceful(mode: Mode) -> Seen:
    return seen(pack_with({}, QUERIES), EVENTS, mode)


def refused_within_a_second(folder: Path) -> RuleError:
    """Check a folder of one bad rule among good ones; return its error once it is seen that the others load."""
    for name, query in QUERIES.items():
        (folder / f"{name}.toml").write_bytes(toml(name, query))
    with at_most(SECOND):
        check_pack([folder / "bad.toml"])
    pack = load_pack([folder], skip_broken=True)
    assert found(seen(pack, EVENTS)[0]) == found(peaceful("live")[0])
    [error] = [c.error for c in check_pack([folder / "bad.toml"])]
    assert error is not None
    assert len(error.render()) < 2_000
    return error


@pytest.mark.parametrize("case", REFUSED_QUERIES)
def test_a_query_that_is_refused(tmp_path: Path, case: str) -> None:
    make, word = REFUSED_QUERIES[case]
    (tmp_path / "bad.toml").write_bytes(make())
    assert word in str(refused_within_a_second(tmp_path))


@pytest.mark.parametrize("case", REFUSED_MODULES)
def test_a_module_that_is_refused(tmp_path: Path, case: str) -> None:
    make, word = REFUSED_MODULES[case]
    code = make()
    (tmp_path / "bad.toml").write_bytes(rule("bad"))
    (tmp_path / "bad.wat").write_bytes(code.encode() if isinstance(code, str) else code)
    assert word in str(refused_within_a_second(tmp_path))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", STOPPED_MODULES)
def test_a_module_that_is_stopped(case: str, mode: Mode) -> None:
    make, trapped = STOPPED_MODULES[case]
    pack = pack_with({"bad": make()}, QUERIES)
    with at_most(SECOND * len(EVENTS.stored)):
        alerts, stopped, _ = seen(pack, EVENTS, mode)
    assert [(e.rule_id, e.epoch, e.trapped) for e in stopped] == [("bad", n, trapped) for n in range(3)]
    assert found(alerts) == found(peaceful(mode)[0])


#: Modules as large as they may be, of shapes that are slow to compile.
LARGEST: dict[str, Callable[[], str]] = {
    "loops in loops": lambda: bare(repeat(growing_phis(125, 125), 4)),
    "values alive": lambda: bare(repeat(
        "(func (param i64) (result i64)" + numbered(2_900, "local.get 0 i64.const {n} i64.mul ")
        + repeat("i64.add ", 2_899) + ")", 4)),
    "branches": lambda: bare(repeat(
        f"(func (param i32) {repeat('block ', 99)} {repeat('local.get 0 br_if 0 ', 1_900)} {repeat('end ', 99)})", 8)),
    "calls through a table": lambda: bare(
        "(type $t (func (param i32))) (table 1 funcref)"
        + repeat(f"(func (param i32) {repeat('local.get 0 local.get 0 call_indirect (type $t) ', 1_900)})", 8)),
    "functions": lambda: bare(repeat("(func)", 4_000)),
    "functions with locals": lambda: bare(repeat(f"(func (local {repeat('i64 ', 100)}))", 4_000)),
    "conversions": lambda: bare(repeat(
        f"(func (param f64) (result f64) local.get 0 {repeat('i64.trunc_f64_s f64.convert_i64_s ', 9_000)})", 6)),
    "regular expressions": lambda: module(init=NAME + numbered(
        250, "(drop (call $regex (i32.const 0) (i32.const 300) (i32.const 12) (i32.const 0)))"),
        rest='(data (i32.const 300) "(a|b){{900}}c")'.replace("{{", "{").replace("}}", "}")),
}  # fmt: skip


@pytest.mark.parametrize("case", LARGEST)
def test_the_largest_module_loads_within_a_second_in_either_mode(case: str) -> None:
    code = bytes(wat2wasm(LARGEST[case]()))
    for mode in MODES:
        with at_most(2 * SECOND, mode):  # to load a pack, and to compile for the mode
            try:
                seen(pack_with({"large": code}), EVENTS, mode)
            except RuleError:
                assert case == "regular expressions"


def test_a_refusal_lists_what_there_is() -> None:
    with pytest.raises(RuleError) as caught:
        pack_with({"bad": '(module (import "kestrel_lab_v1" "get_time" (func (result i64))))'})
    assert "get_i64, get_u64, get_f64" in caught.value.do
    assert "get_time" not in imports()
