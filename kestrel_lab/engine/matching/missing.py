"""Missing events: where they stood between, before and after the events of a sequence. All times are event times, ns.

Event time never goes back in `event_id` order, so an event after another in time is after it in that order as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, Mask, no_ints
from kestrel_lab.engine.matching.partial import LONG_AGO, NEVER, Partials, joined, none_of


class Seen:
    """Events that must not stand somewhere, as far as one batch of hits has them."""

    def __init__(self, hits: KeyedHits) -> None:
        """Take them in any order."""
        order = np.argsort(hits.id, kind="stable")
        self._times, keys = hits.time[order], hits.key[order]
        self._bits = max(len(order).bit_length(), 1)
        self._sorted = np.sort((keys << self._bits) | np.arange(len(order)))
        self.keys: Ints = np.unique(keys)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._times)

    def first_after(self, keys: Ints, times: Ints) -> Ints:
        """Return, for each key, the time of the first one later than the given time; NEVER for none."""
        place = np.searchsorted(self._times, times, "right")
        return self._time_at(keys, np.searchsorted(self._sorted, (keys << self._bits) | place), NEVER)

    def last_before(self, keys: Ints, times: Ints) -> Ints:
        """Return, for each key, the time of the last one earlier than the given time; LONG_AGO for none."""
        place = np.searchsorted(self._times, times, "left")
        return self._time_at(keys, np.searchsorted(self._sorted, (keys << self._bits) | place) - 1, LONG_AGO)

    def _time_at(self, keys: Ints, found: Ints, none: int) -> Ints:
        out = np.full(len(keys), none)
        if len(self):
            entries = self._sorted[np.clip(found, 0, len(self) - 1)]
            same = (found >= 0) & (found < len(self)) & (entries >> self._bits == keys)
            out[same] = self._times[entries[same] & ((1 << self._bits) - 1)]
        return out


class Lookback:
    """For each key the last two times of events that must not come before a sequence, and the last one's id."""

    def __init__(self) -> None:
        self._keys = self._last = self._before = self._id = no_ints()  # keys rise

    def __len__(self) -> int:
        """Return how many keys have one."""
        return len(self._keys)

    @property
    def keys(self) -> Ints:
        """The keys that have one."""
        return self._keys

    def at(self) -> tuple[Ints, Ints, Ints]:
        """Return, for each of `keys`, the last time, the last earlier time (LONG_AGO for none), the last id."""
        return self._last, self._before, self._id

    def put(self, keys: Ints, last: Ints, before: Ints, ids: Ints) -> None:
        """Set what `at` gives of distinct keys."""
        if not len(keys):
            return
        kept = ~np.isin(self._keys, keys)
        every = np.concatenate([self._keys[kept], keys])
        order = np.argsort(every)
        old, new = (self._last, self._before, self._id), (last, before, ids)
        self._keys = every[order]
        self._last, self._before, self._id = (
            np.concatenate([a[kept], b])[order] for a, b in zip(old, new, strict=True)
        )  # fmt: skip

    def drop(self, which: Ints) -> None:
        """Forget those at the given places of `keys`."""
        self._pick(np.delete(np.arange(len(self)), which))

    def expire(self, oldest: int) -> None:
        """Forget times before `oldest`."""
        if len(self):
            self._before[self._before < oldest] = LONG_AGO
            old = self._last < oldest
            if old.any():
                self._pick(np.flatnonzero(~old))

    def before(self, keys: Ints, times: Ints, seen: Seen) -> Ints:
        """Return, for each key, the last time earlier than the given one, those just seen included."""
        out = np.full(len(keys), LONG_AGO)
        if len(self):
            at = np.minimum(np.searchsorted(self._keys, keys), len(self) - 1)
            known = np.flatnonzero(self._keys[at] == keys)
            last, before = self._last[at[known]], self._before[at[known]]
            out[known] = np.where(last < times[known], last, before)
        found: Ints = np.maximum(out, seen.last_before(keys, times))
        return found

    def take_in(self, hits: KeyedHits, seen: Seen) -> None:
        """Remember events just seen."""
        order = np.argsort(hits.id, kind="stable")[::-1]
        keys, newest = np.unique(hits.key[order], return_index=True)
        latest = order[newest]
        last = hits.time[latest]
        self.put(keys, last, self.before(keys, last, seen), hits.id[latest])

    def _pick(self, which: Ints) -> None:
        columns = self._keys, self._last, self._before, self._id
        self._keys, self._last, self._before, self._id = (c[which] for c in columns)


@dataclass(frozen=True, slots=True)
class _Open:
    """Whole sequences that wait for time to pass: until when, and the wall time of the last event, ns."""

    found: Partials
    deadline: Ints
    wall: Ints

    def pick(self, which: Mask | Ints) -> _Open:
        return _Open(self.found.pick(which), self.deadline[which], self.wall[which])


class Windows:
    """Sequences of which all events are there, while one that must not follow may still come, by their last events."""

    def __init__(self, width: int) -> None:
        """Take how many events they have."""
        self._width = width
        self._open = _Open(none_of(width), no_ints(), no_ints())

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open.deadline)

    @property
    def keys(self) -> Ints:
        """The keys of all, as often as they have one."""
        return self._open.found.key

    @property
    def found(self) -> Partials:
        """The sequences."""
        return self._open.found

    @property
    def deadline(self) -> Ints:
        """Until when an event that must not follow counts, inclusive."""
        return self._open.deadline

    @property
    def wall(self) -> Ints:
        """Wall time of the last event, ns."""
        return self._open.wall

    def add(self, found: Partials, deadline: Ints, wall: Ints) -> None:
        """Open the windows of sequences whose last events are after all others'."""
        order = np.argsort(found.last, kind="stable")
        new = _Open(found, deadline, wall).pick(order)
        self._open = _Open(
            joined([self._open.found, new.found]),
            np.concatenate([self._open.deadline, new.deadline]),
            np.concatenate([self._open.wall, new.wall]),
        )

    def close(self, seen: Seen) -> tuple[Partials, Ints]:
        """Drop those that one of the events just seen must not follow; return them, and when that event came."""
        came = seen.first_after(self.found.key, self.found.times[:, -1])
        closed = came <= self.deadline
        out = self.found.pick(closed), came[closed]
        if closed.any():
            self._open = self._open.pick(~closed)
        return out

    def resolve(self, now: int | None) -> tuple[Partials, Ints, Ints]:
        """Return those that time has passed (all for None), their `wall` and `deadline`, and drop them."""
        ready = np.ones(len(self), np.bool_) if now is None else self.deadline < now
        out = self.found.pick(ready), self.wall[ready], self.deadline[ready]
        if ready.any():
            self._open = self._open.pick(~ready)
        return out

    def drop(self, which: Ints) -> None:
        """Give up those at the given places."""
        self._open = self._open.pick(np.delete(np.arange(len(self)), which))
