"""Pending sequences as bytes: canonical JSON, keyed by rule content, so that an unchanged rule keeps its state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kestrel_lab.engine.captures import Capture
from kestrel_lab.engine.sequence import Slot
from kestrel_lab.schema.errors import IncompatibleError
from kestrel_lab.schema.values import from_json, to_json

VERSION = 1

#: A pending sequence: event time of its first event (ns), its events, the captures of each.
Stored: TypeAlias = tuple[int, tuple[int, ...], tuple[Capture, ...]]


@dataclass(slots=True)
class RuleState:
    """What one rule remembers. `evicted` is by shard."""

    pending: dict[Slot, Stored] = field(default_factory=dict)
    evicted: dict[int, int] = field(default_factory=dict)


def dump(event_time_ns: int, rules: Mapping[str, RuleState], extra: Mapping[str, Any] | None = None) -> bytes:
    """Return the state as bytes, equal for equal states.

    Args:
        rules: by rule hash.
        extra: more JSON data to keep beside it.
    """
    data = {
        "version": VERSION,
        "event_time_ns": event_time_ns,
        "rules": {h: _rule_json(r) for h, r in rules.items() if r.pending or r.evicted},
        **(extra or {}),
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def load(state: bytes) -> tuple[int, dict[str, RuleState], dict[str, Any]]:
    """Return (event time, rules by hash, everything) of what `dump` made.

    Raises:
        IncompatibleError: if another version made it.
    """
    data = json.loads(state)
    if data["version"] != VERSION:
        raise IncompatibleError(f"engine state of version {data['version']}, this engine reads {VERSION}")
    return data["event_time_ns"], {h: _rule(r) for h, r in data["rules"].items()}, data


def merge(states: Sequence[bytes]) -> bytes:
    """Return the state of matchers of disjoint shards as one.

    Raises:
        ValueError: for no state at all.
    """
    loaded = [load(state) for state in states]
    rules: dict[str, RuleState] = {}
    for _, part, _ in loaded:
        for rule_hash, state in part.items():
            whole = rules.setdefault(rule_hash, RuleState())
            whole.pending |= state.pending
            whole.evicted |= state.evicted
    return dump(max(time for time, _, _ in loaded), rules)


def in_order(pending: Mapping[Slot, Stored]) -> list[tuple[Slot, Stored]]:
    """Return pending sequences by (last event_id, stage, key): the order of eviction."""
    return sorted(pending.items(), key=lambda item: (item[1][1][-1], item[0]))


def _rule_json(rule: RuleState) -> dict[str, Any]:
    return {
        "evicted": {str(shard): count for shard, count in rule.evicted.items()},
        "pending": [
            [stage, key.hex(), first_ns, event_ids, [{n: to_json(v) for n, v in c.items()} for c in captures]]
            for (stage, key), (first_ns, event_ids, captures) in in_order(rule.pending)
        ],
    }


def _rule(data: Mapping[str, Any]) -> RuleState:
    pending = {
        (stage, bytes.fromhex(key)): (first_ns, tuple(ids), tuple(_capture(c) for c in captures))
        for stage, key, first_ns, ids, captures in data["pending"]
    }
    return RuleState(pending, {int(shard): count for shard, count in data["evicted"].items()})


def _capture(data: Mapping[str, Any]) -> Capture:
    found = {name: from_json(value) for name, value in data.items()}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
