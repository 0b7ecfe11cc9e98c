"""Proof of causes by counterfactual: a chain of runs from one side to the other, each one change away from the last.

Where an alert differs between the two ends, the causes are the links at which it changed. A link that changes nothing
about it is ruled out by the replay, not by a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kestrel_lab.schema.alert import Alert, alert_digest
from kestrel_lab.session.causes import Cause, CauseKind, Difference, Identity, Says, agree, classify, content

Explain = Callable[[Alert | None, Alert | None], Cause]


@dataclass(frozen=True, slots=True)
class Link:
    """A run, and how to name what changed since the run before it (None for the first)."""

    name: str
    alerts: Mapping[Identity, Alert]
    explain: Explain | None = None


@dataclass(frozen=True, slots=True)
class Diff:
    """Two runs compared.

    Attributes:
        left, right: what they are, in words.
        same: alerts both agree on; the others in `sort_key` order.
        runs: the chain of runs that the causes rest on.
        notes: what else the two differ in, though no alert shows it.
    """

    left: str
    right: str
    left_digest: str
    right_digest: str
    same: Sequence[Alert]
    missing: Sequence[Difference]
    extra: Sequence[Difference]
    changed: Sequence[Difference]
    runs: Sequence[str]
    notes: Sequence[Cause] = ()

    @property
    def equal(self) -> bool:
        """Whether both raised the same alerts."""
        return not (self.missing or self.extra or self.changed)

    @property
    def damaged(self) -> bool:
        """Whether a range could not be read, which may hide a difference."""
        return any(note.kind is CauseKind.DAMAGED for note in self.notes)

    @property
    def differences(self) -> list[Difference]:
        """All of them, in the order of their alerts."""
        return sorted([*self.missing, *self.extra, *self.changed], key=lambda d: d.alert.sort_key)

    @property
    def unexplained(self) -> list[Difference]:
        """Differences that nothing known accounts for: defects."""
        return [d for d in self.differences if d.unexplained]


def compare(links: Sequence[Link], notes: Sequence[Cause] = (), says: Says = content) -> Diff:
    """Compare the first link with the last, with the causes that the links between prove.

    Args:
        says: what of an alert must be equal for two of the same identity to be the same.
    """
    first, last = links[0], links[-1]
    same: list[Alert] = []
    found: dict[str, list[Difference]] = {"missing": [], "extra": [], "changed": []}
    for key in {**first.alerts, **last.alerts}:
        left, right = first.alerts.get(key), last.alerts.get(key)
        if left is not None and agree(left, right, says):
            same.append(left)
            continue
        what = classify(left, right)
        found[what].append(Difference(what, left, right, _causes(links, key, says)))
    for differences in found.values():
        differences.sort(key=lambda d: d.alert.sort_key)
    return Diff(
        first.name, last.name, alert_digest(first.alerts.values()), alert_digest(last.alerts.values()),
        sorted(same, key=lambda a: a.sort_key), found["missing"], found["extra"], found["changed"],
        [link.name for link in links], notes,
    )  # fmt: skip


def _causes(links: Sequence[Link], key: Identity, says: Says) -> tuple[Cause, ...]:
    out: list[Cause] = []
    for before, after in pairwise(links):
        left, right = before.alerts.get(key), after.alerts.get(key)
        if agree(left, right, says) or after.explain is None:
            continue
        cause = after.explain(left, right)
        if cause not in out:
            out.append(cause)
    return tuple(out) or (Cause(CauseKind.UNEXPLAINED, "no run between the two shows where it changed", False),)
