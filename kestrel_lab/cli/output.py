"""How data leaves on stdout: tables for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from kestrel_lab.recording import Damage
    from kestrel_lab.schema.alert import Exhausted

Format = Literal["table", "ndjson"]

Row = Sequence[str]


def printable(text: str | bytes) -> str:
    """Return text that is safe on a terminal: control, format and undecodable characters are escaped.

    Events hold what an attacker chose; an escape sequence in an argument must not reach the terminal.
    """
    decoded = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
    if decoded.isprintable():
        return decoded
    return "".join(_escape(c) if unicodedata.category(c)[0] == "C" else c for c in decoded)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode()


def json_line(data: Mapping[str, Any]) -> bytes:
    """Return one ndjson line: compact, ASCII only, with its line end."""
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def emit(data: Mapping[str, Any]) -> None:
    """Write one object to stdout as an ndjson line, at once."""
    click.echo(json_line(data), nl=False)


def message(text: str) -> str:
    """Return lines that are safe on a terminal; line ends and tabs stay, so that a caret stands under its column."""
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in text.split("\n"))


def note(text: str) -> None:
    """Write words to stderr, made safe for a terminal."""
    click.echo(message(text), err=True)


def note_damage(damage: Sequence[Damage]) -> None:
    """Name on stderr each part of a recording that could not be read."""
    for part in damage:
        note(f"damaged: {part.where}: {part.reason}")


def note_blind(blind: Mapping[str, Sequence[str]]) -> None:
    """Say on stderr which rules look for what was not captured: that they are silent says nothing."""
    if blind:
        some = "; ".join(f"{rule} ({', '.join(actions[:3])})" for rule, actions in list(blind.items())[:5])
        more = f" and {len(blind) - 5} more" if len(blind) > 5 else ""
        note(f"not captured all the time, so these rules had nothing to see: {some}{more}")


def note_stops(rows: Sequence[Exhausted]) -> None:
    """Name on stderr each rule that ran out of fuel or trapped."""
    from kestrel_lab.schema.alert import stops_in_words

    for _, words in stops_in_words(rows):
        note(f"{words}: it has no hits there")


def table(columns: Sequence[str], rows: Sequence[Row], *, right: Sequence[str] = (), title: str = "") -> None:
    """Write a table to stdout: boxed and fitted on a terminal, aligned plain columns anywhere else.

    Args:
        rows: cells as text; made safe here.
        right: names of the columns that are aligned to the right.
    """
    safe = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, safe, right, title)
        return
    if title:
        click.echo(title)
    for line in plain_lines(columns, safe, right):
        click.echo(line)


def facts(pairs: Sequence[tuple[str, str]], title: str = "") -> None:
    """Write names and values to stdout, one pair a line."""
    if title:
        click.echo(title)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"  {name.ljust(width)}  {printable(value)}".rstrip())


def plain_lines(columns: Sequence[str], rows: Sequence[Row], right: Sequence[str] = ()) -> list[str]:
    """Return aligned lines, the heading first, two spaces between columns."""
    lines = [list(columns), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    flush_right = [name in right for name in columns]
    return [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, flush_right, strict=True)).rstrip()
        for line in lines
    ]


def _rich_table(columns: Sequence[str], rows: Sequence[Row], right: Sequence[str], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in columns:
        out.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        out.add_row(*[Text(cell, style=STYLES.get(cell, "")) for cell in row])
    Console(file=sys.stdout, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto").print(out)


#: Words that carry a colour on a terminal.
STYLES = {
    "low": "cyan",
    "medium": "yellow",
    "high": "bold red",
    "critical": "bold white on red",
    "ok": "green",
    "missing": "bold red",
    "same": "green",
    "extra": "yellow",
    "changed": "magenta",
    "damaged": "bold red",
}
