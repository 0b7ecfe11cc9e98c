"""The ordered reduce over hits: event rules become alerts at once, sequences and samples run through their machines.

A matcher owns some of the 64 shards of keys. Whatever the split, all matchers together give the same alerts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kestrel_lab.engine.hits.keys import SHARDS, decode
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching import state as states
from kestrel_lab.engine.matching.alerts import event_alerts, whole_alert
from kestrel_lab.engine.matching.blind import BlindIntervals, blind_in
from kestrel_lab.engine.matching.evidence import EvidenceStore
from kestrel_lab.engine.matching.forget import forget_keys
from kestrel_lab.engine.matching.keyring import no_ints
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.remember import Machine, recall, remember
from kestrel_lab.engine.matching.sample import SampleMachine
from kestrel_lab.engine.matching.sequence import SequenceMachine
from kestrel_lab.engine.matching.whole import Whole
from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.schema.alert import Alert, Open
from kestrel_lab.schema.epoch import End

ALL_SHARDS = frozenset(range(SHARDS))


class Matcher:
    """Matches the hits of scans, given in epoch order, in the shards it owns.

    Its alerts are those before `head` and `tail`, which count over all shards: see `Pipes`.
    """

    def __init__(self, pack: Pack, shards: frozenset[int] = ALL_SHARDS, limits: Limits | None = None) -> None:
        self._pack, self._shards, limits = pack, shards, limits or Limits()
        self._numbering = Numbering(shards)
        self._rules = {rule.id: rule for rule in pack.rules}
        programs = {rule.id: rule.program for rule in pack.rules}
        self._machines: dict[str, Machine] = {
            rule_id: (SequenceMachine if p.kind == "sequence" else SampleMachine)(p, self._numbering, limits)
            for rule_id, p in programs.items()
            if p.kind != "event"
        }
        self._restless = set[str]()  # rules whose machines time can change, without hits
        self._sequences = {r: m for r, m in self._machines.items() if isinstance(m, SequenceMachine)}
        self._event_time_ns, self._last_event_id, self._segment = 0, -1, -1
        self._evidence = EvidenceStore()
        spans = [m.span for m in self._sequences.values() if m.shape.has_missing]
        self._blind = BlindIntervals(2 * max(spans)) if spans else None

    def feed(self, scan: Scan) -> list[Alert]:
        """Take the scan of the next epoch and return the alerts it completes, in `sort_key` order."""
        self._enter(scan)
        alerts: list[Alert] = []
        for rule_id, found in scan.hits.items():
            if rule_id not in self._machines:
                alerts += event_alerts(self._rules[rule_id], self._pack.hash, found, scan, self._shards)
        ran: list[Machine] = []
        for rule_id, machine in self._machines.items():
            if rule_id not in scan.hits and rule_id not in self._restless:
                continue
            blocks = machine.useful(scan.hits.get(rule_id, ()))
            if blocks or rule_id in self._restless:
                alerts += self._run(self._rules[rule_id], machine, blocks, scan)
                ran.append(machine)
        self._evidence.keep(np.concatenate([no_ints(), *(machine.handles(scan.first_event_id) for machine in ran)]))
        if self._evidence.crowded:
            self._evidence.sweep(np.concatenate([no_ints(), *(m.handles() for m in self._machines.values() if m.held)]))
        self._leave(scan)
        return sorted(alerts, key=lambda alert: alert.sort_key)

    def finish(self, end: End) -> list[Alert]:
        """Return the alerts that only the end of the source resolves, and forget what is pending after a sealed one.

        At any other end, what waits for time to pass stays open: see `open`.
        """
        if end != "sealed":
            return []
        alerts: list[Alert] = []
        for rule_id, machine in self._sequences.items():
            alerts += self._alerts(self._rules[rule_id], machine, machine.resolve(None))
        evicted = {rule_id: machine.evicted for rule_id, machine in self._machines.items()}
        self._clear()
        for rule_id, count in evicted.items():
            self._machines[rule_id].evicted = count
        return sorted(alerts, key=lambda alert: alert.sort_key)

    def open(self) -> list[Open]:
        """Return the sequences that wait for time to pass, in the order of their last events."""
        found = [open_ for rule_id, machine in self._sequences.items() for open_ in _open(rule_id, machine)]
        return sorted(found, key=lambda o: o.sort_key)

    def low(self) -> dict[str, int]:
        """Return, by rule id, the least last event_id among the sequences of a rule with pipes that are open."""
        piped = ((r, m.windows.found.last) for r, m in self._sequences.items() if self._rules[r].program.pipes)
        return {rule_id: int(last[0]) for rule_id, last in piped if len(last)}

    @property
    def evicted(self) -> dict[str, int]:
        """Pending sequences given up for want of room so far, by rule id; rules without any are absent."""
        totals = {rule_id: int(machine.evicted.sum()) for rule_id, machine in self._machines.items()}
        return {rule_id: total for rule_id, total in totals.items() if total}

    def state(self) -> states.State:
        """Return what is remembered, the captures looked up."""
        rules = {
            self._rules[rule_id].hash: remember(machine, self._event_time_ns, self._evidence)
            for rule_id, machine in self._machines.items()
        }
        blind = self._blind.dump() if self._blind else []
        return states.State(self._event_time_ns, self._last_event_id, blind, rules)

    def dump(self, extra: Mapping[str, Any] | None = None) -> bytes:
        """Return the state as canonical bytes, with more JSON data beside it."""
        return states.dump(self.state(), extra)

    def restore(self, state: bytes) -> int:
        """Replace the state by a stored one, as far as its keys are in the shards owned.

        Returns:
            how many pending sequences and samples belonged to rules that the pack does not have with this content.
        """
        stored = states.load(state)
        self._clear()
        self._event_time_ns, self._last_event_id = stored.event_time_ns, stored.last_event_id
        if self._blind:
            self._blind.load(stored.blind)
        by_hash = {self._rules[rule_id].hash: machine for rule_id, machine in self._machines.items()}
        lost = 0
        for rule_hash, rule in stored.rules.items():
            if rule_hash in by_hash:
                recall(by_hash[rule_hash], rule, self._shards, self._evidence)
            else:
                lost += rule.held
        for rule_id, machine in self._machines.items():
            self._note_rest(rule_id, machine)
        return lost

    def _clear(self) -> None:
        for machine in self._machines.values():
            machine.clear()
        self._restless.clear()
        self._numbering.clear()
        self._evidence = EvidenceStore()

    def _enter(self, scan: Scan) -> None:
        """Dictionary codes never leave their segment: look up what is still wanted of the one before."""
        if scan.segment != self._segment:
            self._evidence.settle()
            self._numbering.leave()
            self._segment = scan.segment
        if self._blind:
            self._blind.add(blind_in(scan, self._last_event_id, self._event_time_ns))

    def _leave(self, scan: Scan) -> None:
        self._event_time_ns = max(self._event_time_ns, scan.event_time_ns)
        self._last_event_id = scan.last_event_id
        forget_keys(self._numbering, self._sequences.values(), scan.event_time_ns)
        if self._blind:
            self._blind.forget(self._event_time_ns)

    def _run(self, rule: Rule, machine: Machine, blocks: Sequence[Hits], scan: Scan) -> list[Alert]:
        handles = [self._evidence.add(block.captures, len(block.event_id)) for block in blocks]
        alerts = self._alerts(rule, machine, machine.feed(blocks, handles, scan))
        self._note_rest(rule.id, machine)
        return alerts

    def _note_rest(self, rule_id: str, machine: Machine) -> None:
        if machine.rests:
            self._restless.discard(rule_id)
        else:
            self._restless.add(rule_id)

    def _alerts(self, rule: Rule, machine: Machine, found: Sequence[Whole]) -> list[Alert]:
        if not found:
            return []
        captures = self._evidence.take(np.array([handle for whole in found for handle in whole.handles], np.int64))
        places = machine.places
        return [
            whole_alert(rule, self._pack.hash, whole, places, [captures[h] for h in whole.handles],
                        self._degraded(rule, machine, whole))
            for whole in found
        ]  # fmt: skip

    def _degraded(self, rule: Rule, machine: Machine, whole: Whole) -> tuple[str, ...]:
        """Return why events that the rule looks for in vain could have been there all the same."""
        if self._blind is None or not isinstance(machine, SequenceMachine) or not machine.shape.has_missing:
            return ()
        windows = machine.shape.windows(whole.times, machine.span)
        causes = self._blind.causes(rule.id, windows, whole.ids[-1], whole.deadline)
        return tuple(sorted({*causes, "evicted"})) if whole.blurred else causes


def _open(rule_id: str, machine: SequenceMachine) -> list[Open]:
    found = machine.windows.found
    rows = zip(found.key.tolist(), found.ids.tolist(), machine.windows.deadline.tolist(), strict=True)
    placed = ((tuple(None if p is None else ids[p] for p in machine.places), key, end) for key, ids, end in rows)
    return [Open(rule_id, ids, decode(machine.keys.key(key)), deadline) for ids, key, deadline in placed]
