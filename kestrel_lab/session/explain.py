"""Why a rule fired at an event, or did not: every leaf's value there, and what became of its partial matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from kestrel_lab.engine import EventVerdict, Pack, Rule, Step, trace, usual_limits, verdict
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Epoch, EpochSource
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session.sources import as_source


@dataclass(frozen=True, slots=True)
class EventExplanation:
    """What one event made of one rule.

    Attributes:
        steps: for a sequence, what became of the partial matches under the event's join keys, over the whole source.
    """

    rule: Rule
    verdict: EventVerdict
    steps: tuple[Step, ...] = ()


def rule_of(pack: Pack, rule_id: str) -> Rule:
    """Return a rule of a pack by its id.

    Raises:
        UsageError: if it is not there, naming the nearest.
    """
    rules = {rule.id: rule for rule in pack.rules}
    if rule_id not in rules:
        near = get_close_matches(rule_id, rules, 1)
        do = f"Did you mean {near[0]}?" if near else f"It holds {len(rules)} rules; `rules check` lists them."
        raise UsageError(f"there is no rule {rule_id!r} in this pack", do=do)
    return rules[rule_id]


def explain_event(
    source: EpochSource, pack: Pack, rule_id: str, event_id: int, *, mode: Mode = "deterministic"
) -> EventExplanation:
    """Return what an event of a source made of a rule: each leaf with what it read, a sequence's trace.

    Args:
        pack: the rule's; it is compiled for the source's schema here.
        mode: the runtime the leaves are evaluated in; the answer does not depend on it.

    Raises:
        UsageError: if the rule or the event is not there.
        DivergedError: if leaves and rule disagree, which is a defect.
    """
    source = as_source(source)
    pack = pack.for_schema(source.info.schema)
    rule = rule_of(pack, rule_id)
    epoch = epoch_of(source, event_id)
    found = verdict(rule, pack, source.info, epoch, event_id, mode)
    if rule.program.kind != "sequence":
        return EventExplanation(rule, found)
    return EventExplanation(
        rule, found, tuple(trace(rule, source.epochs(), source.info, epoch, event_id, usual_limits(pack.schema)))
    )


def epoch_of(source: EpochSource, event_id: int) -> Epoch:
    """Return the epoch that holds an event.

    Raises:
        UsageError: if there is none, with the range there is.
    """
    last = -1
    for epoch in _epochs(source):
        if epoch.first_event_id <= event_id <= epoch.last_event_id:
            return epoch
        last = epoch.last_event_id
        if last > event_id:
            break
    known = f"The events end with {last}." if 0 <= last < event_id else "It may lie in a damaged range: see `info`."
    raise UsageError(f"there is no event {event_id}", do=known if last >= 0 else "The recording holds no events.")


def _epochs(source: EpochSource) -> Iterator[Epoch]:
    return source.epochs()
