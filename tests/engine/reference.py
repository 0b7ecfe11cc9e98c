"""The sequence machine by definition (docs/determinism.md, "Sequences"): an event at a time, with all of history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kestrel_lab.engine.hits.keys import shard_of

Key = bytes


@dataclass(frozen=True)
class Event:
    """One event: its id, event time, and the keys it has in each stage that it passes."""

    id: int
    time: int
    stages: Mapping[int, tuple[Key, ...]]


@dataclass(frozen=True)
class Items:
    """A sequence: for each item its stage and whether it is a missing event; the number of the until stage."""

    items: Sequence[tuple[int, bool]]
    until: int | None
    span: int


@dataclass(frozen=True)
class Found:
    key: Key
    ids: tuple[int, ...]
    deadline: int | None = None
    blurred: bool = False


@dataclass
class _Pending:
    ids: tuple[int, ...]
    times: tuple[int, ...]
    lead: int | None  # when an event that must not come before last did
    blur: int | None
    deadline: int = -1


@dataclass
class Reference:
    """Runs over events in order."""

    items: Items
    pending_limit: int = 10**9
    key_limit: int = 10**9
    tick: int = 10**9
    now: int = 0
    pending: dict[tuple[int, Key], _Pending] = field(default_factory=dict)
    waiting: list[tuple[Key, _Pending]] = field(default_factory=list)
    seen: dict[tuple[int, Key], list[int]] = field(default_factory=dict)  # (stage, key): when, for missing events
    before: dict[Key, list[tuple[int, int]]] = field(default_factory=dict)  # (time, id) of those that must not lead
    forgotten: dict[int, int] = field(default_factory=dict)
    evicted: Counter[int] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def __post_init__(self) -> None:
        items = self.items.items
        self.events = [n for n, (_, missing) in enumerate(items) if not missing]
        self.lead = {stage for stage, _ in items[: self.events[0]]}
        self.trail = {stage for stage, _ in items[self.events[-1] + 1 :]}

    def run(self, events: Sequence[Event], sealed: bool = True) -> list[Found]:
        for event in events:
            self.step(event)
        if sealed:
            self.resolve(None)
        return self.found

    def step(self, event: Event) -> None:
        if event.id % self.tick == 0:
            self.resolve(self.now)
            self.enforce()
        self.now = max(self.now, event.time)
        self.resolve(self.now)
        for stage, missing in dict.fromkeys(self.items.items):
            for key in event.stages.get(stage, ()) if missing else ():
                self.seen.setdefault((stage, key), []).append(self.now)
                if stage in self.lead:
                    self.before.setdefault(key, []).append((self.now, event.id))
                if stage in self.trail:
                    self.waiting = [
                        (k, w) for k, w in self.waiting if k != key or not w.times[-1] < self.now <= w.deadline
                    ]
        for place in reversed(range(len(self.events))):
            for key in event.stages.get(self.items.items[self.events[place]][0], ()):
                self.match(place, key, event.id)
        for key in event.stages.get(self.items.until, ()) if self.items.until is not None else ():
            self.pending = {slot: p for slot, p in self.pending.items() if slot[1] != key}

    def match(self, place: int, key: Key, event_id: int) -> None:
        if place == 0:
            lead = max((t for t, _ in self.before.get(key, ()) if t < self.now), default=None)
            new = _Pending((event_id,), (self.now,), lead, self.forgotten.get(shard_of(key)))
        else:
            old = self.pending.pop((place - 1, key), None)
            if old is None or self.now - old.times[0] > self.items.span:
                return
            new = _Pending((*old.ids, event_id), (*old.times, self.now), old.lead, old.blur)
        if place < len(self.events) - 1:
            self.pending[place, key] = new
        elif not self.stood_between(key, new):
            self.complete(key, new)

    def stood_between(self, key: Key, p: _Pending) -> bool:
        for place in range(len(self.events) - 1):
            for stage, _ in self.items.items[self.events[place] + 1 : self.events[place + 1]]:
                if any(p.times[place] < t < p.times[place + 1] for t in self.seen.get((stage, key), ())):
                    return True
        return False

    def complete(self, key: Key, p: _Pending) -> None:
        far = p.times[-1] - self.items.span
        led = bool(self.lead) and p.lead is not None and p.lead >= far
        blurred = bool(self.lead) and p.blur is not None and p.blur >= far
        if not self.trail:
            if not led:
                self.found.append(Found(key, p.ids, None, blurred))
        elif self.lead and not led:
            self.found.append(Found(key, p.ids, None, blurred))
        else:
            p.deadline = (p.lead if self.lead and p.lead is not None else p.times[0]) + self.items.span
            self.waiting.append((key, p))

    def resolve(self, now: int | None) -> None:
        for key, p in self.waiting:
            if now is None or p.deadline < now:
                blurred = bool(self.lead) and p.blur is not None and p.blur >= p.times[-1] - self.items.span
                self.found.append(Found(key, p.ids, p.deadline, blurred))
        self.waiting = [(k, p) for k, p in self.waiting if not (now is None or p.deadline < now)]

    def enforce(self) -> None:
        oldest = self.now - self.items.span
        for key in {key for key, _ in self.waiting}:
            own = sorted((p.ids[-1], place) for place, (k, p) in enumerate(self.waiting) if k == key)
            for _, place in own[: max(len(own) - self.key_limit, 0)]:
                self.waiting[place] = (key, _Pending((), (), None, None))
                self.evicted[shard_of(key)] += 1
            self.waiting = [(k, p) for k, p in self.waiting if p.ids]
        for shard in range(64):
            held = [(p.ids[-1], place, key, p) for (place, key), p in self.pending.items() if p.times[0] >= oldest] + [
                (p.ids[-1], len(self.events) - 1, key, p) for key, p in self.waiting
            ]
            held = sorted((h for h in held if shard_of(h[2]) == shard), key=lambda h: h[:3])
            for _, place, key, p in held[: max(len(held) - self.pending_limit, 0)]:
                self.evicted[shard] += 1
                self.waiting = [(k, w) for k, w in self.waiting if w is not p]
                if self.pending.get((place, key)) is p:
                    del self.pending[place, key]
            known = sorted(
                (events[-1][1], key) for key, events in self.before.items()
                if shard_of(key) == shard and events[-1][0] >= oldest
            )  # fmt: skip
            for _, key in known[: max(len(known) - self.pending_limit, 0)]:
                self.evicted[shard] += 1
                self.forgotten[shard] = max(self.forgotten.get(shard, 0), self.before.pop(key)[-1][0])
