"""`head` and `tail` over the results of a rule, in one place whatever the workers: results are counted in order.

A result is held until no other can come before it in the order of last events. `tail` is known at a sealed end only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.eql.ir import Pipe
from kestrel_lab.schema.alert import Alert, Open
from kestrel_lab.schema.epoch import End


class _Piped:
    """The results of one rule so far."""

    def __init__(self, pipes: Sequence[Pipe]) -> None:
        """Split them: what `head`s let pass at once, and what has to wait for the end."""
        first_tail = next((n for n, pipe in enumerate(pipes) if pipe.kind == "tail"), len(pipes))
        self._most = min((pipe.count for pipe in pipes[:first_tail]), default=None)
        self._rest = pipes[first_tail:]
        self.passed = 0
        self.waiting: list[Alert] = []
        self.kept: list[Alert] = []

    @property
    def full(self) -> bool:
        return self._most is not None and self.passed >= self._most

    def take(self, alerts: Iterable[Alert], low: int | None) -> list[Alert]:
        """Take results in; return those that pass, now that others have last events of `low` or later."""
        self.waiting = sorted([*self.waiting, *alerts], key=lambda a: a.sort_key)
        count = next((n for n, a in enumerate(self.waiting) if low is not None and a.last_event_id >= low), None)
        ready = self.waiting[:count]
        del self.waiting[:count]
        if self._most is not None:
            ready = ready[: self._most - self.passed]
            if self.full or self.passed + len(ready) == self._most:
                self.waiting = []
        self.passed += len(ready)
        if not self._rest:
            return ready
        self.kept = (self.kept + ready)[-self._rest[0].count :] if self._rest[0].count else []
        return []

    def finish(self) -> list[Alert]:
        """Return what the end lets pass."""
        out = self.kept
        for pipe in self._rest[1:]:
            out = out[: pipe.count] if pipe.kind == "head" else out[len(out) - min(pipe.count, len(out)) :]
        self.kept = []
        return out

    def dump(self) -> dict[str, Any]:
        kept = {"waiting": self.waiting, "kept": self.kept}
        return {"passed": self.passed, **{name: [a.to_json() for a in found] for name, found in kept.items()}}

    def load(self, data: Mapping[str, Any]) -> None:
        self.passed = data["passed"]
        self.waiting, self.kept = ([Alert.from_json(a) for a in data[name]] for name in ("waiting", "kept"))


class Pipes:
    """The pipes of a pack's rules."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.id: (rule.hash, _Piped(rule.program.pipes)) for rule in rules if rule.program.pipes}

    def take(self, alerts: Sequence[Alert], low: Mapping[str, int]) -> list[Alert]:
        """Take the alerts of all matchers for a scan; return those that pass, in `sort_key` order.

        Args:
            low: by rule id, the least last event_id among results that may still come; absent where there is none
                before the next scan.
        """
        if not self._rules:
            return sorted(alerts, key=lambda a: a.sort_key)
        out = [alert for alert in alerts if alert.rule_id not in self._rules]
        for rule_id, (_, piped) in self._rules.items():
            out += piped.take((a for a in alerts if a.rule_id == rule_id), low.get(rule_id))
        return sorted(out, key=lambda a: a.sort_key)

    def finish(self, alerts: Sequence[Alert], end: End) -> list[Alert]:
        """Take the last alerts of all matchers; return those that the end of the source lets pass."""
        if end != "sealed":
            return list(alerts)
        rest = self.take(alerts, {})
        rest += [alert for _, piped in self._rules.values() for alert in piped.finish()]
        return sorted(rest, key=lambda a: a.sort_key)

    def open(self) -> list[Open]:
        """Return the results that only a sealed end can resolve, in order."""
        found = sorted((a for _, p in self._rules.values() for a in (*p.waiting, *p.kept)), key=lambda a: a.sort_key)
        return [Open(a.rule_id, a.event_ids, a.join_keys) for a in found]

    def dump(self) -> dict[str, Any]:
        """Return what is remembered as JSON data, by rule hash."""
        return {rule_hash: p.dump() for rule_hash, p in self._rules.values() if p.passed or p.waiting or p.kept}

    def load(self, data: Mapping[str, Any]) -> None:
        """Go on from what `dump` gave; rules that are not in it start anew."""
        for rule_hash, piped in self._rules.values():
            piped.load(data.get(rule_hash, {"passed": 0, "waiting": [], "kept": []}))
