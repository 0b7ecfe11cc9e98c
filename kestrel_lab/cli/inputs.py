"""Recordings and rules as the commands take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from kestrel_lab.cli import output
from kestrel_lab.cli.when import Place
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.schema import BUILTIN, Schema

if TYPE_CHECKING:
    from kestrel_lab.cli.events import Picked, Range
    from kestrel_lab.engine import Pack
    from kestrel_lab.recording import EpochRecord, Recording
    from kestrel_lab.schema.epoch import Epoch
    from kestrel_lab.session import PackSchedule


def load_rules(paths: Sequence[Path], schema: Schema = BUILTIN, *, skip_broken: bool = False) -> Pack:
    """Return the pack of some paths; what is left out because it is wrong is told on stderr.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
        RuleError: if a rule is wrong and that matters.
    """
    from kestrel_lab.engine import load_pack

    pack = load_pack(paths, schema=schema, skip_broken=skip_broken)
    for error in pack.broken:
        output.note(f"left out: {error.render()}")
    return pack


def rules_for(recording: Recording, rules: Sequence[Path], *, skip_broken: bool = False) -> PackSchedule:
    """Return the rules named, or those that ran while it was recorded, each when it did.

    Raises:
        UsageError: if none are named and none ran.
        RuleError: if a rule is wrong.
    """
    from kestrel_lab.session import always, recorded_rules

    if not rules:
        return recorded_rules(recording)
    return always(load_rules(rules, recording.info.schema, skip_broken=skip_broken))


def event_range(recording: Recording, start: Place | None, stop: Place | None) -> Range:
    """Return which events `--from` and `--to` choose.

    Raises:
        UsageError: if a time counts from an event and the recording holds none.
    """
    from kestrel_lab.cli.events import Range

    bounds: dict[str, int] = {}
    for place, by_id, by_time in ((start, "first_id", "from_ns"), (stop, "last_id", "to_ns")):
        if place is not None:
            bounds |= {by_id: place.value} if place.kind == "id" else {by_time: _boot_ns(recording, place)}
    return Range(**bounds)


class Window(TypedDict, total=False):
    """Bounds on alerts as `session.replay` takes them: event ids, and wall times in ns."""

    first_id: int
    last_id: int
    from_ns: int
    to_ns: int


def alert_window(recording: Recording, start: Place | None, stop: Place | None) -> Window:
    """Return which alerts `--from` and `--to` choose.

    Raises:
        UsageError: if a time counts from an event and the recording holds none.
    """
    bounds = Window()
    if start is not None:
        if start.kind == "id":
            bounds["first_id"] = start.value
        else:
            bounds["from_ns"] = _boot_ns(recording, start) + _wall_offset_ns(recording)
    if stop is not None:
        if stop.kind == "id":
            bounds["last_id"] = stop.value
        else:
            bounds["to_ns"] = _boot_ns(recording, stop) + _wall_offset_ns(recording)
    return bounds


def overlapping(recording: Recording, wanted: Range | Picked) -> Iterator[Epoch]:
    """Yield the readable epochs from the first to the last that may hold an event of the range.

    What cannot be read is noted in the recording's `damage`.
    """
    numbers = [entry.number for entry in recording.index if wanted.touches(entry)]
    if not numbers:
        return
    for epoch in recording.epochs(numbers[0], on_damage="skip"):
        if epoch.number > numbers[-1]:
            return
        yield epoch


def _boot_ns(recording: Recording, place: Place) -> int:
    if place.kind == "boot":
        return place.value
    if place.kind == "wall":
        return place.value - _wall_offset_ns(recording)
    return place.value + _first(recording).ts_min_ns


def _wall_offset_ns(recording: Recording) -> int:
    first = _first(recording)
    return first.clock_wall_ns - first.clock_boot_ns


def _first(recording: Recording) -> EpochRecord:
    if not recording.index:
        raise UsageError("the recording holds no events", where=str(recording.path))
    return recording.index[0]
