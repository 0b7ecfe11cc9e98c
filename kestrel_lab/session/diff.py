"""Live against offline, and recording against recording: what is the same, missing, extra, changed, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kestrel_lab.engine import Limits, Pack, engine_build
from kestrel_lab.recording import Damage, Expired, Recording
from kestrel_lab.schema.alert import Alert, Exhausted, Skip, stops_in_words
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session.causes import Cause, CauseKind, RuleChange, by_identity, ranges, rule_changes
from kestrel_lab.session.chain import Diff, Explain, Link, compare
from kestrel_lab.session.recorded import LiveRun, live_run, recorded_rules, replay_run
from kestrel_lab.session.replay import Replay, replay
from kestrel_lab.session.schedule import PackSchedule, always


def diff_rules(
    recording: Recording, pack: Pack | None = None, *, limits: Limits | None = None, workers: int = 1
) -> Diff:
    """Compare the alerts raised live with a deterministic replay, and prove the cause of each difference.

    The chain: the live alerts; the replay as live, which must equal them; the same without skips; the same with the
    other rules and limits. A run that could not differ from the one before it is left out.

    Args:
        pack: the rules to replay with; None for those in the recording.
        limits: the limits to replay with; None for those that held live.

    Raises:
        UsageError: if there is no pack at all.
    """
    run = live_run(recording)
    rules = recorded_rules(recording) if pack is None else always(pack)
    if run is None:
        found = replay(recording, rules, limits=limits, workers=workers)
        return compare([_live_link(()), _rules_link(found, None, rules)])
    as_live = replay_run(recording, run, workers=workers)
    links = [_live_link(run.alerts), _as_live_link(as_live, run, recording)]
    if run.passed_over:
        whole = replace(run, skips=(), unreached=None, end=recording.end)
        links.append(_whole_link(replay_run(recording, whole, workers=workers), run))
    limits = limits or run.limits
    if _hashes(rules) != _hashes(run.schedule) or limits != run.limits:
        links.append(_rules_link(replay(recording, rules, limits=limits, workers=workers), run, rules))
    links[-1] = replace(links[-1], name="offline: " + links[-1].name)
    return compare(links, _notes(recording, run, rules, as_live.damage))


def _hashes(rules: PackSchedule) -> list[str]:
    return [pack.hash for pack in rules.in_order]


def _changes(run: LiveRun | None, rules: PackSchedule) -> dict[str, RuleChange]:
    """Return how the rules replayed differ from those that ran; the recorded ones do not."""
    if run is not None and _hashes(rules) == _hashes(run.schedule):
        return {}
    return rule_changes(run.schedule.in_order if run else [], rules.last)


def _live_link(alerts: Sequence[Alert]) -> Link:
    return Link("live: the alerts in the recording", by_identity(alerts))


def _as_live_link(found: Replay, run: LiveRun, recording: Recording) -> Link:
    return Link("replay as live", by_identity(found.alerts), _unrepeatable(found, recording, run.build))


def _whole_link(found: Replay, run: LiveRun) -> Link:
    def explain(left: Alert | None, right: Alert | None) -> Cause:
        return _lag(run, _some(left, right))

    return Link("replay without skips", by_identity(found.alerts), explain)


def _rules_link(found: Replay, run: LiveRun | None, rules: PackSchedule) -> Link:
    changes = _changes(run, rules)

    def explain(left: Alert | None, right: Alert | None) -> Cause:
        return rule_cause(_some(left, right), right, changes, found.exhausted, run.stopped_rules if run else ())

    return Link(f"replay with pack {rules.last.hash[:12]}", by_identity(found.alerts), explain)


def rule_cause(
    alert: Alert, offline: Alert | None, changes: Mapping[str, RuleChange], exhausted: Sequence[Exhausted],
    live: Sequence[Exhausted] = (),
) -> Cause:  # fmt: skip
    """Return why other rules or limits changed an alert (`offline`: what became of it).

    Args:
        exhausted: rules that ran out of fuel or trapped offline; `live`: those that did so then.
    """
    stopped = _stopping(alert, exhausted) if offline is None else None
    if stopped is not None:
        return stopped
    if alert.rule_id in changes:
        return changes[alert.rule_id].cause
    return _stopping(alert, live, "live, ") or Cause(CauseKind.LIMITS, "the replay ran with other limits", True)


def _stopping(alert: Alert, rows: Sequence[Exhausted], when: str = "") -> Cause | None:
    """Return the epoch of the alert's evidence in which its rule stopped."""
    for row in rows:
        inside = any(i is not None and row.first_event_id <= i <= row.last_event_id for i in alert.event_ids)
        if row.rule_id == alert.rule_id and inside:
            return Cause(_kind_of(row), f"{when}{row}", True)
    return None


def _kind_of(row: Exhausted) -> CauseKind:
    return CauseKind.TRAPPED if row.trapped else CauseKind.FUEL


def _lag(run: LiveRun, alert: Alert) -> Cause:
    """Name the ranges that the live engine passed over and that this alert could depend on."""
    first = min(i for i in alert.event_ids if i is not None)
    near = [s for s in run.skips if s.last_event_id >= first and s.first_event_id <= alert.last_event_id]
    if not near and run.unreached is not None and alert.last_event_id >= run.unreached.first_event_id:
        return Cause(CauseKind.STOPPED, _stopped(run, run.unreached), True)
    near = near or [s for s in run.skips if s.first_event_id <= alert.last_event_id]
    if not near:
        return Cause(CauseKind.STOPPED, "the live engine stopped before the recording was sealed", True)
    lag = max(s.lag_ns for s in near) / 1e9
    return Cause(CauseKind.LAG, f"the live engine was {lag:.1f} s behind and skipped {_ranges(near)}", True)


