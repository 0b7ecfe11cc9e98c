"""Blind intervals: stretches of event time in which events may have been that no rule, or one rule, did not see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from kestrel_lab.engine.hits.scan import Scan
from kestrel_lab.engine.packs.shape import Interval

#: More intervals than this are not kept apart: the oldest two become one that covers both.
_MOST = 4_096


@dataclass(frozen=True, slots=True)
class Blind:
    """One interval, both ends included, ns.

    Attributes:
        causes: `skipped`, `exhausted`, `damaged`, or a cause of the gap map.
        rule_id: the rule that saw nothing; empty for all.
        event_id: the first event_id given after it was known.
        found_ns: event time before that event.
    """

    causes: tuple[str, ...]
    rule_id: str
    from_ns: int
    to_ns: int
    event_id: int
    found_ns: int


def blind_in(scan: Scan, last_event_id: int, event_time_ns: int) -> list[Blind]:
    """Return what a scan did not see, or shows not to have been seen.

    Args:
        last_event_id: of the scan before it, -1 for none; event_time_ns: event time after that.
    """
    first, before = scan.first_event_id, scan.event_time_before_ns
    out = [Blind((g.cause,), "", g.ts_from_ns, g.ts_to_ns, g.event_id, found) for g, found in scan.gaps]
    expired = any(g.cause == "expired" and g.event_id == first for g, _ in scan.gaps)  # says what is missing here
    if last_event_id >= 0 and first != last_event_id + 1 and not expired:
        out.append(Blind(("damaged",), "", event_time_ns, before, first, before))
    if scan.skipped:
        out.append(Blind(("skipped",), "", before, scan.event_time_ns, first, before))
    out += [Blind(("exhausted",), x.rule_id, before, scan.event_time_ns, first, before) for x in scan.exhausted]
    return sorted(out, key=lambda b: (b.event_id, b.found_ns, astuple(b)))


class BlindIntervals:
    """The intervals that an alert still to come could touch.

    Args:
        keep_ns: how far back, in event time.
    """

    def __init__(self, keep_ns: int) -> None:
        self._keep = keep_ns
        self._known: list[Blind] = []

    def add(self, blinds: Iterable[Blind]) -> None:
        """Take more of them in."""
        for blind in blinds:
            self.forget(blind.found_ns)
            self._known.append(blind)
            if len(self._known) > _MOST:
                self._known[:2] = [_both(*self._known[:2])]

    def forget(self, now: int) -> None:
        """Drop those that ended too long before `now`."""
        if self._known:
            self._known = [b for b in self._known if b.to_ns >= now - self._keep]

    def causes(self, rule_id: str, windows: Sequence[Interval], event_id: int, deadline: int | None) -> tuple[str, ...]:
        """Return the causes of what was known when an alert was raised and touches one of its windows, sorted.

        Args:
            event_id: of its last event.
            deadline: if it waited for time to pass, until when, ns.
        """
        out = set[str]()
        for b in self._known:
            known = b.event_id <= event_id if deadline is None else b.found_ns <= deadline
            if known and b.rule_id in ("", rule_id) and any(b.from_ns <= to and b.to_ns >= at for at, to in windows):
                out.update(b.causes)
        return tuple(sorted(out))

    def dump(self) -> list[list[Any]]:
        """Return them as JSON data."""
        return [list(asdict(b).values()) for b in self._known]

    def load(self, data: Iterable[Sequence[Any]]) -> None:
        """Replace them by what `dump` gave."""
        self._known = [Blind(tuple(causes), *rest) for causes, *rest in data]


def _both(a: Blind, b: Blind) -> Blind:
    return Blind(
        tuple(sorted({*a.causes, *b.causes})), a.rule_id if a.rule_id == b.rule_id else "",
        min(a.from_ns, b.from_ns), max(a.to_ns, b.to_ns), min(a.event_id, b.event_id), min(a.found_ns, b.found_ns),
    )  # fmt: skip
