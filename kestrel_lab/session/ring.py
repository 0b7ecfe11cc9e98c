"""What a long recording keeps: the last minutes, or so many bytes, and what an alert rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.epoch import Epoch

_NS = 1_000_000_000
#: what follows an alert or a call to keep, is kept too, s
AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much a recording keeps.

    Attributes:
        seconds: how far back, None for all.
        max_bytes: of its segments, None for any number.
        after_s: how much of what follows an alert is kept with it.
    """

    seconds: float | None = None
    max_bytes: int | None = None
    after_s: float = AFTER_S

    @property
    def all(self) -> bool:
        """Whether nothing is ever removed."""
        return self.seconds is None and self.max_bytes is None


@dataclass
class _Held:
    """A segment: its events and times so far."""

    first_id: int
    last_id: int
    first_ns: int
    last_ns: int
    last_epoch: int
    pinned: bool = False


@dataclass
class Ring:
    """Decides which segments go. Alerts may be told from another thread.

    Attributes:
        gone, gone_pinned: how many segments went, and how many of them although something rested on them.
    """

    keeping: Keeping
    gone: int = 0
    gone_pinned: int = 0
    _held: dict[int, _Held] = field(default_factory=dict)
    _asked: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _until_ns: int = -1
    _lock: Lock = field(default_factory=Lock)

    def committed(self, epoch: Epoch) -> None:
        """Take note of an epoch."""
        index = epoch.segment.index
        held = self._held.get(index)
        if held is None:
            held = self._held[index] = _Held(epoch.first_event_id, 0, epoch.ts_min_ns, 0, 0)
        held.last_id, held.last_epoch = epoch.last_event_id, epoch.number
        held.last_ns = max(held.last_ns, epoch.ts_max_ns)
        if epoch.ts_min_ns <= self._until_ns:
            held.pinned = True

    def alert(self, alert: Alert) -> None:
        """Keep what an alert rests on, and what follows."""
        with self._lock:
            self._asked.append((tuple(i for i in alert.event_ids if i is not None), alert.ts_boot_ns))

    def keep_all(self, now_ns: int) -> None:
        """Keep everything that is there, and what follows."""
        for held in self._held.values():
            held.pinned = True
        self._until_ns = max(self._until_ns, now_ns + int(self.keeping.after_s * _NS))

    def due(self, now_ns: int, sealed: Mapping[int, int], done: int | None = None) -> list[tuple[int, str]]:
        """Return which segments are to go now, and why: `keep` or `budget`, the oldest first.

        Args:
            now_ns: boot time.
            sealed: the segments that can go, and their sizes in bytes.
            done: number of the last epoch that the rules have seen: what comes later stays; None: there are no rules.
        """
        self._pin()
        last = {index: held.last_epoch for index, held in self._held.items()}
        there = sorted(i for i in sealed if i in last and (done is None or last[i] <= done))
        out: list[tuple[int, str]] = []
        if self.keeping.seconds is not None:
            before = now_ns - int(self.keeping.seconds * _NS)
            out = [(i, "keep") for i in there if self._held[i].last_ns < before and not self._held[i].pinned]
        if self.keeping.max_bytes is not None:
            over = sum(sealed.values()) - self.keeping.max_bytes - sum(sealed[i] for i, _ in out)
            going = {i for i, _ in out}
            for index in sorted((i for i in there if i not in going), key=lambda i: (self._held[i].pinned, i)):
                if over <= 0:
                    break
                out.append((index, "budget"))
                over -= sealed[index]
        return out

    def went(self, index: int) -> None:
        """Take note that a segment is gone."""
        self.gone += 1
        self.gone_pinned += self._held.pop(index).pinned

    def _pin(self) -> None:
        with self._lock:
            asked, self._asked = self._asked, []
        for ids, ts_ns in asked:
            until = ts_ns + int(self.keeping.after_s * _NS)
            self._until_ns = max(self._until_ns, until)
            for held in self._held.values():
                rests = any(held.first_id <= i <= held.last_id for i in ids)
                held.pinned |= rests or (held.first_ns <= until and held.last_ns >= ts_ns)
