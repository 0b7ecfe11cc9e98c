"""Alerts from what rules found."""

from __future__ import annotations

from collections.abc import Sequence

from kestrel_lab.engine.hits.captures import SOURCE_ID, Capture
from kestrel_lab.engine.hits.keys import SHARDS, decode
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.matching.whole import Whole
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.values import Value


def event_alerts(rule: Rule, pack_hash: str, blocks: Sequence[Hits], scan: Scan, shards: frozenset[int]) -> list[Alert]:
    """Return an alert for each hit of an event rule. They have no key: they are spread over the shards by event_id."""
    out: list[Alert] = []
    for block in blocks:
        ids, times = block.event_id.tolist(), block.ts_boot_ns.tolist()
        own = [place for place, event_id in enumerate(ids) if event_id % SHARDS in shards]
        for place, capture in zip(own, block.captures.take(own), strict=True):
            event_id, boot = ids[place], times[place]
            whole = Whole(b"", (event_id,), (), (), boot, scan.wall_ns(event_id, boot))
            out.append(whole_alert(rule, pack_hash, whole, (0,), (capture,)))
    return out


def whole_alert(
    rule: Rule,
    pack_hash: str,
    whole: Whole,
    places: Sequence[int | None],
    captures: Sequence[Capture],
    degraded: tuple[str, ...] = (),
) -> Alert:
    """Return the alert of a rule for the events it found.

    Args:
        places: for each item of the rule its place among the events; None for a missing event.
        captures: of the events.
    """
    return Alert(
        rule_id=rule.id,
        rule_name=rule.name,
        severity=rule.severity,
        rule_hash=rule.hash,
        pack_hash=pack_hash,
        event_ids=tuple(None if place is None else whole.ids[place] for place in places),
        ts_boot_ns=whole.boot,
        ts_wall_ns=whole.wall,
        join_keys=decode(whole.key),
        captures=tuple(None if place is None else _shown(rule, captures[place]) for place in places),
        threat=rule.threat,
        degraded=degraded,
        source_ids=_source_ids(places, captures),
    )


def _shown(rule: Rule, capture: Capture) -> Capture:
    if SOURCE_ID in capture and SOURCE_ID not in rule.captures:
        return {name: value for name, value in capture.items() if name != SOURCE_ID}
    return capture


def _source_ids(places: Sequence[int | None], captures: Sequence[Capture]) -> tuple[Value, ...]:
    """Return the ids that the events had where they were imported from; nothing where there are no such ids."""
    if not any(SOURCE_ID in capture for capture in captures):
        return ()
    return tuple(None if place is None else captures[place].get(SOURCE_ID) for place in places)