def _stopped(run: LiveRun, unreached: Skip) -> str:
    why = f": {run.stopped}" if run.stopped else ""
    return f"the live engine did not come to {_range(unreached)}{why}"


def _range(skip: Skip) -> str:
    epochs = f"epoch {skip.first_epoch}" if skip.first_epoch == skip.last_epoch else (
        f"epochs {skip.first_epoch} to {skip.last_epoch}"
    )  # fmt: skip
    return f"{epochs} (events {skip.first_event_id} to {skip.last_event_id})"


def _ranges(skips: Sequence[Skip]) -> str:
    return ranges([_range(s) for s in skips])


def _some(left: Alert | None, right: Alert | None) -> Alert:
    found = left or right
    assert found is not None
    return found


def _unrepeatable(found: Replay, recording: Recording, build: str) -> Explain:
    """Return how to explain that a replay of the same rules over the same epochs differs from what was raised then.

    Either something is gone (damage, a cut), or something is other (engine, schema), or there is a defect.
    """
    last = recording.index[-1].last_event_id if recording.index else 0
    versions, log = _versions(recording, build), recording.live.damage
    lost_log = Cause(CauseKind.DAMAGED, f"the log of live alerts: {ranges(log)}", proved=False) if log else None

    def explain(left: Alert | None, right: Alert | None) -> Cause:
        alert = _some(left, right)
        gone = expired_cause(alert, recording.expired) or damage_cause(alert, found.damage) or cut_cause(alert, last)
        return gone or lost_log or versions or UNEXPLAINED

    return explain


UNEXPLAINED = Cause(
    CauseKind.UNEXPLAINED,
    "the replay as live differs from the live alerts with the same rules, engine, limits and epochs: this is a defect",
    proved=False,
)


def damage_cause(alert: Alert, damage: Sequence[Damage]) -> Cause | None:
    """Return the damaged range that an alert's evidence lies in, or that came before the end of its sequence."""
    for part in damage:
        inside = any(i is not None and part.first_event_id <= i <= part.last_event_id for i in alert.event_ids)
        before = len(alert.event_ids) > 1 and part.first_event_id <= alert.last_event_id
        if inside or before:
            where = f"segment {part.segment}, events {part.first_event_id} to {part.last_event_id}"
            return Cause(CauseKind.DAMAGED, f"{where} cannot be read: {part.reason}", proved=inside)
    return None


def expired_cause(alert: Alert, expired: Sequence[Expired]) -> Cause | None:
    """Return what has expired that an alert's evidence lay in, or that came before it: a sequence could begin, and an
    event that must be missing could be seen there.
    """
    rests = [e for e in expired if any(i is not None and e.first_event_id <= i <= e.last_event_id
                                       for i in alert.event_ids)]  # fmt: skip
    before = [e for e in expired if e.first_event_id <= alert.last_event_id]
    some = rests or before
    if not some:
        return None
    what = ranges([f"segment {e.segment} (events {e.first_event_id} to {e.last_event_id})" for e in some])
    return Cause(CauseKind.EXPIRED, f"removed to keep the recording small: {what}", proved=bool(rests))


def cut_cause(alert: Alert, last_event_id: int) -> Cause | None:
    """Return that the recording ends before an alert's last event, if it does."""
    if alert.last_event_id <= last_event_id:
        return None
    return Cause(
        CauseKind.CUT, f"the recording ends at event {last_event_id}, before event {alert.last_event_id}", proved=True
    )


def _versions(recording: Recording, build: str) -> Cause | None:
    """Return which version differs between then and now: what is left when nothing is gone."""
    schema = recording.info.schema.base or recording.info.schema.fingerprint
    if schema != BUILTIN.fingerprint:
        return Cause(
            CauseKind.SCHEMA,
            f"recorded with schema {schema[:12]}, replayed with {BUILTIN.fingerprint[:12]}",
            proved=False,
        )
    if build != engine_build():
        return Cause(
            CauseKind.ENGINE, f"raised by engine {build[:12] or 'unknown'}, replayed with {engine_build()[:12]}", False
        )
    return None


def _notes(recording: Recording, run: LiveRun, rules: PackSchedule, damage: Sequence[Damage]) -> list[Cause]:
    """Return what differs between the live run and the replay, whether or not an alert shows it."""
    out = [change.cause for change in _changes(run, rules).values()]
    if run.skips:
        out.append(Cause(CauseKind.LAG, f"the live engine skipped {_ranges(run.skips)}", True))
    if run.unreached is not None:
        out.append(Cause(CauseKind.STOPPED, _stopped(run, run.unreached), True))
    out += [Cause(_kind_of(row), f"live, {words}", True) for row, words in stops_in_words(run.stopped_rules)]
    for part in damage:
        where = f"segment {part.segment}, events {part.first_event_id} to {part.last_event_id}"
        out.append(Cause(CauseKind.DAMAGED, f"{where} cannot be read: {part.reason}", True))
    if recording.end != "sealed":
        last = recording.index[-1].last_event_id if recording.index else 0
        out.append(Cause(CauseKind.CUT, f"the recording was not closed; it ends at event {last}", True))
    versions = _versions(recording, run.build)
    return [*out, *([versions] if versions else [])]
