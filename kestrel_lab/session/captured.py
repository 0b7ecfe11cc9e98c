"""What a recording cannot hold, because it was not captured: which rules that makes blind, which alerts it hides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kestrel_lab.engine import Pack
from kestrel_lab.recording import Recording
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.captured import captured_throughout
from kestrel_lab.session.causes import Cause, CauseKind


def blind_rules(recording: Recording, pack: Pack) -> Mapping[str, tuple[str, ...]]:
    """Return the rules that look for what was not captured all the time, by id, each with the names of the actions.

    A rule that could also do with what was captured is not among them, nor is any where it is not known what was.
    """
    captured = captured_throughout(recording.captures)
    if captured is None:
        return {}
    names = {action.code: action.name for action in recording.info.schema.actions}
    out = {}
    for rule in pack.rules:
        wants = [frozenset(stage.actions) for stage in rule.program.all_stages]
        missing = [names[code] for actions in wants if actions and not actions & captured for code in sorted(actions)]
        if missing:
            out[rule.id] = tuple(dict.fromkeys(missing))
    return out


def capture_cause(alert: Alert, has: Recording, lacks: Recording) -> Cause | None:
    """Return why one recording may lack what an alert of another rests on: it was not captured, or filtered out."""
    captured = captured_throughout(lacks.captures)
    if captured is None:
        return None
    names = {action.code: action.name for action in has.info.schema.actions}
    missing = sorted(actions_of(has, alert) - captured)
    if missing:
        what = ", ".join(names[code] for code in missing)
        return Cause(CauseKind.NOT_CAPTURED, f"{lacks.path} holds no events of this kind: {what}", proved=True)
    filters = {text for use in lacks.captures for text in use.filters}
    filters -= {text for use in has.captures for text in use.filters}
    if filters:
        what = ", ".join(sorted(filters))
        return Cause(CauseKind.FILTERED, f"{lacks.path} was recorded with a filter: {what}", proved=False)
    return None


def actions_of(recording: Recording, alert: Alert) -> frozenset[int]:
    """Return the action codes of an alert's events."""
    found = set[int]()
    for event_id in alert.event_ids:
        if event_id is None:
            continue
        epoch = next(iter(recording.epochs(recording.at_id(event_id), on_damage="skip")), None)
        for rows in epoch.tables.values() if epoch else ():
            at = np.flatnonzero(rows.column("event_id") == event_id)
            found.update(rows.column("action")[at].tolist())
    return frozenset(found)
