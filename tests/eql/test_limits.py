"""Sizes: what is too large is refused in words, and nothing of the allowed size makes any pass fall over."""

from __future__ import annotations

import pytest

from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.eql.parse import _grammar, _guard
from kestrel_lab.schema.errors import RuleError
from tests.eql.host import evaluate


def refused(text: str) -> str:
    with pytest.raises(RuleError) as caught:
        compile_query(text)
    return caught.value.what


def test_limits_are_refused_by_name() -> None:
    assert "larger than 1,048,576 bytes" in refused("any where true //" + "x" * (1 << 20))
    assert "larger than 1,048,576 bytes" in refused("any where true //" + "\u20ac" * (1 << 19))
    assert "more than 20,000 items" in refused(f"any where process.pid in ({'1,' * 20_000}1)")
    assert "more than 1,000 items" in refused("sequence " + "[any where true] with runs=100 " * 11)
    assert "more than 45,000 tokens" in refused("any where " + "true or " * 30_000 + "true")
    assert "nests deeper than 200" in refused(f"any where {'(' * 201}true{')' * 201}")
    assert "nests deeper than 200" in refused(f"any where {'not ' * 201}true")
    assert "nests deeper than 200" in refused(f"any where {'(not ' * 100_000}true{')' * 100_000}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "condition",
    [
        "(" * 200 + 'process.name == "a"' + ")" * 200,
        "not " * 200 + 'process.name == "a"',
        '(process.name == "a" or process.args == "b" and not ' * 100 + "process.pid == 1" + ")" * 100,
        '(process.name == "a" or (process.args == "b" and ' * 100 + "process.pid == 1" + "))" * 100,
        "((" * 100 + 'process.name == "a"' + ") == true) " * 100,
        " and ".join(["(process.pid > 1 or process.pid < 0)"] * 4_000),
    ],
    ids=["parentheses", "not", "mixed", "alternating", "compared", "wide"],
)
def test_what_is_allowed_compiles_and_runs(condition: str) -> None:
    module = lower_wasm(compile_query(f"any where {condition}"))
    evaluate(module, 0, [{"process.name": b"a", "process.pid": 1}], [0], pulley=True)


def test_a_list_of_the_largest_size() -> None:
    items = ", ".join(f'"w{n}*"' for n in range(20_000))
    module = lower_wasm(compile_query(f"any where process.name : ({items})"))
    assert module.slots[1].test is not None
    assert len(module.slots[1].test.patterns) == 20_000


@pytest.mark.slow
def test_too_many_different_tests_are_refused() -> None:
    text = " or ".join(f'process.name < "{n}"' for n in range(11_000))
    assert "different tests" in refused(f"any where {text}")


def test_the_guard_sees_the_tokens_that_the_parser_sees() -> None:
    text = r'''sequence by `a,(b`.c[0], ?d with maxspan=1.5m // one, (two
      [any where "a\",(" : ("b*", """,(["\""") and x != -1e3 and not y in~ (1, 2)] /* ( , [ */ ![file where f~(a, ".")]
      until [process where a regex~ ("x") and b like (`in`)] | head 5'''
    lexed = [(token.type, token.start_pos) for token in _grammar().lex(text)]
    seen = list(_guard()._tokens(text))
    assert [place for _, place in seen] == [place for _, place in lexed]
    marks = ("LPAR", "RPAR", "COMMA", "OPEN", "MISSING_OPEN")
    assert [t for t in seen if t[0] in marks] == [t for t in lexed if t[0] in marks] != []
