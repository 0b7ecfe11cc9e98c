import json
from io import StringIO

import pytest

from kestrel_lab.cli import output, units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        (b"\xff/tmp", "\\xff/tmp"),
        ("\udcff", "\\udcff"),
    ],
)
def test_nothing_an_event_holds_steers_the_terminal(text: str | bytes, expected: str) -> None:
    assert output.printable(text) == expected


def test_an_ndjson_line_is_ascii_and_exact() -> None:
    line = output.json_line({"a": "é\x1b\x9b", "n": 2**64 - 1, "b": "\udcff"})
    assert line == b'{"a":"\\u00e9\\u001b\\u009b","n":18446744073709551615,"b":"\\udcff"}\n'
    assert json.loads(line)["n"] == 2**64 - 1


def test_a_table_off_a_terminal_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("rule", "fuel"), [("one", "5"), ("longer\x1b", "12345")], right=("fuel",))
    assert capsys.readouterr().out == "rule         fuel\none             5\nlonger\\x1b  12345\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "escapes"), [("", True), ("1", False)])
def test_a_table_on_a_terminal_has_colours_unless_refused(
    monkeypatch: pytest.MonkeyPatch, no_color: str, escapes: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout", out := Terminal())
    output.table(("severity", "what"), [("high", "[bold]not markup[/] \x1b[2J")])
    assert ("\x1b[" in out.getvalue()) is escapes
    assert "[bold]not markup[/] \\x1b[2J" in out.getvalue()


def test_units() -> None:
    assert units.size(512) == "512 B"
    assert units.size(1536) == "1.5 KiB"
    assert units.size(5 << 50) == "5120.0 TiB"
    assert units.count(1234567) == "1,234,567"
    assert units.wall(1767323045000000006) == "2026-01-02T03:04:05.000000006Z"
    assert units.clock(1767323045678000000) == "03:04:05.678"
