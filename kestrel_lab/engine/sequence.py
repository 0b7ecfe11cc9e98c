"""The sequence machine of one rule and one shard of keys: what is pending, and what an event does to it.

At most one sequence is pending per (stage, key): a newer one overwrites it. Time is event time.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import TypeAlias

#: (stage, key): the stage is the last one matched.
Slot: TypeAlias = tuple[int, bytes]
#: A sequence that has matched the first stages: event time of its first event (ns), its events, and a handle to the
#: captures of each. A plain tuple of plain things, because there may be very many.
Pending: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]


class Machine:
    """Pending sequences of one (rule, shard).

    Attributes:
        pending: by (stage, key), in the order of their last events; the stage is the last one matched.
        evicted: pending sequences given up because there were too many, or too old without a maxspan.

    `expire` runs before every event, so that how epochs are cut changes neither what is pending nor what is counted.
    """

    def __init__(self, stages: int, maxspan_ns: int | None, limit: int, ttl_ns: int) -> None:
        """Take the number of stages, the rule's maxspan and the limits."""
        self._stages, self._maxspan, self._limit = stages, maxspan_ns, limit
        self._keep = ttl_ns if maxspan_ns is None else maxspan_ns
        self._deadlines: list[tuple[int, int, Slot]] = []
        self.pending: OrderedDict[Slot, Pending] = OrderedDict()
        self.evicted = 0

    def match(self, stage: int, key: bytes, event_id: int, now: int, evidence: int) -> Pending | None:
        """Take an event that passed a stage; the stages of one event come last to first.

        Args:
            now: event time of the event, ns.
            evidence: handle to its captures.

        Returns:
            the sequence, if the event completes one.
        """
        if self._deadlines and self._deadlines[0][0] < now:
            self.expire(now)
        if stage == 0:
            self._put((0, key), (now, (event_id,), (evidence,)))
            return None
        before = self.pending.pop((stage - 1, key), None)
        if before is None:
            return None
        first_ns, event_ids, handles = before
        after = first_ns, (*event_ids, event_id), (*handles, evidence)
        if stage == self._stages - 1:
            return after
        self._put((stage, key), after)
        return None

    def until(self, key: bytes, now: int) -> None:
        """Take an `until` event, after its own matches: nothing of its key stays pending."""
        self.expire(now)
        for stage in range(self._stages - 1):
            self.pending.pop((stage, key), None)

    def restore(self, slot: Slot, pending: Pending) -> None:
        """Put back what was pending; slots come in the order of their last events."""
        self.pending[slot] = pending
        heappush(self._deadlines, (pending[0] + self._keep, pending[1][-1], slot))

    def expire(self, now: int) -> None:
        """Drop what an event at `now` can no longer complete; without a maxspan, what is too old to keep."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] < now:
            _, last, slot = heappop(deadlines)
            found = self.pending.get(slot)
            if found is not None and found[1][-1] == last:
                del self.pending[slot]
                self.evicted += self._maxspan is None

    def _put(self, slot: Slot, pending: Pending) -> None:
        self.pending.pop(slot, None)
        if len(self.pending) >= self._limit:
            self._evict()
        self.pending[slot] = pending
        heappush(self._deadlines, (pending[0] + self._keep, pending[1][-1], slot))
        if len(self._deadlines) > 64 + 2 * len(self.pending):
            self._deadlines = sorted((p[0] + self._keep, p[1][-1], s) for s, p in self.pending.items())

    def _evict(self) -> None:
        """Give up the least by (last event_id, stage, key)."""
        last = next(iter(self.pending.values()))[1][-1]
        least: Slot | None = None
        for slot, pending in self.pending.items():
            if pending[1][-1] != last:
                break
            least = slot if least is None or slot < least else least
        if least is not None:
            del self.pending[least]
            self.evicted += 1
