"""What a difference between two runs is made of: classes, causes, and the alert it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from kestrel_lab.engine import Pack, Rule
from kestrel_lab.schema.alert import Alert

Class: TypeAlias = Literal["missing", "extra", "changed"]
Identity: TypeAlias = tuple[object, ...]
Says: TypeAlias = Callable[[Alert], object]


class CauseKind(Enum):
    """Every cause a difference can have. `UNEXPLAINED` means a defect."""

    RULE_EDITED = "rule edited"
    RULE_ADDED = "rule added"
    RULE_REMOVED = "rule removed"
    LIMITS = "limits differ"
    FUEL = "fuel exhausted"
    TRAPPED = "rule trapped"
    LAG = "engine lag"
    STOPPED = "engine stopped"
    DAMAGED = "damaged range"
    CUT = "recording cut"
    EXPIRED = "expired"
    NOT_CAPTURED = "not captured"
    FILTERED = "filtered at capture"
    EVENTS = "recorded events differ"
    SCHEMA = "schema differs"
    ENGINE = "engine differs"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why two runs differ on an alert.

    Attributes:
        text: one sentence with the names: rule, ranges, versions.
        proved: a replay without this cause, and nothing else changed, made the difference appear or vanish; if false,
            it is what remains when every cause that can be replayed is ruled out.
    """

    kind: CauseKind
    text: str
    proved: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """An alert that two runs do not agree on. `left` is live (or the first recording), `right` offline (the second)."""

    what: Class
    left: Alert | None
    right: Alert | None
    causes: tuple[Cause, ...]

    @property
    def alert(self) -> Alert:
        """The alert, of whichever side has it."""
        found = self.left or self.right
        assert found is not None
        return found

    @property
    def unexplained(self) -> bool:
        """Whether no cause accounts for it."""
        return any(cause.kind is CauseKind.UNEXPLAINED for cause in self.causes)


def describe(alert: Alert) -> str:
    """Return an alert in words: its rule and its events."""
    ids = ", ".join("missing" if i is None else str(i) for i in alert.event_ids)
    return f"{alert.rule_id} ({alert.rule_name}) on {'events' if len(alert.event_ids) > 1 else 'event'} {ids}"


def identity(alert: Alert) -> Identity:
    """Return what makes two alerts of one recording the same: rule, events, join keys."""
    return alert.sort_key


def content(alert: Alert) -> Mapping[str, object]:
    """Return what an alert says, without the hashes of rule and pack: an edit that changes no word is no change."""
    data = alert.to_json()
    del data["rule_hash"], data["pack_hash"]
    return data


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that two packs do not have in common."""

    rule_id: str
    kind: CauseKind
    text: str

    @property
    def cause(self) -> Cause:
        """The change as a cause proved by replaying with either pack."""
        return Cause(self.kind, self.text, proved=True)


def rule_changes(left: Sequence[Pack], right: Pack) -> dict[str, RuleChange]:
    """Return the rules added, removed and edited from the packs that ran to another one, by rule id.

    A rule that only some of the packs have, or have otherwise, ran that way for a part of the time.
    """
    rules = [{rule.id: rule for rule in pack.rules} for pack in left]
    new = {rule.id: rule for rule in right.rules}
    out: dict[str, RuleChange] = {}
    for rule_id in sorted({*new, *(i for pack in rules for i in pack)}):
        found = _rule_change(rule_id, [pack.get(rule_id) for pack in rules], new.get(rule_id))
        if found is not None:
            out[rule_id] = RuleChange(rule_id, *found)
    return out


def _rule_change(rule_id: str, old: Sequence[Rule | None], new: Rule | None) -> tuple[CauseKind, str] | None:
    ran = [rule for rule in old if rule is not None]
    if new is None:
        return CauseKind.RULE_REMOVED, f"rule {rule_id} ({ran[-1].name}) is not in the pack replayed"
    if not ran:
        return CauseKind.RULE_ADDED, f"rule {rule_id} ({new.name}) was not in the pack that ran"
    other = [rule for rule in ran if rule.hash != new.hash]
    if other:
        hashes = f"{other[-1].hash[:12]} became {new.hash[:12]}"
        return CauseKind.RULE_EDITED, f"rule {rule_id} ({new.name}) was edited: {hashes}"
    if len(ran) < len(old):
        return CauseKind.RULE_ADDED, f"rule {rule_id} ({new.name}) was not in every pack that ran"
    return None


def by_identity(alerts: Iterable[Alert]) -> dict[Identity, Alert]:
    """Return alerts by what makes them the same."""
    return {identity(a): a for a in alerts}


def agree(a: Alert | None, b: Alert | None, says: Says) -> bool:
    """Return whether two sides say the same of an alert, or both nothing."""
    if a is None or b is None:
        return a is b
    return says(a) == says(b)


def classify(left: Alert | None, right: Alert | None) -> Class:
    """Return the class of a difference."""
    if left is None:
        return "extra"
    return "missing" if right is None else "changed"


def ranges(parts: Sequence[str], most: int = 3) -> str:
    """Return ranges as text, the rest counted."""
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more
