"""Recording against recording: two captures of the same act, or a copy and its original."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from kestrel_lab.recording import Recording
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.values import to_json
from kestrel_lab.session.captured import capture_cause
from kestrel_lab.session.causes import Cause, CauseKind, Identity, RuleChange, by_identity, content, rule_changes
from kestrel_lab.session.chain import Diff, Explain, Link, compare
from kestrel_lab.session.diff import UNEXPLAINED, cut_cause, damage_cause, expired_cause
from kestrel_lab.session.recorded import recorded_rules
from kestrel_lab.session.replay import Replay, replay
from kestrel_lab.session.schedule import PackSchedule, always

#: Captured fields that differ whenever the same thing is done twice.
_VOLATILE = ("pid", "entity_id", "thread.id", "sequence", "inode", "cpu", "source.port")


def diff_recordings(a: Recording, b: Recording, *, workers: int = 1) -> Diff:
    """Compare what the rules find in two recordings, each replayed with the pack it holds: copies with all of their
    packs, each when it ran; others with the pack that ran last.

    Alerts of copies of one recording are matched by their events; alerts of different recordings by rule and captures,
    without what differs whenever a thing is done twice (ids of processes, inodes, the local port), in their order.
    The chain: `a` with its pack; `b` with the pack of `a`; `b` with its own.

    Raises:
        UsageError: if one of them holds no rules.
    """
    copies = a.info.recording_id == b.info.recording_id
    rules_a, rules_b = (r if copies else always(r.last) for r in (recorded_rules(a), recorded_rules(b)))
    key = by_identity if copies else by_meaning
    changes = _changes(rules_a, rules_b)
    first, second = replay(a, rules_a, workers=workers), replay(b, rules_a, workers=workers)
    links = [
        Link(str(a.path), key(first.alerts)),
        Link(
            f"{b.path} with the rules of the first" if changes else str(b.path),
            key(second.alerts),
            _events(a, b, first, second, copies),
        ),
    ]
    if changes:
        third = replay(b, rules_b, workers=workers)

        def explain(left: Alert | None, right: Alert | None) -> Cause:
            found = left or right
            change = changes.get(found.rule_id) if found else None
            return change.cause if change else UNEXPLAINED

        links.append(Link(str(b.path), key(third.alerts), explain))
    return compare(links, [change.cause for change in changes.values()], content if copies else _headline)


def _changes(a: PackSchedule, b: PackSchedule) -> dict[str, RuleChange]:
    if [use.pack_hash for use in a.uses] == [use.pack_hash for use in b.uses]:
        return {}
    return {rule_id: change for pack in b.in_order for rule_id, change in rule_changes(a.in_order, pack).items()}


def by_meaning(alerts: Sequence[Alert]) -> dict[Identity, Alert]:
    """Return alerts by rule and steady captures; the n-th of equal ones by its number."""
    seen: Counter[str] = Counter()
    out: dict[Identity, Alert] = {}
    for alert in sorted(alerts, key=lambda x: x.sort_key):
        text = json.dumps([alert.rule_id, [_steady(alert, k) for k in range(len(alert.captures))]])
        out[(text, seen[text])] = alert
        seen[text] += 1
    return out


def _headline(alert: Alert) -> object:
    """Return what must be equal of two alerts of the same meaning: neither ids nor times can be."""
    return alert.rule_name, alert.severity


def _steady(alert: Alert, place: int) -> dict[str, object]:
    captured = alert.captures[place] or {}
    return {name: to_json(captured[name]) for name in sorted(captured) if not name.endswith(_VOLATILE)}


def _events(a: Recording, b: Recording, first: Replay, second: Replay, copies: bool) -> Explain:
    ends = [r.index[-1].last_event_id if r.index else 0 for r in (a, b)]

    def explain(left: Alert | None, right: Alert | None) -> Cause:
        if copies:
            other = (right or left, first.damage, ends[0]) if left is None else (left, second.damage, ends[1])
            alert, damage, last = other
            assert alert is not None
            gone = expired_cause(alert, (*a.expired, *b.expired))
            return gone or damage_cause(alert, damage) or cut_cause(alert, last) or UNEXPLAINED
        alert, has, lacks = (right, b, a) if left is None else (left, a, b)
        found = capture_cause(alert, has, lacks) if alert is not None and (left is None or right is None) else None
        different = "same rule, same engine: the events recorded are different"
        return found or Cause(CauseKind.EVENTS, different, proved=True)

    return explain
