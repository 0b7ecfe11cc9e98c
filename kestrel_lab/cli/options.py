"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kestrel_lab.cli.when import HELP, place

F = TypeVar("F", bound=Callable[..., Any])

#: A recording that must exist; whether it is one is the reader's business.
RECORDING = click.Path(exists=True, path_type=Path)


def format_option(default: str = "table") -> Callable[[F], F]:
    """Add `--format`, as `fmt`."""
    return click.option(
        "--format", "fmt", type=click.Choice(["table", "ndjson"]), default=default, show_default=True,
        help="A table for people, or one JSON object a line.",
    )  # fmt: skip


def rules_option(text: str) -> Callable[[F], F]:
    """Add `--rules`, repeatable, as a tuple of paths."""
    return click.option(
        "--rules", type=click.Path(exists=True, path_type=Path), multiple=True, metavar="PATH", help=text
    )


def skip_broken_option(function: F) -> F:
    """Add `--skip-broken`."""
    return click.option(
        "--skip-broken", is_flag=True, help="Leave wrong rules out, and say so, instead of refusing them all.",
    )(function)  # fmt: skip


def workers_option(function: F) -> F:
    """Add `--workers`."""
    return click.option(
        "--workers", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
        help="Engine processes; the answers do not depend on it.",
    )(function)  # fmt: skip


def range_options(function: F) -> F:
    """Add `--from` and `--to`, as `start` and `stop`; both are inclusive."""
    stop = click.option(
        "--to", "stop", metavar="ID|TIME", callback=place, help="The last one, inclusive; named in the same ways."
    )
    start = click.option("--from", "start", metavar="ID|TIME", callback=place, help=f"The first one. {HELP}")
    return start(stop(function))
