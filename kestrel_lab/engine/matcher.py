"""The ordered reduce over hits: event rules become alerts at once, sequences run through their machines.

A matcher owns some of the 64 shards of keys. Whatever the split, all matchers together give the same alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from kestrel_lab.engine import state as states
from kestrel_lab.engine.captures import Capture
from kestrel_lab.engine.evidence import EvidenceStore
from kestrel_lab.engine.keys import SHARDS, decode, shard_of
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.pack import Pack
from kestrel_lab.engine.rule import Rule
from kestrel_lab.engine.scan import Hits, Scan
from kestrel_lab.engine.sequence import Machine, Pending, Slot
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.epoch import End

ALL_SHARDS = frozenset(range(SHARDS))


class _Sequences:
    """The machines of one sequence rule."""

    def __init__(self, rule: Rule, shards: frozenset[int], limits: Limits) -> None:
        self.rule, self._shards, self._limits = rule, shards, limits
        self.machines: dict[int, Machine] = {}

    def machine(self, shard: int) -> Machine:
        """Return the machine of a shard, empty at first."""
        found = self.machines.get(shard)
        if found is None:
            program, limits = self.rule.program, self._limits
            found = self.machines[shard] = Machine(
                len(program.stages), program.maxspan_ns, limits.pending, limits.ttl_ns
            )
        return found

    def routes(self, blocks: Sequence[Hits]) -> list[list[list[tuple[bytes, Machine]]]]:
        """Return, for each block and each of its distinct sets of keys, the owned keys and their machines.

        Keys that can change nothing may be left out: those that nothing is pending under and no event begins with.
        """
        begun = {key for b in blocks if b.stage == 0 for keys in b.keys.found()[0] for key in keys}
        later = sum(len(b.keys.found()[0]) for b in blocks if b.stage)
        waiting = sum(len(machine.pending) for machine in self.machines.values())
        if waiting > 4 * later:  # then to look at what is pending takes longer than it saves
            return [[self._owned(keys) for keys in b.keys.found()[0]] for b in blocks]
        live = begun.union(key for machine in self.machines.values() for _, key in machine.pending)
        return [[self._owned([k for k in keys if k in live]) for keys in b.keys.found()[0]] for b in blocks]

    def _owned(self, keys: Iterable[bytes]) -> list[tuple[bytes, Machine]]:
        return [(key, self.machine(shard)) for key in keys if (shard := shard_of(key)) in self._shards]

    def idle(self, blocks: Sequence[Hits]) -> bool:
        """Return whether these hits can change nothing: none begins a sequence, and none is pending."""
        return all(b.stage for b in blocks) and not any(m.pending for m in self.machines.values())


class Matcher:
    """Matches the hits of scans, given in epoch order, in the shards it owns."""

    def __init__(self, pack: Pack, shards: frozenset[int] = ALL_SHARDS, limits: Limits | None = None) -> None:
        self._pack, self._shards = pack, shards
        self._rules = {rule.id: rule for rule in pack.rules}
        self._sequences = {
            rule.id: _Sequences(rule, shards, limits or Limits())
            for rule in pack.rules
            if rule.program.kind == "sequence"
        }
        self._event_time_ns = 0
        self._segment = -1
        self._evidence = EvidenceStore()

    def feed(self, scan: Scan) -> list[Alert]:
        """Take the scan of the next epoch and return the alerts it completes, in `sort_key` order."""
        self._enter(scan.segment)
        alerts: list[Alert] = []
        for rule_id, blocks in scan.hits.items():
            sequences = self._sequences.get(rule_id)
            if sequences is None:
                for block in blocks:
                    alerts += self._event_alerts(self._rules[rule_id], block, scan)
            elif not sequences.idle(blocks):
                alerts += self._sequence_alerts(sequences, blocks, scan)
        if self._evidence.crowded:
            self._sweep()
        self._event_time_ns = max(self._event_time_ns, scan.event_time_ns)
        return sorted(alerts, key=lambda alert: alert.sort_key)

    def finish(self, end: End) -> list[Alert]:
        """Return the alerts that only the end of the source resolves, and forget what is pending after a sealed one.

        Only missing events wait for time to pass; a pending sequence of events that are all to be there is no alert.
        """
        if end == "sealed":
            self._clear()
        return []

    @property
    def evicted(self) -> dict[str, int]:
        """Pending sequences given up so far, by rule id; rules without any are absent."""
        self._expire()
        totals = {r: sum(m.evicted for m in s.machines.values()) for r, s in self._sequences.items()}
        return {rule_id: total for rule_id, total in totals.items() if total}

    def state(self) -> dict[str, states.RuleState]:
        """Return what is pending, by rule hash, its captures looked up."""
        self._expire()
        out: dict[str, states.RuleState] = {}
        for sequences in self._sequences.values():
            state = out[sequences.rule.hash] = states.RuleState()
            for shard, machine in sequences.machines.items():
                found = self._evidence.take(chain.from_iterable(handles for _, _, handles in machine.pending.values()))
                for slot, (first_ns, ids, handles) in machine.pending.items():
                    state.pending[slot] = first_ns, ids, tuple(found[h] for h in handles)
                if machine.evicted:
                    state.evicted[shard] = machine.evicted
        return out

    def dump(self, extra: Mapping[str, Any] | None = None) -> bytes:
        """Return the state as canonical bytes, with more JSON data beside it."""
        return states.dump(self._event_time_ns, self.state(), extra)

    def restore(self, state: bytes) -> int:
        """Replace the state by a stored one, as far as its keys are in the shards owned.

        Returns:
            how many pending sequences belonged to rules that the pack does not have, or not with this content.
        """
        self._event_time_ns, rules, _ = states.load(state)
        self._clear()
        by_hash = {sequences.rule.hash: sequences for sequences in self._sequences.values()}
        lost = 0
        for rule_hash, stored in rules.items():
            if rule_hash in by_hash:
                self._refill(by_hash[rule_hash], stored)
            else:
                lost += len(stored.pending)
        return lost

    def _clear(self) -> None:
        for sequences in self._sequences.values():
            sequences.machines.clear()
        self._evidence = EvidenceStore()

    def _enter(self, segment: int) -> None:
        """Dictionary codes never leave their segment: look up what is still wanted of the one before."""
        if segment != self._segment:
            self._evidence.settle()
            self._segment = segment

    def _refill(self, sequences: _Sequences, stored: states.RuleState) -> None:
        for slot, (first_ns, event_ids, captures) in states.in_order(stored.pending):
            shard = shard_of(slot[1])
            if shard in self._shards:
                base = self._evidence.add_rows(captures)
                handles = tuple(range(base, base + len(captures)))
                sequences.machine(shard).restore(slot, (first_ns, event_ids, handles))
        for shard, count in stored.evicted.items():
            if shard in self._shards:
                sequences.machine(shard).evicted = count

    def _expire(self) -> None:
        for sequences in self._sequences.values():
            for machine in sequences.machines.values():
                machine.expire(self._event_time_ns)

    def _event_alerts(self, rule: Rule, block: Hits, scan: Scan) -> list[Alert]:
        """Event rules have no key: their alerts are spread over the shards by event_id."""
        ids = block.event_id.tolist()
        own = [i for i, event_id in enumerate(ids) if event_id % SHARDS in self._shards]
        times = block.ts_boot_ns.tolist()
        return [
            self._alert(rule, (ids[i],), times[i], scan, (capture,), b"")
            for i, capture in zip(own, block.captures.take(own), strict=True)
        ]

    def _sequence_alerts(self, sequences: _Sequences, blocks: Sequence[Hits], scan: Scan) -> list[Alert]:
        until = len(sequences.rule.program.stages)
        routes = sequences.routes(blocks)
        bases = [self._evidence.add(block.captures.copy()) for block in blocks]
        touched: dict[tuple[Machine, Slot], None] = {}
        done: list[tuple[Pending, bytes, int]] = []
        for event_id, b, i, key_index, now in _in_order(blocks, routes, until):
            block = blocks[b]
            for key, machine in routes[b][key_index]:
                if block.stage == until:
                    machine.until(key, now)
                    continue
                complete = machine.match(block.stage, key, event_id, now, bases[b] + i)
                if complete is None:
                    touched[machine, (block.stage, key)] = None
                else:
                    done.append((complete, key, int(block.ts_boot_ns[i])))
        found = self._evidence.take(chain.from_iterable(handles for (_, _, handles), _, _ in done))
        left = (p for machine, slot in touched if (p := machine.pending.get(slot)) is not None)
        self._evidence.keep(bases, chain.from_iterable(handles for _, _, handles in left))
        return [
            self._alert(sequences.rule, ids, ts, scan, tuple(found[h] for h in handles), key)
            for (_, ids, handles), key, ts in done
        ]

    def _sweep(self) -> None:
        machines = chain.from_iterable(s.machines.values() for s in self._sequences.values())
        pending = chain.from_iterable(machine.pending.values() for machine in machines)
        self._evidence.sweep(chain.from_iterable(handles for _, _, handles in pending))

    def _alert(
        self, rule: Rule, ids: tuple[int, ...], ts_ns: int, scan: Scan, captures: tuple[Capture, ...],
        key: bytes,
    ) -> Alert:  # fmt: skip
        return Alert(
            rule_id=rule.id,
            rule_name=rule.name,
            severity=rule.severity,
            rule_hash=rule.hash,
            pack_hash=self._pack.hash,
            event_ids=ids,
            ts_boot_ns=ts_ns,
            ts_wall_ns=scan.wall_ns(ids[-1], ts_ns),
            join_keys=decode(key),
            captures=captures,
            threat=rule.threat,
        )


def _in_order(
    blocks: Sequence[Hits], routes: Sequence[Sequence[Sequence[object]]], until: int
) -> Iterable[tuple[int, int, int, int, int]]:
    """Return (event_id, block, place in it, key index, event time) of the hits that have somewhere to go.

    Hits are ordered by event; the stages of one event last to first, then `until`.
    """
    parts = []
    for number, block in enumerate(blocks):
        key = block.keys.found()[1]
        place = np.flatnonzero(np.array([bool(r) for r in routes[number]], np.bool_)[key])
        rank = 1 if block.stage == until else -block.stage
        columns = block.event_id[place], np.full(len(place), rank), np.full(len(place), number), place, key[place]
        parts.append((*columns, block.event_time[place]))
    ids, ranks, which, places, keys, times = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((ranks, ids))
    return zip(*(column[order].tolist() for column in (ids, which, places, keys, times)), strict=True)
