"""The ordered reduce over hits: event rules become alerts at once, sequences run through their machines.

A matcher owns some of the 64 shards of keys. Whatever the split, all matchers together give the same alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from weakref import WeakSet

import numpy as np

from kestrel_lab.engine import state as states
from kestrel_lab.engine.captures import Capture, Captures
from kestrel_lab.engine.keys import SHARDS, decode, shard_of
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.pack import Pack
from kestrel_lab.engine.rule import Rule
from kestrel_lab.engine.scan import Hits, Scan
from kestrel_lab.engine.sequence import Evidence, Machine, Pending, Slot
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.epoch import End

ALL_SHARDS = frozenset(range(SHARDS))


class _Resolver:
    """Looks captures up in batches, one for each block of hits."""

    def __init__(self, evidence: Iterable[Evidence]) -> None:
        wanted: dict[int, tuple[Captures, set[int]]] = {}
        for item in evidence:
            if isinstance(item, tuple):
                wanted.setdefault(id(item[0]), (item[0], set()))[1].add(item[1])
        self._found: dict[tuple[int, int], Capture] = {}
        for block, indexes in wanted.values():
            order = sorted(indexes)
            self._found.update(zip(((id(block), i) for i in order), block.take(order), strict=True))

    def resolve(self, evidence: Sequence[Evidence]) -> tuple[Capture, ...]:
        """Return the captures that evidence stands for."""
        return tuple(self._found[id(e[0]), e[1]] if isinstance(e, tuple) else e for e in evidence)


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
        self._held: WeakSet[Captures] = WeakSet()  # of this segment, as long as a pending sequence needs them

    def feed(self, scan: Scan) -> list[Alert]:
        """Take the scan of the next epoch and return the alerts it completes, in `sort_key` order."""
        self._enter(scan.segment)
        alerts: list[Alert] = []
        for rule_id, blocks in scan.hits.items():
            sequences = self._sequences.get(rule_id)
            if sequences is None:
                for block in blocks:
                    alerts += self._event_alerts(self._rules[rule_id], block, scan.wall_offset_ns)
            elif not sequences.idle(blocks):
                alerts += self._sequence_alerts(sequences, blocks, scan.wall_offset_ns)
        self._event_time_ns = max(self._event_time_ns, scan.event_time_ns)
        return sorted(alerts, key=lambda alert: alert.sort_key)

    def finish(self, end: End) -> list[Alert]:
        """Return the alerts that only the end of the source resolves, and forget what is pending after a sealed one.

        Only missing events wait for time to pass; a pending sequence of events that are all to be there is no alert.
        """
        if end == "sealed":
            for sequences in self._sequences.values():
                sequences.machines.clear()
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
                state.pending |= _resolved(machine.pending)
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
        by_hash = {sequences.rule.hash: sequences for sequences in self._sequences.values()}
        for sequences in by_hash.values():
            sequences.machines.clear()
        lost = 0
        for rule_hash, stored in rules.items():
            if rule_hash in by_hash:
                self._refill(by_hash[rule_hash], stored)
            else:
                lost += len(stored.pending)
        return lost

    def _enter(self, segment: int) -> None:
        """Dictionary codes never leave their segment: look up what is still wanted of the one before."""
        if segment != self._segment:
            for captures in self._held:
                captures.settle()
            self._held.clear()
            self._segment = segment

    def _refill(self, sequences: _Sequences, stored: states.RuleState) -> None:
        for slot, pending in states.in_order(stored.pending):
            shard = shard_of(slot[1])
            if shard in self._shards:
                sequences.machine(shard).restore(slot, pending)
        for shard, count in stored.evicted.items():
            if shard in self._shards:
                sequences.machine(shard).evicted = count

    def _expire(self) -> None:
        for sequences in self._sequences.values():
            for machine in sequences.machines.values():
                machine.expire(self._event_time_ns)

    def _event_alerts(self, rule: Rule, block: Hits, wall_offset_ns: int) -> list[Alert]:
        """Event rules have no key: their alerts are spread over the shards by event_id."""
        ids = block.event_id.tolist()
        own = [i for i, event_id in enumerate(ids) if event_id % SHARDS in self._shards]
        times = block.ts_boot_ns.tolist()
        return [
            self._alert(rule, (ids[i],), times[i], wall_offset_ns, (capture,), b"")
            for i, capture in zip(own, block.captures.take(own), strict=True)
        ]

    def _sequence_alerts(self, sequences: _Sequences, blocks: Sequence[Hits], wall_offset_ns: int) -> list[Alert]:
        until = len(sequences.rule.program.stages)
        routes = sequences.routes(blocks)
        captures = [block.captures.copy() for block in blocks]
        touched: dict[tuple[Machine, Slot], None] = {}
        done: list[tuple[Pending, bytes, int]] = []
        for event_id, b, i, key_index, now in _in_order(blocks, routes, until):
            block = blocks[b]
            for key, machine in routes[b][key_index]:
                if block.stage == until:
                    machine.until(key, now)
                    continue
                complete = machine.match(block.stage, key, event_id, now, (captures[b], i))
                if complete is None:
                    touched[machine, (block.stage, key)] = None
                else:
                    done.append((complete, key, int(block.ts_boot_ns[i])))
        resolver = _Resolver(chain.from_iterable(complete.evidence for complete, _, _ in done))
        self._hold(captures, (p for machine, slot in touched if (p := machine.pending.get(slot)) is not None))
        return [
            self._alert(sequences.rule, p.event_ids, ts, wall_offset_ns, resolver.resolve(p.evidence), key)
            for p, key, ts in done
        ]

    def _hold(self, blocks: Sequence[Captures], left: Iterable[Pending]) -> None:
        """Let go of the epoch: of each block, keep the captures of the hits that are still pending."""
        wanted: dict[int, set[int]] = {id(block): set() for block in blocks}
        for pending in left:
            for evidence in pending.evidence:
                if isinstance(evidence, tuple) and id(evidence[0]) in wanted:
                    wanted[id(evidence[0])].add(evidence[1])
        for block in blocks:
            block.keep(sorted(wanted[id(block)]))
            self._held.add(block)

    def _alert(
        self, rule: Rule, ids: tuple[int, ...], ts_ns: int, wall_offset_ns: int, captures: tuple[Capture, ...],
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
            ts_wall_ns=ts_ns + wall_offset_ns,
            join_keys=decode(key),
            captures=captures,
            threat=rule.threat,
        )


def _resolved(pending: Mapping[Slot, Pending]) -> dict[Slot, Pending]:
    resolver = _Resolver(chain.from_iterable(p.evidence for p in pending.values()))
    return {slot: Pending(p.first_ns, p.event_ids, resolver.resolve(p.evidence)) for slot, p in pending.items()}


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
