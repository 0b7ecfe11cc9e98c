"""What a rule's author reads when a rule is wrong, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.eql import compile_query
from kestrel_lab.schema.errors import ExitCode, RuleError

GOLDEN = Path(__file__).with_name("errors.txt")


def cases() -> list[tuple[str, str]]:
    """Return query and message of each block of the golden file."""
    out = []
    for block in GOLDEN.read_text().split("\n----\n"):
        query, _, message = block.strip("\n").partition("\n=>\n")
        out.append((query, message))
    return out


@pytest.mark.parametrize(("query", "message"), cases(), ids=[q[:60] for q, _ in cases()])
def test_a_message(query: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_query(query, path="rule.toml", first_line=7)
    assert str(caught.value) == message
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = "any where " + "process.pid == 1 or " * 500 + "process.pid = 1"
    with pytest.raises(RuleError) as caught:
        compile_query(text)
    line, caret = caught.value.detail.splitlines()
    assert len(line) < 140
    assert line[caret.index("^")] == "="
    assert caught.value.where == f"<query>:1:{text.rindex('= 1') + 1}"


def test_tabs_and_control_characters_are_shown_safely() -> None:
    with pytest.raises(RuleError) as caught:
        compile_query("any where\t/* \x1b[31m */\tprocess.pid = 1")
    line, caret = caught.value.detail.splitlines()
    assert "\x1b" not in line
    assert caret.count("\t") == 2
    assert line.expandtabs()[caret.expandtabs().index("^")] == "="


@pytest.mark.parametrize(
    "text", ['any where process.name == "\ud800"', "any where process.pid == \u0663", "\ufeffany where true"]
)
def test_odd_characters_are_refused(text: str) -> None:
    with pytest.raises(RuleError, match=r"<query>:1:\d+: .*(character|surrogate)"):
        compile_query(text)


def test_carriage_returns_end_no_line() -> None:
    with pytest.raises(RuleError) as caught:
        compile_query('any where true and\r\n  process.nam == "a"\r\n')
    assert caught.value.where == "<query>:2:3"
    assert "\r" not in str(caught.value)
