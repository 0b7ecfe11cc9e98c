"""What Lua rules mean, in both modes: values, tables, missing values, texts, purity, fuel."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.lua import evaluate, rule, value_of


@pytest.mark.parametrize(
    ("body", "event", "passed"),
    [
        ('return event.process.name == "bash"', {"process.name": b"bash"}, True),
        ('return event.process.name == "bash"', {}, False),
        ('return event.process.name ~= "bash"', {}, True),
        ("return event.process.args_count > 3", {"process.args_count": 4}, True),
        ("return event.process.args_count > 3", {}, False),
        ("return not (event.process.args_count > 3)", {}, True),
        ('return event["process.name"] == event.file.name', {"process.name": b"a", "file.name": b"a"}, True),
        ('for _, a in ipairs(event.process.args) do if a == "-c" then return true end end',
         {"process.args": (b"sh", b"-c")}, True),
        ("return #event.process.args == 2 and event.process.args[2] == '-c'", {"process.args": (b"sh", b"-c")}, True),
        ("return #event.process.args == 0 and event.process.args[1] == nil", {}, True),
        ("return event.process.args", {}, False),
        ("return 0", {}, True),
        ("", {}, False),
    ],
)  # fmt: skip
def test_what_passes(body: str, event: dict[str, Any], passed: bool) -> None:
    assert evaluate(rule(body), [event]).hits == ((0,) if passed else ())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("math.fmod(-7, 3)", -1),
        ("-(3)", -3),
        ("0x10 + 1e2 + .5", 116.5),
        ('"a" .. 1 .. "b" .. 2.5', b"a1b2.5"),
        ("0 / 0 == 0 / 0", False),
        ('"" .. 0 / 0', b"nan"),
        ('"" .. -(0 / 0)', b"nan"),
        ("math.max(1, 5, 3) + math.min(4, 2)", 7),
        ("math.max(1, 5, 3, 9, 2) + math.min(4, 2, 8, -1)", 8),
        ("math.max(3)", 3),
        ("math.min(1, nil)", None),
        ("math.max(1, nil, 3)", None),
        ("1 / -0.0 < 0 and 1 / (0 * -1) < 0 and 1 / 0 > 0", True),
        ("math.abs(-2) + math.ceil(1.2) + math.floor(1.8)", 5),
        ('string.sub("hello", 2, -2)', b"ell"),
        ('string.sub("hello", 4)', b"lo"),
        ('string.upper("aé\\255") .. string.lower("AÉ")', "Aé".encode() + b"\xff" + "aÉ".encode()),
        ('string.byte("abc", 2)', 98),
        ('string.byte("abc", 9)', None),
        ('string.len("a\\0b")', 3),
        ('string.find("a.b.c", ".", 3, true)', 4),
        ('string.find("abc", "bc")', 2),
        ('string.find("abc", "z")', None),
        ('"abc" < "abd" and "Z" < "a" and not ("b" < "a") and "" <= ""', True),
        ("nil < 1 or 1 < nil or nil <= nil or nil > 1", False),
        ("nil + 1", None),
        ("-(nil)", None),
        ('"a" .. nil', None),
        ("#nil", 0),
        ("string.lower(nil)", None),
        ("math.floor(nil)", None),
        ('(nil)["a"]', None),
        ("1 and 2 or 3", 2),
        ("nil and 2 or 3", 3),
        ("not nil and not false and not not 0", True),
        ('{ 1, "a", true, 2.5 }', (1, b"a", True, 2.5)),
        ("#{ 1, 2, nil, 4 }", 2),
        ("({ 1, 2, nil, 4 })[4]", 4),
        ("({ a = 1, [2] = 5, 7, 8 })[2]", 8),
        ("9007199254740993 == 9007199254740992", False),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775808 < -9223372036854775807", True),
        ("5 == 5.5", False),
        ('"" .. 18446744073709551615', b"18446744073709551615"),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    found = value_of(expression)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1) | st.integers(2**63, 2**64 - 1))
def test_integers_are_exact(a: int, b: int) -> None:
    event = {"process.exit_code": a}
    for op, want in {"==": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "~=": a != b}.items():
        assert evaluate(rule(f"return event.process.exit_code {op} {b}"), [event]).hits == ((0,) if want else ())
    assert value_of("event.process.exit_code", event) == a


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_an_integer_and_a_number_compare_exactly(a: int, b: float) -> None:
    number = f"{b!r}".replace("e+", "e")
    for op, want in {"==": a == b, "<": a < b, "<=": a <= b, ">": a > b}.items():
        assert evaluate(rule(f"return event.file.inode {op} {number}"), [{"file.inode": a}]).hits == (
            (0,) if want else ()
        )


def test_keys_come_in_the_order_they_were_given() -> None:
    body = """
    local t = { z = 1, [10] = 2, a = 3, 4 }
    t.m, t.z, t[2] = 5, nil, 6
    t.z = 7
    local out = ""
    for k, v in pairs(t) do out = out .. k .. "=" .. v .. " " end
    local k, v = next(t)
    return out == "z=7 10=2 a=3 1=4 m=5 2=6 " and k == "z" and v == 7 and #t == 2 and next({}) == nil
    """
    assert evaluate(rule(body)).hits == (0,)


def test_the_length_is_the_first_border() -> None:
    body = """
    local t = {}
    for i = 1, 5 do t[i] = i end
    t[3] = nil
    local holed = #t
    t[3] = 3
    t[6] = 6
    return holed == 2 and #t == 6 and t[0] == nil and t[1.5] == nil
    """
    assert evaluate(rule(body)).hits == (0,)


def test_statements() -> None:
    body = """
    local sum, i, a, b = 0, 0, {}, { 1 }
    for n = 10, 1, -3 do sum = sum + n end
    while true do i = i + 1 if i > 5 then break end end
    repeat local last = i i = i - 1 until last == 1
    do local sum = 100 end
    a.x, b[1] = b[1], a
    local function pair() return 1, 2, 3 end
    local p, q, r, s = pair()
    local first, only = (pair())
    local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
    if sum == 1 then return false elseif sum == 22 then sum = 23 else return false end
    return sum == 23 and i == 0 and a.x == 1 and b[1] == a and r == 3 and s == nil and only == nil and fib(10) == 55
    """
    assert evaluate(rule(body)).hits == (0,)


def test_text_tests() -> None:
    event = {"process.name": b"Bash", "process.args": (b"sh", b"-c", b"/tmp/x"), "source.ip": b"10.1.2.3"}
    for body, passed in {
        'like(event.process.name, "B*", "zsh")': True,
        'like(event.process.name, "b*")': False,
        'ilike(event.process.name, "b?sh")': True,
        'regex(event.process.name, "B.+")': True,
        'iregex(event.process.name, "b.+")': True,
        'regex(event.process.name, "a")': False,
        'like(event.process.args, "/tmp/*")': True,
        'cidr(event.source.ip, "10.0.0.0/8", "fe80::/10")': True,
        'like(event.file.path, "*")': False,
        'like(string.lower(event.process.name), "b*")': True,
        'like(event.process.args[3], "/tmp/*") and like({ "a", "xb" }, "*b")': True,
        'cidr("10.9.9.9", "10.0.0.0/8") and not cidr("x", "10.0.0.0/8")': True,
        'regex(nil, "a")': False,
    }.items():
        assert evaluate(rule(f"return {body}"), [event]).hits == ((0,) if passed else ()), body


def test_values_of_many_codes() -> None:
    names = [f"name{n % 7}".encode() if n % 5 else None for n in range(3000)]
    found = evaluate(rule('return event.process.name == "name3"'), [{"process.name": n} for n in names])
    assert list(found.hits) == [n for n, name in enumerate(names) if name == b"name3"]


def test_captures() -> None:
    code = (
        rule("return event.process.pid > 1")
        + """
    function capture(event)
      if event.process.pid == 2 then return nil end
      return { name = event.process.name, list = { 1, "x", { } and true }, pid = event.process.pid, half = 0.5 }
    end
    """
    )
    events = [{"process.pid": n, "process.name": b"n\xff"} for n in range(4)]
    found = evaluate(code, events)
    assert found.hits == (2, 3)
    assert found.captured == ({}, {"name": b"n\xff", "list": (1, b"x", True), "pid": 3, "half": 0.5})


@pytest.mark.parametrize(
    ("body", "before", "words"),
    [
        ("seen.x = 1", "seen = {}", "read-only"),
        ("inner.t.x = 1", "inner = { t = {} }", "read-only"),
        ("local a = event.process.args a[1] = 'x'", "", "read-only"),
        ("local t = {} t[nil] = 1", "", "nil is no key"),
        ("local t = {} t[0 / 0] = 1", "", "NaN is no key"),
        ("local t = {} t[9007199254740993] = 1", "", "no key"),
        ("return 1 + 'x'", "", "string cannot be reckoned with"),
        ("return event.process.exit_code + 1", "", "integer beyond 53 bits cannot be reckoned with"),
        ("return 1 < 'x'", "", "no order"),
        ("return {} < {}", "", "no order"),
        ("return #5", "", "no length"),
        ("return ('x').rep", "", "string has no entries"),
        ("return 'x' .. {}", "", "cannot be joined"),
        ("local x = 5 x.y = 1", "", "no entries to set"),
        ("local f = nil f()", "", "call"),
        ("local t = {} t()", "", "call"),
        ("for k in pairs(5) do end", "", "no entries"),
        ("for i = 1, nil do end", "", "missing value cannot be reckoned with"),
        ("return string.sub('x', 1.5)", "", "whole number"),
        ("return string.lower(5)", "", "no text"),
        ("return math.min(1, 2, 'x')", "", "string cannot be reckoned with"),
        ("return like(5, 'x')", "", "no text"),
        ("return next({ 1 }, 9)", "", "not there"),
    ],
)
def test_what_stops_a_rule(body: str, before: str, words: str) -> None:
    found = evaluate(rule(body, before=before), [{"process.args": (b"a",), "process.exit_code": 2**60}])
    assert words in found.error


def test_nothing_is_kept_from_one_event_to_the_next() -> None:
    code = rule(
        "local fresh = make() fresh.n = fresh.n + 1 return fresh.n == 1", before="function make() return { n = 0 } end"
    )
    assert evaluate(code, [{}] * 5).hits == (0, 1, 2, 3, 4)


def test_fuel_does_not_depend_on_how_rows_are_given() -> None:
    code = rule('local n = 0 for _, a in ipairs(event.process.args) do n = n + #a end return n > 3 and "x" .. n')
    events = [{"process.args": (b"a",) * (n % 6)} for n in range(40)]
    whole = evaluate(code, events).fuel
    assert whole == sum(evaluate(code, [e]).fuel for e in events) == evaluate(code, events[::-1]).fuel
    assert evaluate(code, events, fuel=whole).hits
    assert evaluate(code, events, fuel=whole - 1).error == "fuel"
