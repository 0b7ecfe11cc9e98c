"""An alert and the other things an engine says: one shape for live, replay, storage and output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from kestrel_lab.schema.severity import Severity
from kestrel_lab.schema.values import Value, from_json, to_json

Mode = Literal["live", "deterministic"]
SortKey: TypeAlias = tuple[int, str, tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule fired on exactly these events.

    Attributes:
        rule_hash: content hash of the rule, hex; `pack_hash` of the pack it came from.
        event_ids: the evidence in stage order; None where a missing event stands.
        join_keys: values of the `by` fields, empty for event rules.
        ts_boot_ns, ts_wall_ns: times of the last event, ns.
        captures: for each event of the evidence, the captured fields by name; None where a missing event stands.
        threat: ATT&CK technique ids.
        degraded: why an event that must be missing could have been there unseen (`skipped`, `exhausted`, `damaged`,
            `evicted`, or a cause of the gap map), sorted; empty if nothing could hide one.
        source_ids: the ids that the events had where they were imported from, None where a missing event stands; empty
            where there are no such ids.
    """

    rule_id: str
    rule_name: str
    severity: Severity
    rule_hash: str
    pack_hash: str
    event_ids: tuple[int | None, ...]
    ts_boot_ns: int
    ts_wall_ns: int
    join_keys: tuple[Value, ...] = ()
    captures: tuple[Mapping[str, Value] | None, ...] = ()
    threat: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    source_ids: tuple[Value, ...] = ()

    @property
    def last_event_id(self) -> int:
        """The greatest event_id of the evidence."""
        return max(i for i in self.event_ids if i is not None)

    @property
    def sort_key(self) -> SortKey:
        """The order of alerts everywhere: (last event_id, rule id, event_ids, join keys); a missing event sorts first.

        The join keys part the alerts that one run of events raises under several values of an array field.
        """
        return _sort_key(self.rule_id, self.event_ids, self.join_keys)

    def to_json(self) -> dict[str, Any]:
        """Return the alert as plain JSON data; what `--format ndjson` prints."""
        return {
            "rule_id": self.rule_id,
            "rule_name": self.rule_name,
            "severity": self.severity.label,
            "rule_hash": self.rule_hash,
            "pack_hash": self.pack_hash,
            "event_ids": list(self.event_ids),
            "source_ids": [to_json(v) for v in self.source_ids],
            "join_keys": [to_json(v) for v in self.join_keys],
            "ts_boot_ns": self.ts_boot_ns,
            "ts_wall_ns": self.ts_wall_ns,
            "captures": [c and {k: to_json(v) for k, v in c.items()} for c in self.captures],
            "threat": list(self.threat),
            "degraded": list(self.degraded),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Alert:
        """Return the alert that `to_json` was given (lists among values become tuples)."""
        return cls(
            rule_id=data["rule_id"],
            rule_name=data["rule_name"],
            severity=Severity.parse(data["severity"]),
            rule_hash=data["rule_hash"],
            pack_hash=data["pack_hash"],
            event_ids=tuple(data["event_ids"]),
            ts_boot_ns=data["ts_boot_ns"],
            ts_wall_ns=data["ts_wall_ns"],
            join_keys=tuple(_value(v) for v in data["join_keys"]),
            captures=tuple(c and {k: _value(v) for k, v in c.items()} for c in data["captures"]),
            threat=tuple(data["threat"]),
            degraded=tuple(data["degraded"]),
            source_ids=tuple(_value(v) for v in data["source_ids"]),
        )


def _sort_key(rule_id: str, event_ids: Sequence[int | None], join_keys: Sequence[Value]) -> SortKey:
    keys = json.dumps([to_json(v) for v in join_keys]) if join_keys else ""
    ids = tuple(-1 if i is None else i for i in event_ids)
    return max(ids), rule_id, ids, keys


def _value(data: Any) -> Value:
    found = from_json(data)
    return tuple(found) if isinstance(found, list) else found


def alert_digest(alerts: Iterable[Alert]) -> str:
    """Return the sha256 (hex) over the alerts' canonical JSON lines in `sort_key` order.

    The pack hash is left out, so that an unrelated rule in a pack does not change the digest of the same alerts.
    """
    out = sha256()
    for alert in sorted(alerts, key=lambda a: a.sort_key):
        data = alert.to_json()
        del data["pack_hash"]
        out.update(json.dumps(data, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return out.hexdigest()


@dataclass(frozen=True, slots=True)
class Open:
    """A result that was still undecided where a recording was cut or has not ended.

    Attributes:
        event_ids: the evidence in stage order; None where a missing event stands.
        deadline_ns: until when an event that must not follow could have come, event time in ns; None for a result
            that waits for the end because of `tail`.
    """

    rule_id: str
    event_ids: tuple[int | None, ...]
    join_keys: tuple[Value, ...] = ()
    deadline_ns: int | None = None

    @property
    def sort_key(self) -> SortKey:
        """The same order as that of alerts."""
        return _sort_key(self.rule_id, self.event_ids, self.join_keys)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "rule_id": self.rule_id,
            "event_ids": list(self.event_ids),
            "join_keys": [to_json(v) for v in self.join_keys],
            "deadline_ns": self.deadline_ns,
        }


@dataclass(frozen=True, slots=True)
class Skip:
    """The live engine skipped these epochs (inclusive) because it lagged more than it may."""

    first_epoch: int
    last_epoch: int
    first_event_id: int
    last_event_id: int
    lag_ns: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A rule used up its fuel in an epoch, or trapped (then there is no figure): all of its hits there are discarded,
    identically in both modes.

    Attributes:
        limit: the fuel it might have used.
    """

    rule_id: str
    epoch: int
    first_event_id: int
    last_event_id: int
    limit: int
    trapped: bool = False

    def __str__(self) -> str:
        what = "trapped" if self.trapped else f"used up its {self.limit} fuel"
        return (
            f"rule {self.rule_id} {what} in epoch {self.epoch} (events {self.first_event_id} to {self.last_event_id})"
        )


def stops_in_words(rows: Iterable[Exhausted]) -> list[tuple[Exhausted, str]]:
    """Return for each rule that ran out of fuel, or trapped, the first epoch where it did, and the whole in words."""
    by_rule: dict[tuple[str, bool], list[Exhausted]] = {}
    for row in rows:
        by_rule.setdefault((row.rule_id, row.trapped), []).append(row)
    return [
        (first, f"{first} and in {len(more)} more" if more else str(first)) for first, *more in by_rule.values()
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PackUse:
    """One row of the pack schedule: from this event_id on, this pack ran."""

    from_event_id: int
    pack_hash: str
    actions: tuple[int, ...] = field(default=())
