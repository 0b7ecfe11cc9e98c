"""Lua rules that mean harm: refused where they are loaded, or stopped, the same in both modes and soon."""

from __future__ import annotations

import pytest

from kestrel_lab.engine.lua.script import Script, ScriptError
from kestrel_lab.eql.lua import compile_lua
from kestrel_lab.eql.lua.limits import MAX_BYTES, MAX_DEPTH, MAX_ENTRIES
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN
from tests.engine.lua import evaluate, rule
from tests.engine.support import MODES
from tests.support.budget import at_most

DOORS = [
    "os.execute('id')", "io.open('/etc/passwd')", "require('ffi')", "ffi.cdef('')", "debug.getregistry()",
    "jit.off()", "package.loaded.os", "_G.os", "_ENV.os", "load('x')", "loadstring('x')", "loadfile('x')",
    "dofile('x')", "getfenv(1)", "setfenv(1, {})", "getmetatable('')", "setmetatable({}, { __mode = 'k' })",
    "newproxy(true)", "coroutine.create(match)", "pcall(match)", "xpcall(match, match)", "error('x')",
    "rawset({}, 1, 2)", "rawget({}, 1)", "rawequal(1, 1)", "rawlen({})", "collectgarbage('count')", "print('x')",
    "tostring({})", "tostring(match)", "tonumber('1')", "type(1)", "select('#', 1)", "unpack({})", "assert(1)",
    "string.dump(match)", "string.rep('x', 1e9)", "string.gsub('x', 'x', match)", "string.gmatch('x', '.')",
    "string.match('x', '.')", "string.format('%p', {})", "string.char(1)", "string.reverse('x')",
    "string['dump'](match)", "string['du' .. 'mp'](match)", "table.concat({})", "table.sort({})",
    "math.random()", "math.huge", "math.sin(1)", "bit.band(1, 2)", "python.eval('1')",
    "K.host", "fuel", "depth", "u_match()", "give()",
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_shut(door: str) -> None:
    """There is no such name, which is said where it stands."""
    with pytest.raises(RuleError, match=r"is not defined|rules have no|is named in the text") as caught:
        compile_lua(rule(f"local x = {door}"))
    assert caught.value.where.startswith("<rule>:4:")
    assert "^" in caught.value.detail


@pytest.mark.parametrize("door", ["('x').rep", "('x')['dump']", "match.x", "(5).x"])
def test_there_is_nothing_behind_a_value(door: str) -> None:
    assert "has no entries" in evaluate(rule(f"local x = {door}")).error


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("local x = ('x'):rep(1000000000)", "no methods"),
        ("local s = 'x' local y = s:dump()", "no methods"),
        ("goto again", "no goto"),
        ("local x = 2 ^ 1000", "no powers"),
        ("local x = function(...) return ... end", "no variable arguments"),
        ("local x = 5LL", "is no number"),
        ("string = {}", "has a meaning of its own"),
        ("local pairs = 1", "has a meaning of its own"),
        ("function string.rep(s) end", "no parts"),
        ("math.floor = 1", "is no value"),
    ],
)
def test_a_form_is_refused(code: str, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        compile_lua(f'category = "any"\n{code}\nfunction match(event) end')


FOREVER = {
    "loop": "while true do end",
    "repeat": "repeat until false",
    "numeric": "for i = 1, 2, 0 do end",
    "many": "for i = 1, 1e300 do end",
    "growing": "local t = { 1 } for i in ipairs(t) do t[i + 1] = i end",
    "pairs": "local t = { a = 1 } for k in pairs(t) do t[k .. 'a'] = 1 end",
    "iterator": "for x in function() return 1 end do end",
    "calls": "local function f() return 1 end while f() do f() end",
    "nothing": "local function f() end while not f() do f(f(f())) end",
    "recursion": "local function f(n) return f(n + 1) + 1 end f(1)",
    "tail": "local function f(n) return f(n + 1) end f(1)",
    "mutual": "local a, b = function(f, g) return g(g, f) end, function(f, g) return g(g, f) end a(a, b)",
    "tree": "local function f(n) if n > 0 then f(n - 1) f(n - 1) end end f(100)",
    "doubling": "local s = 'ab' while true do s = s .. s end",
    "texts": "local s = 'ab' while true do s = string.upper(s .. 'a') end",
    "tables": "local t = {} while true do t[#t + 1] = {} end",
    "keys": "local t, n = {}, 0 while true do n = n + 1 t['k' .. n] = n end",
    "holes": "local t = {} for i = 1, 5000 do t[i] = i end while true do t[1] = nil t[1] = 1 end",
    "tombs": "local t = {} for i = 1, 5000 do t['k' .. i] = 1 end for i = 1, 4999 do t['k' .. i] = nil end "
             "while true do next(t) end",
    "closures": "local f while true do local g = f f = function() return g end end",
    "garbage": "while true do local t = { {}, {}, {} } end",
    "find": "local s = 'a' for i = 1, 16 do s = s .. s end while true do string.find(s, s .. 'b', 1, true) end",
    "sub": "local s = 'a' for i = 1, 18 do s = s .. s end while true do string.sub(s, 2) end",
    "order": "local s = 'a' for i = 1, 18 do s = s .. s end while s .. 'a' > s do end",
    "regex": "local s = 'a' for i = 1, 14 do s = s .. s end while true do regex(s, '(a|aa)*b') s = s .. 'a' end",
    "like": "local n = 0 while true do n = n + 1 like('n' .. n, '*a*b*c*d*') end",
    "many arguments": f"while true do math.max({', '.join(['1'] * 200)}) end",
    "arguments": "while true do math.max(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) end",
}  # fmt: skip


@pytest.mark.parametrize("body", FOREVER.values(), ids=FOREVER)
def test_what_never_ends_is_stopped(body: str) -> None:
    with at_most(2 * 1.0):  # both modes
        found = evaluate(rule(body))
    assert found.error in (
        "fuel",
        "too much memory for one event",
        "the text is too long",
        "functions call one another too deep",
    )


@pytest.mark.parametrize("body", FOREVER.values(), ids=FOREVER)
def test_what_never_ends_while_it_is_loaded_is_refused(body: str) -> None:
    _, script = compile_lua(f'category = "any"\n{body}\nfunction match(event) end')
    for mode in MODES:
        with at_most(1), pytest.raises(ScriptError):
            Script(script, mode, BUILTIN.fields)


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 10_000 + "1" + ")" * 10_000,
        "x = " + "{" * 10_000 + "}" * 10_000,
        "x = " + "not " * 10_000 + "1",
        "x = " + "- " * 10_000 + "y",
        "x = " + "a." * 10_000 + "b",
        "x = " + "f(" * 5_000 + ")" * 5_000,
        "x = f" + "()" * 10_000,
        "x = " + "1 + " * 10_000 + "1",
        "do " * 5_000 + "end " * 5_000,
        "x = " + "function() return " * 2_000 + "1" + " end" * 2_000,
        "if x then " * 2_000 + "end " * 2_000,
        "x = '" + "a" * (MAX_BYTES + 1) + "'",
        "x = { " + "1," * (MAX_ENTRIES + 1) + "}",
        "x = [[" + "a" * 1000,
        "x = '" + "\\" * 9_999,
        "x = 1" + "0" * 30_000,
        "x = 1e" + "9" * 30_000,
        "--[[" * 10_000,
        "\x00" * 1000,
        "x = " + " or ".join(["y"] * 10_000),
        "local " + ", ".join(f"a{n}" for n in range(300)),
        "\n".join(f"local a{n} = {n}" for n in range(300)),
        "".join(f"local a{n} = {n}\n" for n in range(100)) + "f = function() return "
        + " .. ".join(f"a{n}" for n in range(100)) + " end",
        "x = f(" + ", ".join(["1"] * 1_000) + ")",
        "f = function() if x then " + "x = f(x) " * 6_000 + "end end",
    ],
    ids=lambda code: code[:20].strip(),
)  # fmt: skip
def test_text_that_is_too_large_or_too_deep_is_refused(code: str) -> None:
    # LuaJIT's own limits show when the text is loaded
    with at_most(1.5), pytest.raises((RuleError, ScriptError)):  # noqa: PT012
        _, script = compile_lua(f'category = "any"\n{code}\nfunction match(event) end')
        Script(script, "live", BUILTIN.fields)


@pytest.mark.parametrize("wrap", ["({})", "not {}", "- {}", "{{ {} }}", "f({})", "({} or 1)", "({} .. 'a')", "f()[{}]"])
def test_what_is_as_deep_as_may_be_runs(wrap: str) -> None:
    inner, depth = "f()", 0
    while depth < MAX_DEPTH:
        outer = wrap.format(inner)
        try:
            compile_lua(rule(f"local x = {outer}", before="function f() return nil end"))
        except RuleError:
            break
        inner, depth = outer, depth + 1
    assert depth > 10
    assert evaluate(rule(f"local x = {inner}", before="function f() return nil end")).hits == ()


@pytest.mark.parametrize(
    ("opening", "closing", "locals_"),
    [
        ("do ", " end", 0),
        ("if 1 then ", " end", 0),
        ("while true do ", " break end", 0),
        ("for i = 1, 1 do ", " end", 4),
    ],
)
def test_blocks_as_deep_as_may_be_run(opening: str, closing: str, locals_: int) -> None:
    depth = min(MAX_DEPTH - 3, 190 // max(locals_, 1))  # LuaJIT has 200 locals a function
    assert not evaluate(rule(opening * depth + closing * depth)).error
