"""Random Lua rules over random events: LuaJIT with its JIT and without agree on hits, captures, fuel and faults."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.lua import evaluate

_NAMES = ("a", "b", "c", "t")
_FIELDS = ["event.process.name", "event.process.args", "event.process.pid", "event.process.exit_code"]
_FIELDS += ["event.file.inode", "event.process.args_count", "event.file.path"]
_LITERALS = ["nil", "true", "false", "0", "1", "-1", "2.5", "0.1", "1e300", "9007199254740993", "-9223372036854775808"]
_LITERALS += ["18446744073709551615", '"a"', '"ab"', '""', '"\\255"', "{}", "{ 1, 2, 3 }", '{ a = 1, [3] = "x" }']
_UNARY = ["not {}", "- {}", "#{}", "({})", "string.lower({})", "string.len({})", "string.sub({}, 2)", "math.floor({})"]
_UNARY += ["math.abs({})", 'like(twice({}), "a*", "?b")', 'iregex(twice({}), "[a-c]+")', "t[{}]", "twice({})"]
_UNARY += ["{{ {} }}", "next({})", "string.byte({}, -1)", "string.upper({})", "helper({})"]
_BINARY = ["{} + {}", "{} - {}", "{} * {}", "{} / {}", "{} % {}", "{} == {}", "{} ~= {}", "{} < {}", "{} <= {}"]
_BINARY += ["{} > {}", "{} >= {}", "{} .. {}", "({} and {})", "({} or {})", "math.max({}, {})", "math.min({}, {})"]
_BINARY += ["math.fmod({}, {})", "string.find({}, {}, 1, true)", "({})[{}]", "same({}, {})"]
#: Functions that random code calls, and what it may not change.
_BEFORE = """
local names, depth = { bash = 1, a = 2, [3] = "x" }, 3
local function twice(x) return x, x end
local function same(x, y) if x == y then return 1 end return x end
local function helper(x)
  local n = 0
  for k, v in pairs(names) do n = n + 1 if k == x then return v end end
  for i, v in ipairs(x or {}) do n = n + i end
  return n
end
"""

expressions = st.recursive(
    st.sampled_from([*_NAMES, *_FIELDS, *_LITERALS, *_NAMES]),
    lambda inner: st.one_of(
        st.builds(lambda form, a: form.format(f"({a})" if form[0] in "-#n" else a), st.sampled_from(_UNARY), inner),
        st.builds(lambda form, a, b: form.format(f"({a})", f"({b})"), st.sampled_from(_BINARY), inner, inner),
    ),
    max_leaves=6,
)
names = st.sampled_from(_NAMES)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(" ".join)
    return st.one_of(
        st.builds("if {} then {} else {} end".format, expressions, body, body),
        st.builds("for i = 1, {} do {} end".format, st.sampled_from(["3", "80", "#t", "a"]), body),
        st.builds("for k, v in pairs({}) do {} end".format, expressions, body),
        st.builds("for k, v in ipairs({}) do {} c = v end".format, expressions, body),
        st.builds("do local n = 0 while n < 70 and {} do n = n + 1 {} end end".format, expressions, body),
        st.builds("do local n = 0 repeat n = n + 1 {} until n > 60 or {} end".format, body, expressions),
        st.builds(
            "do local f = function(a, b) local c, t = 1, {{ 1 }} {} return b end b = f({}, a) end".format,
            body,
            expressions,
        ),
    )


statements = st.recursive(
    st.one_of(
        st.builds("{} = {}".format, names, expressions),
        st.builds("t[{}] = {}".format, expressions, expressions),
        st.builds("a, b = {}, {}".format, expressions, expressions),
        st.builds("t[#t + 1] = {}".format, expressions),
        st.builds('a = a .. "x" .. {}'.format, expressions),
        st.builds("if {} then return {} end".format, expressions, expressions),
    ),
    _blocks,
    max_leaves=6,
)


@st.composite
def rules(draw: st.DrawFn) -> str:
    body = "\n".join(draw(st.lists(statements, min_size=1, max_size=5)))
    start = 'local a, b, c, t = 1, "a", nil, { 1, 2, x = "y" }'
    code = f'category = "any"\n{_BEFORE}\nfunction match(event)\n{start}\n{body}\nreturn {draw(expressions)}\nend\n'
    if draw(st.booleans()):
        value = draw(expressions)
        code += f"function capture(event)\n{start}\nreturn {{ first = {value}, second = a }}\nend\n"
    return code


events = st.fixed_dictionaries(
    {},
    optional={
        "process.name": st.sampled_from([b"bash", b"a", b"ab", b"\xff", b""]),
        "process.args": st.lists(st.sampled_from([b"a", b"-c", b"x" * 40]), min_size=1, max_size=4).map(tuple),
        "process.pid": st.sampled_from([0, 1, 7, 2**31]),
        "process.exit_code": st.sampled_from([0, -1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]),
        "file.inode": st.sampled_from([0, 5, 2**53 + 1, 2**64 - 1]),
        "process.args_count": st.integers(0, 5),
        "file.path": st.sampled_from([b"/tmp/a", b"/etc"]),
    },
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules(), st.lists(events, min_size=1, max_size=6))
def test_the_jit_changes_nothing(code: str, found: list[dict[str, Any]]) -> None:
    evaluate(code, found * 40, fuel=200_000)  # compares; as many rows as make LuaJIT compile


@pytest.mark.slow
def test_random_rules_do_all_kinds_of_things() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=100, deadline=None, database=None, derandomize=True,
              suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
    @given(rules(), st.lists(events, min_size=1, max_size=6))
    def look(code: str, found: list[dict[str, Any]]) -> None:
        outcome = evaluate(code, found, fuel=200_000)
        seen[outcome.error or ("hits" if outcome.hits else "none")] += 1

    look()
    assert seen["hits"] > 3
    assert len(seen) > 5
