"""A place in a recording as the user names it: an event id or a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import click

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?\s*(ns|us|ms|s|m|h)?", re.ASCII)
_WALL = re.compile(r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII)

HELP = "An event id (1234), or a time: +30s from the start, ISO 8601 (UTC unless it says), or boot time as 123456ns."


@dataclass(frozen=True, slots=True)
class Place:
    """An event id, or a time in ns: since the recording's start, since 1970 (wall), or since boot."""

    kind: Literal["id", "start", "wall", "boot"]
    value: int


def place(ctx: click.Context, param: click.Parameter, value: str | None) -> Place | None:
    """Option callback: return the place that a word names."""
    if value is None:
        return None
    found = parse(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is neither an event id nor a time. {HELP}", ctx, param)
    return found


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Option callback: return seconds from 30, 30s, 500ms, 2m or 1h."""
    if value is None:
        return None
    ns = _span(value, default="s")
    if ns is None:
        raise click.BadParameter(f"{value!r} is no length of time: write 30, 30s, 500ms, 2m or 1h.", ctx, param)
    return ns / 1e9


def parse(text: str) -> Place | None:
    """Return the place that `text` names, None if it names none."""
    if text.isascii() and text.isdigit():
        return Place("id", int(text))
    if text.startswith("+"):
        ns = _span(text[1:], default="s")
        return None if ns is None else Place("start", ns)
    if text.endswith("ns") and text[:-2].isascii() and text[:-2].isdigit():
        return Place("boot", int(text[:-2]))
    return _wall(text)


def _span(text: str, default: str) -> int | None:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    scale = _UNITS[match[3] or default]
    fraction = match[2] or ""
    return int(match[1]) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def _wall(text: str) -> Place | None:
    match = _WALL.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1] + (match[3] or ""))
    except ValueError:
        return None
    if moment.tzinfo is None:
        # Never the machine's zone: the same words must mean the same events everywhere.
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (since.days * 86_400 + since.seconds) * 1_000_000_000
    return Place("wall", ns + int((match[2] or "0").ljust(9, "0")))
