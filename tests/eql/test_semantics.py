"""One line of the language's definition a test, through compiler and module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.eql.parse import parse
from kestrel_lab.schema.schema import BUILTIN
from tests.eql import naive
from tests.eql.host import evaluate
from tests.eql.strategies import FIELDS


def hit(condition: str, **event: Any) -> bool:
    """Return whether an event passes `any where condition`; `process_name=` stands for process.name."""
    found = {name.replace("__", "_").replace("_", ".", 1): value for name, value in event.items()}
    query = f"any where {condition}"
    module = lower_wasm(compile_query(query, schema=replace(BUILTIN, fields=FIELDS)), FIELDS)
    out = evaluate(module, 0, [found], [0]).hits == [0]
    assert naive.passes(parse(query).body, found) is out  # type: ignore[arg-type]
    return out


CASES: list[tuple[str, dict[str, Any], bool]] = [
    # case and wildcards
    ('process.name == "Bash"', {"process_name": b"bash"}, False),
    ('process.name in ("Bash")', {"process_name": b"bash"}, False),
    ('process.name in~ ("Bash")', {"process_name": b"bASH"}, True),
    ('process.name like "B*"', {"process_name": b"bash"}, False),
    ('process.name like~ "B*"', {"process_name": b"bash"}, True),
    ('process.name : "B*"', {"process_name": b"bash"}, True),
    ('process.name : ("x", "BASH")', {"process_name": b"bash"}, True),
    ('process.name == "b*"', {"process_name": b"bash"}, False),
    ('process.name == "b*"', {"process_name": b"b*"}, True),
    ('process.name in ("b*")', {"process_name": b"bash"}, False),
    ('process.name like "bash*"', {"process_name": b"bash"}, True),
    ('process.name like "as"', {"process_name": b"bash"}, False),
    ('process.name like "/a/*"', {"process_name": b"/a/b/c"}, True),
    ('process.name like "caf?"', {"process_name": "café".encode()}, True),
    ('process.name like "a?"', {"process_name": b"a\xff"}, True),
    ('process.name like """a\\*"""', {"process_name": b"a\\x"}, True),
    ('process.name : "É"', {"process_name": "é".encode()}, False),
    # order of strings
    ('process.name < "b"', {"process_name": b"a"}, True),
    ('process.name < "b"', {"process_name": b"B"}, True),
    ('process.name >= "b"', {"process_name": b"b"}, True),
    ('"b" > process.name', {"process_name": b"a"}, True),
    ('process.name < "b"', {}, False),
    # missing values and `not`
    ('process.name == "a"', {}, False),
    ('process.name != "a"', {}, True),
    ('not process.name == "a"', {}, True),
    ('not process.name in ("a")', {}, True),
    ('process.name not in ("a")', {}, True),
    ('not process.name : "a*"', {}, True),
    ("process.pid > 5", {}, False),
    ("not process.pid > 5", {}, True),
    ("process.pid != 5", {}, True),
    ("null == (process.pid > -1)", {}, True),
    ("null == (process.pid > -1)", {"process_pid": 0}, False),
    ("(process.pid > -1) != null", {"process_pid": -1}, True),
    ("(process.pid > 5) == false", {"process_pid": 5}, True),
    ("(process.pid > 5) == false", {}, False),
    ("(process.pid > 5) != true", {}, True),
    ('(process.pid > 5 and process.name == "a") == null', {"process_pid": 6}, True),
    ('(process.pid > 5 and process.name == "a") == null', {"process_pid": 5}, False),
    ('(process.pid > 5 or process.name == "a") == null', {"process_pid": 6}, False),
    ("(not process.pid > 5) == null", {}, True),
    ("process.name == null", {}, True),
    ("process.name != null", {}, False),
    ("process.name == null", {"process_name": b""}, False),
    ("process.pid == null", {"process_pid": 0}, False),
    ("null != process.pid", {"process_pid": 0}, True),
    # several values
    ('process.args == "-in" and process.args == "-out"', {"process_args": (b"-in", b"-out")}, True),
    ('process.args : ("*n", "x")', {"process_args": (b"-in", b"-out")}, True),
    ('not process.args == "-in"', {"process_args": (b"-in", b"-out")}, False),
    ('process.args != "-in"', {"process_args": (b"-in", b"-out")}, False),
    ('process.args > "b"', {"process_args": (b"a", b"c")}, True),
    ("process.args == null", {"process_args": None}, True),
    # optional fields
    ("?no.such.field == null", {}, True),
    ('?no.such.field == "a"', {}, False),
    ('?no.such.field != "a"', {}, True),
    ('?no.such.field : "*"', {}, False),
    ("?no.such.field", {}, False),
    ("not ?no.such.field", {}, True),
    ('(?no.such.field == "a") == null', {}, False),
    ('(process.name == "a") == null', {}, True),
    ("?process.pid == 5", {"process_pid": 5}, True),
    # booleans
    ("t.flag", {"t_flag": True}, True),
    ("t.flag", {"t_flag": False}, False),
    ("t.flag", {}, False),
    ("not t.flag", {}, True),
    ("t.flag == false", {}, False),
    ("t.flag != true", {}, True),
    # numbers, exactly
    ("process.pid == 9223372036854775807", {"process_pid": 2**63 - 1}, True),
    ("process.pid > 9223372036854775806", {"process_pid": 2**63 - 1}, True),
    ("process.pid == -9223372036854775808", {"process_pid": -(2**63)}, True),
    ("process.pid < 9223372036854775808", {"process_pid": 2**63 - 1}, True),
    ("process.pid < 18446744073709551615", {}, False),
    ("file.inode == 18446744073709551615", {"file_inode": 2**64 - 1}, True),
    ("file.inode > 9223372036854775807", {"file_inode": 2**63}, True),
    ("file.inode > -1", {"file_inode": 0}, True),
    ("file.inode < 0", {"file_inode": 0}, False),
    ("process.pid == 9007199254740992.0", {"process_pid": 2**53 + 1}, False),
    ("process.pid > 9007199254740992.0", {"process_pid": 2**53 + 1}, True),
    ("process.pid < 5.5", {"process_pid": 5}, True),
    ("process.pid >= 4.5", {"process_pid": 5}, True),
    ("process.pid == 4.5", {"process_pid": 4}, False),
    ("process.pid != 4.5", {"process_pid": 4}, True),
    ("process.pid < 1e300", {"process_pid": 4}, True),
    ("t.float == 9007199254740993", {"t_float": 2.0**53}, False),
    ("t.float < 9007199254740993", {"t_float": 2.0**53}, True),
    ("t.float > 9007199254740993", {"t_float": 2.0**53 + 2}, True),
    ("t.float == 0", {"t_float": -0.0}, True),
    ("t.float != 0", {"t_float": float("nan")}, True),
    ("process.pid in (1, 2.0, 3.5)", {"process_pid": 2}, True),
    # addresses
    ('source.ip == "0:0:0::1"', {"source_ip": b"::1"}, True),
    ('source.ip != "::1"', {"source_ip": b"::1"}, False),
    ('source.ip == "::ffff:10.0.0.1"', {"source_ip": b"10.0.0.1"}, True),
    ('source.ip in ("10.0.0.2", "10.0.0.1")', {"source_ip": b"10.0.0.1"}, True),
    ('cidrMatch(source.ip, "10.6.48.157/8")', {"source_ip": b"10.0.0.1"}, True),
    ('cidrmatch(source.ip, "192.168.0.0/16", "::1", "FE80::/10")', {"source_ip": b"::1"}, True),
    ('cidrMatch(source.ip, "192.168.0.0/16", "FE80::/10")', {"source_ip": b"10.0.0.1"}, False),
    ('cidrMatch(source.ip, "10.0.0.0/8")', {}, False),
    ('not cidrMatch(source.ip, "10.0.0.0/8")', {}, True),
    ('cidrMatch(source.ip, "10.0.0.0/8") == null', {}, True),
    ('cidrMatch(source.ip, "10.0.0.0/8") == false', {"source_ip": b"11.0.0.1"}, True),
    # functions of text
    ('startsWith(process.name, "ba")', {"process_name": b"bash"}, True),
    ('startsWith(process.name, "BA")', {"process_name": b"bash"}, False),
    ('STARTSWITH~(process.name, "BA")', {"process_name": b"bash"}, True),
    ('startsWith(process.name, "")', {"process_name": b"bash"}, True),
    ('startsWith(process.name, "b*")', {"process_name": b"bash"}, False),
    ('endsWith(process.name, "sh")', {"process_name": b"bash"}, True),
    ('endswith~(process.name, "SH")', {"process_name": b"bash"}, True),
    ('stringContains(process.args, "x")', {"process_args": (b"a", b"bxb")}, True),
    ('stringContains(process.name, "")', {"process_name": b"bash"}, False),
    ("startsWith(process.name, null)", {"process_name": b"bash"}, False),
    ("startsWith(process.name, null) == null", {"process_name": b"bash"}, True),
    ('not startsWith(process.name, "a")', {}, True),
    # functions, by the values that Elasticsearch's own tests expect
    ("length(process.name) == 4", {"process_name": b"bash"}, True),
    ("length(process.name) == 3", {"process_name": "caf\u00e9".encode()[1:]}, True),
    ("length(process.name) == 2", {"process_name": b"a\xff"}, True),
    ("not length(process.name) > 5", {}, True),
    ("length(process.name) == null", {}, True),
    ("length(process.args) > 3", {"process_args": (b"a", b"bcde")}, True),
    ("not length(process.args) > 1", {"process_args": (b"a", b"bcde")}, False),
    ("(length(process.args) > 1) == false", {"process_args": (b"a", b"bcde")}, True),
    ('concat(process.name, "-", process.pid, true) == "a-5true"', {"process_name": b"a", "process_pid": 5}, True),
    ("concat(process.name, null) == null", {"process_name": b"a"}, True),
    ('indexOf(process.name, "s") == 2', {"process_name": b"bash"}, True),
    ('indexOf(process.name, "s", 3) == null', {"process_name": b"bash"}, True),
    ('indexOf~(process.name, "SH", -4) == 2', {"process_name": b"bash"}, True),
    ('indexOf(process.name, "", 9) == 4', {"process_name": b"bash"}, True),
    ('substring(process.name, -3, -1) == "as"', {"process_name": b"bash"}, True),
    ('substring(process.name, 1) == "ash"', {"process_name": b"bash"}, True),
    ('substring(process.name, 5, 2) == ""', {"process_name": b"bash"}, True),
    ('between(process.name, "a", "h") == "s"', {"process_name": b"bash"}, True),
    ('between(process.name, "b", "s", true) == "a-s-a-"', {"process_name": b"ba-s-a-s"}, True),
    ('between~(process.name, "B", "S") == "a-"', {"process_name": b"ba-s-a-s"}, True),
    ('between(process.name, "x", "s") == ""', {"process_name": b"bash"}, True),
    ('between(process.name, "h", "a", true) == ""', {"process_name": b"bash"}, True),
    ('between(process.name, "", "s") == "bash"', {"process_name": b"bash"}, True),
    ("stringContains(process.name, process.args)", {"process_name": b"bash", "process_args": (b"x", b"as")}, True),
    ('startsWith("bash -c", process.name)', {"process_name": b"bash"}, True),
    ('startswith~(string(source.ip), "10.")', {"source_ip": b"10.0.0.1"}, True),
    ('string(process.pid) : "1?"', {"process_pid": 17}, True),
    ('string(t.float) == "1.0E10"', {"t_float": 1e10}, True),
    ('string(t.float) == "-0.001"', {"t_float": -0.001}, True),
    ('string(cidrMatch(source.ip, "10.0.0.0/8")) : "true"', {"source_ip": b"10.0.0.1"}, True),
    ("number(process.name) == 31", {"process_name": b"0x1f"}, True),
    ("number(process.name, 16) == 31", {"process_name": b"1f"}, True),
    ("number(process.name) == 2.5", {"process_name": b" 2.5d "}, True),
    ("number(process.name) == null", {"process_name": b"x"}, True),
    ('number(process.name, 13) == number("31", 13)', {"process_name": b"31"}, True),
    ('substring(process.name, 1) regex "[a-s]+h"', {"process_name": b"bash"}, True),
    ('substring(process.name, 1) in~ ("ASH", "x")', {"process_name": b"bash"}, True),
    # arithmetic
    ("process.pid / 2 == 41", {"process_pid": 83}, True),
    ("process.pid / 2.0 == 41", {"process_pid": 83}, False),
    ("process.pid / -2 == -3", {"process_pid": 7}, True),
    ("process.pid % 4 == -3", {"process_pid": -7}, True),
    ("modulo(process.pid, -4) == 3", {"process_pid": 7}, True),
    ("-process.pid + 100 == 18", {"process_pid": 82}, True),
    ("process.pid * 2 == null", {"process_pid": 2**62}, True),
    ("process.pid + 1 == null", {"process_pid": 2**63 - 1}, True),
    ("-process.pid == null", {"process_pid": -(2**63)}, True),
    ("process.pid / 0 == null", {"process_pid": 1}, True),
    ("process.pid / 0.0 > 1e300", {"process_pid": 1}, True),
    ("file.inode + 1 == null", {"file_inode": 2**64 - 1}, True),
    ("file.inode - 1 == 18446744073709551614", {"file_inode": 2**64 - 1}, True),
    ("file.inode - 2 == null", {"file_inode": 1}, True),
    ("file.inode + process.pid == 9223372036854775807", {"file_inode": 2**63, "process_pid": -1}, True),
    ("process.pid + 0 > t.float", {"process_pid": 2**53 + 1, "t_float": 2.0**53}, True),
    ("1 + 2 * 3 == 7 and (1 + 2) * 3 == 9", {}, True),
    # conditions as operands
    ("((process.pid == 1) == null) == true", {}, True),
    ("(process.pid == 1) == (t.flag == true)", {"process_pid": 2, "t_flag": False}, True),
    ("(not (process.pid > 5)) == true", {}, False),
    ("not ?no.such.field == null", {}, False),
    ("?no.such.field == ?no.other", {}, True),
    ("(?no.such.field and not ?no.other) == null", {}, True),
    ("(?no.such.field or true) == null", {}, False),
    ("process.pid == ?no.such.field", {}, True),
    # spelling
    ('`process.name` == "a"', {"process_name": b"a"}, True),
    ('process.`name` == "a"', {"process_name": b"a"}, True),
    ('process.name == """C:\\x"y"""', {"process_name": b'C:\\x"y'}, True),
    ('process.name == "\\u{e9}\\n\\"\\\\"', {"process_name": 'é\n"\\'.encode()}, True),
    ('process.name /* c */ == // d\n "a"', {"process_name": b"a"}, True),
    ('true or process.name == "a" and false', {}, True),
    ('not process.name == "a" and true', {"process_name": b"b"}, True),
    ("process.pid == -5", {"process_pid": -5}, True),
    ("process.pid == +5", {"process_pid": 5}, True),
    ("1 < 2", {}, True),
    ('"a" == "b"', {}, False),
    ("null == null", {}, True),
]


