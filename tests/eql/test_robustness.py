"""Whatever the text, the answer is a program that lowers or a RuleError with a place."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.schema.errors import RuleError

_WORDS = """
any process file where and or not in in~ : like like~ regex regex~ == != < <= > >= = ( ) [ ] ![ , | + - * / % ? ~ ! &
process.name process.pid process.args source.ip no.such ?no.such ?process.name `process.name` process.args[0] true
false null "a" "a*" "\\n" "\\q" "10.0.0.1" \"\"\"raw\"\"\" 'x' " 1 -5 2.5 1e9 5m 99999999999999999999 // /* */ sequence
sample join by with until maxspan runs maxspan=5m runs=2 head startsWith( cidrMatch( length( concat(
substring( number( string( between~( indexOf( add( @timestamp host.ip foo( \u00e9 \0
"""
TOKENS = _WORDS.split()
HEADS = ["any where ", "sequence by process.pid ", "sequence [any where true] [", ""]
soup = st.builds(
    lambda head, words, gap: head + gap.join(words),
    st.sampled_from(HEADS), st.lists(st.sampled_from(TOKENS), max_size=12), st.sampled_from([" ", "", "\n"]),
)  # fmt: skip


def answer(text: str) -> None:
    error = None
    try:
        lower_wasm(compile_query(text))
    except RuleError as found:
        error = found
    if error is not None:
        path, line, column = error.where.split(":")
        assert path == "<query>"
        assert 1 <= int(line) <= text.count("\n") + 1
        assert int(column) >= 1
        assert error.what
        assert "^" in error.detail


@settings(max_examples=600, deadline=None)
@given(soup)
def test_words_in_any_order(text: str) -> None:
    answer(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    answer(text)
    answer(f"any where {text}")
