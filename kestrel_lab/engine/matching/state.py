"""What rules remember, as bytes: canonical JSON, keyed by rule content, so that an unchanged rule keeps its state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kestrel_lab.engine.hits.captures import Capture
from kestrel_lab.engine.matching.partial import LONG_AGO, NEVER
from kestrel_lab.schema.errors import IncompatibleError
from kestrel_lab.schema.values import from_json, to_json

VERSION = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """A pending sequence; see `partial.Partials` for what its parts mean. Times in ns.

    Attributes:
        captures: of each event.
        deadline, wall: of a sequence that waits for time to pass, else None; `wall` is that of its last event.
    """

    key: bytes
    ids: tuple[int, ...]
    times: tuple[int, ...]
    boot: int
    gap: int
    bad: bool
    lead: int
    blur: int
    captures: tuple[Capture, ...]
    deadline: int | None = None
    wall: int | None = None

    @property
    def order(self) -> tuple[int, int, bytes, tuple[int, ...]]:
        """The order of eviction: by (last event_id, stage, key)."""
        return self.ids[-1], len(self.ids), self.key, self.ids


@dataclass(frozen=True, slots=True)
class StoredSample:
    """Events kept under one key of a sample: for each item (event_id, boot time, capture); `done` once one was found.

    `first_ns` is the event time of the first, `last` the id of the last event taken.
    """

    key: bytes
    first_ns: int
    last: int
    done: bool
    items: tuple[tuple[tuple[int, int, Capture], ...], ...]


@dataclass(slots=True)
class RuleState:
    """What one rule remembers.

    Attributes:
        lookback: (key, last time, last earlier time, last id) of events that must not come before a sequence.
        evicted: how many pending sequences were given up, by shard.
        forgotten: up to which event time lookback was given up, by shard.
    """

    pending: list[Stored] = field(default_factory=list)
    lookback: list[tuple[bytes, int, int, int]] = field(default_factory=list)
    samples: list[StoredSample] = field(default_factory=list)
    evicted: dict[int, int] = field(default_factory=dict)
    forgotten: dict[int, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many sequences and samples are pending."""
        return len(self.pending) + len(self.samples)

    def add(self, other: RuleState) -> None:
        """Take in the state of the same rule in other shards."""
        self.pending += other.pending
        self.lookback += other.lookback
        self.samples += other.samples
        self.evicted |= other.evicted
        self.forgotten |= other.forgotten


@dataclass(frozen=True, slots=True)
class State:
    """What a matcher remembers.

    Attributes:
        last_event_id: of the last scan; -1 before any.
        blind: intervals in which nobody looked, as `blind.BlindIntervals.dump` gives them.
        rules: by rule hash.
        data: everything as JSON data, with what the caller of `dump` added.
    """

    event_time_ns: int
    last_event_id: int
    blind: list[list[Any]]
    rules: dict[str, RuleState]
    data: Mapping[str, Any] = field(default_factory=dict)


def dump(state: State, extra: Mapping[str, Any] | None = None) -> bytes:
    """Return the state as bytes, equal for equal states.

    Args:
        extra: more JSON data to keep beside it.
    """
    rules = {rule_hash: _rule_json(rule) for rule_hash, rule in state.rules.items()}
    data = {
        "version": VERSION,
        "event_time_ns": state.event_time_ns,
        "last_event_id": state.last_event_id,
        "blind": state.blind,
        "rules": {rule_hash: rule for rule_hash, rule in rules.items() if rule},
        **(extra or {}),
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def load(state: bytes) -> State:
    """Return what `dump` was given.

    Raises:
        IncompatibleError: if another version made it.
    """
    data = json.loads(state)
    if data["version"] != VERSION:
        raise IncompatibleError(f"engine state of version {data['version']}, this engine reads {VERSION}")
    rules = {rule_hash: _rule(rule) for rule_hash, rule in data["rules"].items()}
    return State(data["event_time_ns"], data["last_event_id"], data["blind"], rules, data)


def merge(states: Sequence[bytes]) -> bytes:
    """Return the state of matchers of disjoint shards, which took the same scans, as one.

    Raises:
        ValueError: for no state at all.
    """
    if not states:
        raise ValueError("no state to merge")
    loaded = [load(state) for state in states]
    rules: dict[str, RuleState] = {}
    for part in loaded:
        for rule_hash, rule in part.rules.items():
            rules.setdefault(rule_hash, RuleState()).add(rule)
    first = loaded[0]
    return dump(State(first.event_time_ns, first.last_event_id, first.blind, rules))


def _rule_json(rule: RuleState) -> dict[str, Any]:
    """Return the parts of a rule's state that are not empty."""
    parts: dict[str, Any] = {
        "evicted": {str(shard): count for shard, count in rule.evicted.items()},
        "forgotten": {str(shard): time for shard, time in rule.forgotten.items()},
        "lookback": [[k.hex(), last, _time(before), i] for k, last, before, i in sorted(rule.lookback)],
        "pending": [_stored_json(s) for s in sorted(rule.pending, key=lambda s: s.order)],
        "samples": [_sample_json(s) for s in sorted(rule.samples, key=lambda s: (s.last, s.key))],
    }
    return {name: part for name, part in parts.items() if part}


def _rule(data: Mapping[str, Any]) -> RuleState:
    return RuleState(
        [_stored(s) for s in data.get("pending", ())],
        [(bytes.fromhex(k), last, _past(before), i) for k, last, before, i in data.get("lookback", ())],
        [_sample(s) for s in data.get("samples", ())],
        {int(shard): count for shard, count in data.get("evicted", {}).items()},
        {int(shard): time for shard, time in data.get("forgotten", {}).items()},
    )


def _stored_json(s: Stored) -> list[Any]:
    captures = [_capture_json(c) for c in s.captures]
    missing = [_time(s.gap), s.bad, _time(s.lead), _time(s.blur)]
    return [s.key.hex(), s.ids, s.times, s.boot, captures, *missing, s.deadline, s.wall]


def _stored(data: Sequence[Any]) -> Stored:
    key, ids, times, boot, captures, gap, bad, lead, blur, deadline, wall = data
    gap = NEVER if gap is None else gap
    found = tuple(_capture(c) for c in captures)
    return Stored(
        bytes.fromhex(key), tuple(ids), tuple(times), boot, gap, bad, _past(lead), _past(blur), found, deadline, wall
    )


def _sample_json(s: StoredSample) -> list[Any]:
    items = [[[i, boot, _capture_json(c)] for i, boot, c in item] for item in s.items]
    return [s.key.hex(), s.first_ns, s.last, s.done, items]


def _sample(data: Sequence[Any]) -> StoredSample:
    key, first_ns, last, done, items = data
    found = tuple(tuple((i, boot, _capture(c)) for i, boot, c in item) for item in items)
    return StoredSample(bytes.fromhex(key), first_ns, last, done, found)


def _time(ns: int) -> int | None:
    return None if ns in (NEVER, LONG_AGO) else ns


def _past(ns: int | None) -> int:
    return LONG_AGO if ns is None else ns


def _capture_json(capture: Capture) -> dict[str, Any]:
    return {name: to_json(value) for name, value in capture.items()}


def _capture(data: Mapping[str, Any]) -> Capture:
    found = {name: from_json(value) for name, value in data.items()}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
