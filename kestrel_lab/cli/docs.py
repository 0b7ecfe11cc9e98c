"""Writes docs/cli.md from the commands' own help: `python -m kestrel_lab.cli.docs`; `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from kestrel_lab.cli.main import main
from kestrel_lab.schema.errors import ExitCode

TARGET = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_WIDTH = 110

_HEAD = """# Command line

Generated from `--help` by `python -m kestrel_lab.cli.docs`; do not edit.

Data goes to stdout, words to stderr. `--format ndjson` prints one JSON object a line; its keys are part of the
contract, a table's columns are not.
"""


def document() -> str:
    """Return the whole of docs/cli.md."""
    parts = [_HEAD, _exit_codes()]
    parts += [f"## `{path}`\n\n```\n{text}\n```\n" for path, text in helps(main, "kestrel-lab")]
    return "\n".join(parts)


def helps(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield (full name, help text) of a command and of everything below it."""
    settings = {**command.context_settings, "terminal_width": _WIDTH}
    ctx = click.Context(command, info_name=command.name if parent else path, parent=parent, **settings)
    yield path, command.get_help(ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None:
                yield from helps(child, f"{path} {name}", ctx)


def _exit_codes() -> str:
    rows = "".join(f"| {code.value} | {code.meaning} |\n" for code in ExitCode)
    return f"## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}"


def run(arguments: Sequence[str]) -> int:
    """Write docs/cli.md, or with `--check` say whether it is current; returns the exit code."""
    text = document()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    current = TARGET.exists() and TARGET.read_text("utf-8") == text
    if not current:
        click.echo(f"{TARGET} is not what --help says: run python -m kestrel_lab.cli.docs", err=True)
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