@pytest.mark.parametrize(("condition", "event", "want"), CASES, ids=[f"{c} {e}" for c, e, _ in CASES])
def test_a_condition(condition: str, event: dict[str, Any], want: bool) -> None:
    assert hit(condition, **event) is want


def actions(query: str) -> set[int]:
    return set(compile_query(query).stages[0].actions)


def test_a_category_is_one_of_event_category() -> None:
    process = {a.code for a in BUILTIN.actions_of("process")}
    assert {1, 2, 3} < process
    assert actions("process where true") == actions('"process" where true') == process
    assert actions("any where true") == process | {a.code for t in ("file", "network") for a in BUILTIN.actions_of(t)}
    assert actions("authentication where true") == set()
    assert actions("`network` where true") == {a.code for a in BUILTIN.actions_of("network")}


def test_until_by_and_maxspan() -> None:
    program = compile_query(
        "sequence by host.id with maxspan=1500ms [process where true] by process.entity_id "
        "[file where true] by ?process.parent.entity_id until [any where true] by process.entity_id"
    )
    assert program.kind == "sequence"
    assert program.maxspan_ns == 1_500_000_000
    assert [s.by for s in program.all_stages] == [
        ("host.id", "process.entity_id"),
        ("host.id", "process.parent.entity_id"),
        ("host.id", "process.entity_id"),
    ]
    assert [s.by_optional for s in program.stages] == [(False, False), (False, True)]
    assert "process.parent.entity_id" in program.fields


def test_runs_repeat_the_item_with_its_keys() -> None:
    program = compile_query(
        "sequence [any where true] by process.pid with runs=3 [any where true] by process.parent.pid"
    )
    assert [s.by for s in program.stages] == [("process.pid",)] * 3 + [("process.parent.pid",)]
    assert compile_query("sequence [any where true] with runs=2").kind == "sequence"


def test_a_key_that_exists_nowhere_is_null_everywhere() -> None:
    program = compile_query("sequence by ?no.such, process.pid [any where true] [any where true]")
    assert [s.by for s in program.stages] == [(None, "process.pid")] * 2


@pytest.mark.parametrize(("span", "seconds"), [("1000ms", 1), ("2s", 2), ("3m", 180), ("1h", 3600), ("1d", 86400)])
def test_units_of_maxspan(span: str, seconds: int) -> None:
    program = compile_query(f"sequence with maxspan={span} [any where true] [any where true]")
    assert program.maxspan_ns == seconds * 10**9
