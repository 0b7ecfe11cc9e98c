"""What `rules explain` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import output, units
from kestrel_lab.schema.values import Value, to_json

if TYPE_CHECKING:
    from kestrel_lab.engine import EventVerdict, Part, RuleExplanation, StageFacts, StageVerdict, Step
    from kestrel_lab.session import EventExplanation


def show_rule(found: RuleExplanation, parts: Sequence[str], fmt: output.Format) -> None:
    """Print how a rule is compiled: the parts asked for, in a fixed order."""
    if fmt == "ndjson":
        output.emit(rule_json(found))
        return
    click.echo(output.printable(f"{found.rule.id}: {found.rule.name} ({found.rule.language})"))
    for title, lines in _parts(found, parts):
        click.echo(f"\n== {title}")
        for line in lines:
            click.echo(output.message(line))


def rule_json(found: RuleExplanation) -> dict[str, Any]:
    """Return how a rule is compiled as an ndjson object."""
    return {
        "rule_id": found.rule.id,
        "name": found.rule.name,
        "language": found.rule.language,
        "path": found.rule.path,
        "query": found.rule.query,
        "syntax": list(found.syntax),
        "types": list(found.types),
        "rewrites": list(found.rewrites),
        "program": list(found.program),
        "stages": [_stage_json(stage) for stage in found.stages],
        "fields": list(found.fields),
        "worst_fuel": found.worst_fuel,
        "fuel_limit": found.fuel_limit,
        "code": found.code,
    }


def show_event(found: EventExplanation, fmt: output.Format) -> None:
    """Print what an event made of a rule."""
    if fmt == "ndjson":
        output.emit(event_json(found))
        return
    event = found.verdict
    head = f"event {event.event_id}, {event.table}/{event.action}, and rule {found.rule.id}: {found.rule.name}"
    click.echo(output.printable(head))
    for stage in event.stages:
        for line in _stage_lines(event, stage):
            click.echo(output.printable(line))
    if found.rule.program.kind == "sequence":
        click.echo("\npartial matches under the join keys of this event")
        for line in _trace_lines(found):
            click.echo(output.printable(line))


def event_json(found: EventExplanation) -> dict[str, Any]:
    """Return what an event made of a rule as an ndjson object."""
    return {
        "rule_id": found.rule.id,
        "event_id": found.verdict.event_id,
        "table": found.verdict.table,
        "action": found.verdict.action,
        "stages": [
            {
                "number": stage.number,
                "title": stage.title,
                "concerned": stage.concerned,
                "holds": stage.holds,
                "keys": _values_json(stage.keys),
                "condition": None if stage.condition is None else _part_json(stage.condition),
            }
            for stage in found.verdict.stages
        ],
        "steps": [_step_json(step) for step in found.steps],
    }


def _parts(found: RuleExplanation, wanted: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    texts: dict[str, tuple[str, Sequence[str]]] = {
        "query": ("query", found.rule.query.strip("\n").split("\n")),
        "syntax": ("syntax tree", found.syntax),
        "types": ("types", found.types),
        "rewrites": ("rewrites (line:column of the query, what was done, before => after)", found.rewrites),
        "program": ("program", found.program),
        "stages": ("stages: what they look at, how they are found, what they cost", _stages(found)),
        "code": ("code", found.code.rstrip("\n").split("\n")),
    }
    return [(title, lines) for name, (title, lines) in texts.items() if name in wanted and lines]


def _stages(found: RuleExplanation) -> list[str]:
    out = []
    for stage in found.stages:
        out += [
            f"[{stage.number}] {stage.title}",
            f"  events: {', '.join(stage.actions) or 'none: no event here can satisfy it'}",
            f"  fields: {', '.join(stage.fields) or 'none'}",
            *(f"  index of {table}: {key or 'none, every event of these is looked at'}" for table, key in
              stage.index.items()),
            f"  evaluated: {stage.left or 'nothing, the index decides'}",
            f"  fuel: {stage.fuel_per_row} a row, {stage.fuel_per_call} a call",
        ]  # fmt: skip
    used, limit = units.count(found.worst_fuel), units.count(found.fuel_limit)
    return [*out, f"at most {used} fuel an epoch, of {limit} allowed"]


def _stage_json(stage: StageFacts) -> dict[str, Any]:
    return {
        "number": stage.number,
        "title": stage.title,
        "events": list(stage.actions),
        "index": dict(stage.index),
        "evaluated": stage.left,
        "fields": list(stage.fields),
        "fuel_per_row": stage.fuel_per_row,
        "fuel_per_call": stage.fuel_per_call,
    }


def _stage_lines(event: EventVerdict, stage: StageVerdict) -> list[str]:
    said = "holds" if stage.holds else "fails"
    if not stage.concerned:
        said += f": it does not look at {event.table}/{event.action}"
    out = ["", f"[{stage.number}] {stage.title}: {said}"]
    out += [f"  {name} = {_shown(value)}  (join key)" for name, value in stage.keys.items()]
    if stage.condition is not None:
        out += [_part_line(depth, part) for depth, part in stage.condition.walk()]
    return out


def _part_line(depth: int, part: Part) -> str:
    values = "".join(f"  [{name} = {_shown(value)}]" for name, value in part.values.items())
    return f"  {'  ' * depth}{'true ' if part.holds else 'false'}  {part.text}{values}"


def _part_json(root: Part) -> dict[str, Any]:
    """Return a condition as nested objects, parts before wholes, without recursion."""
    made: dict[int, dict[str, Any]] = {}
    for _, part in reversed(list(root.walk())):
        made[id(part)] = {
            "kind": part.kind,
            "text": part.text,
            "holds": part.holds,
            "values": _values_json(part.values),
            "parts": [made[id(p)] for p in part.parts],
        }
    return made[id(root)]


#: What the matcher did, in words; `{by}` is the event that made it, `{limit}` how far it may be from the first.
_STEPS = {
    "started": "begun by event {by}",
    "advanced": "event {by} is item {item}",
    "alone": "event {by} would be item {item}, but nothing was pending before it",
    "overwritten": "replaced by the newer one that ends with event {by}",
    "too_late": "died: event {by} comes {after} after the first, and maxspan is {limit}",
    "until": "died: event {by} is the `until` of its key",
    "missing": "died: event {by} stands where none may",
    "evicted": "died: given up for want of room",
    "expired": "died: nothing continued it within {limit}",
    "waiting": "all events are there; it waits for {limit} to pass without one that may not come",
    "completed": "whole: an alert",
    "open": "still pending at the end",
}
_MOST_STEPS = 40


def _trace_lines(found: EventExplanation) -> list[str]:
    """Return the steps around the event, those that it made itself marked."""
    steps, event_id = found.steps, found.verdict.event_id
    if not steps:
        return ["  none: the event passes no item, so it has no part in any"]
    at = next((n for n, step in enumerate(steps) if (step.event_id or 0) >= event_id), len(steps))
    first = max(0, min(at - _MOST_STEPS // 2, len(steps) - _MOST_STEPS))
    shown = steps[first : first + _MOST_STEPS]
    out = [f"  ... {units.count(first)} earlier steps"] if first else []
    out += [f"{'>' if step.event_id == event_id else ' '} {_step_line(step)}" for step in shown]
    left = len(steps) - first - len(shown)
    return out + ([f"  ... {units.count(left)} later steps"] if left else [])


def _step_line(step: Step) -> str:
    said = _STEPS[step.kind].format(
        by="that must not be there" if step.event_id is None else step.event_id,
        item=step.item,
        after=units.duration(step.last_ns - step.first_ns),
        limit=units.duration(step.limit_ns - step.first_ns),
    )
    key = ", ".join(map(_shown, step.key))
    return f"[{' '.join(map(str, step.event_ids))}]{f' by {key}' if key else ''}  {said}"


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "event_id": step.event_id,
        "key": [to_json(value) for value in step.key],
        "item": step.item,
        "event_ids": list(step.event_ids),
        "first_ns": step.first_ns,
        "last_ns": step.last_ns,
        "limit_ns": step.limit_ns,
    }


def _values_json(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: to_json(value) for name, value in values.items()}


def _shown(value: Value) -> str:
    if isinstance(value, bytes):
        return f'"{output.printable(value)}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return "missing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
