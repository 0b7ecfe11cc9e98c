"""What the processes of a window do: chains of acts, each within the life of the process that does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.synth import acts, jobs, stories
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.births import Births
from kestrel_lab.synth.clock import Clock, Floats
from kestrel_lab.synth.dice import I64, U64, Array, Dice, Spread, below, unit
from kestrel_lab.synth.events import Events
from kestrel_lab.synth.images import Slots

_KIND, _WHO, _WHEN, _PAUSE = range(301, 305)
#: of 65,536 acts, those of processes that come and go, if there are any
_OF_BORN = 46_000
#: from one event of a chain to the next, ns
_PAUSES = Spread((20_000, 80_000, 300_000, 900_000, 4_000_000, 30_000_000, 800_000_000))


@dataclass(frozen=True)
class Window:
    """A stretch of event time: shares of the recording, when it begins, and the longest that anything in it may last.

    Times are ns. Nothing begins before `begin_ns`, however its share was rounded: what came before is given away.
    """

    first: float
    last: float
    begin_ns: int
    longest_ns: int

    def starts(self, clock: Clock, bits: U64) -> I64:
        """Return times in it, drawn."""
        return self.at(clock, self.first + unit(bits) * (self.last - self.first))

    def at(self, clock: Clock, shares: Floats) -> I64:
        """Return the times of shares that lie in it."""
        return np.maximum(clock.at(shares), self.begin_ns)


@dataclass(frozen=True)
class Chains:
    """Chains of acts of a window: their kind, key, length (the last one may be cut short), who, when, pause."""

    kind: Array
    key: U64
    length: I64
    slot: Slots
    start: I64
    pause: I64


def draw_chains(dice: Dice, clock: Clock, window: Window, keys: U64, count: int, born: Births) -> Chains:
    """Return chains with `count` events in all; `keys` are at least as many."""
    kind = acts.WHEEL.spin(dice.draw(keys[:count], _KIND))
    ends = np.cumsum(acts.LENGTHS[kind])
    used = int(np.searchsorted(ends, count)) + 1 if count else 0
    kind, key = kind[:used], keys[:used]
    length = acts.LENGTHS[kind].astype(np.int64)
    if used:
        length[-1] -= int(ends[used - 1]) - count
    slot, begin, end = _who(dice, key, kind, born)
    when, pause = dice.draw(key, _WHEN), _PAUSES.draw(dice.draw(key, _PAUSE))
    standing = end == 0
    start = np.where(standing, window.starts(clock, when), begin + 1 + below(when, np.maximum((end - begin) // 2, 1)))
    left = np.maximum(np.minimum(window.longest_ns, clock.end_ns - start), 0)
    room = np.where(standing, left, end - 1 - start)
    return Chains(kind, key, length, slot, start, np.minimum(pause, room // length))


def _who(dice: Dice, key: U64, kind: Array, born: Births) -> tuple[Slots, I64, I64]:
    """Return who acts: its slot, and since and until when it can; 0 and 0 for a process that runs all the time."""
    bits, who = dice.draw(key, _WHO), acts.WHO[kind]
    slot = np.zeros(len(kind), np.int64)
    begin, end = np.zeros_like(slot), np.zeros_like(slot)
    anyone = np.concatenate([jobs.PLACES[what] for what in ("daemon", "net", "app", "web", "accepts")])
    servers = np.concatenate([jobs.PLACES["web"], jobs.PLACES["accepts"]])
    for group, places, able in (
        (acts.ANYONE, anyone, ~born.story), (acts.CLIENT, jobs.PLACES["net"], born.net & ~born.story),
        (acts.SERVER, servers, np.zeros(len(born), np.bool_)),
    ):  # fmt: skip
        mine = np.flatnonzero(who == group)
        slot[mine] = places[below(bits[mine], len(places))]
        found = np.flatnonzero(able)
        if len(found):
            mine = mine[(bits[mine] >> np.uint64(48)) < _OF_BORN]
            one = found[below(bits[mine] >> np.uint64(8), len(found))]
            slot[mine], begin[mine], end[mine] = born.image[one], born.since[one], born.end[one]
    return slot, begin, end


def events_of(chains: Chains, fresh: U64) -> Events:
    """Return the events of chains; `fresh` is the number of the string that each brings, 0 for none."""
    of = np.repeat(np.arange(len(chains.kind)), chains.length)
    step = np.arange(len(of)) - np.repeat(np.cumsum(chains.length) - chains.length, chains.length)
    kind, age = chains.kind[of], step * chains.pause[of]
    return Events.of(len(of), {
        "ts": chains.start[of] + age, "action": acts.ACTIONS[kind, step], "slot": chains.slot[of], "kind": kind,
        "step": step, "key": chains.key[of], "fresh": fresh[of], "age": age,
    })  # fmt: skip


def story_events(born: Births) -> Events:
    """Return the acts of the planted stories."""
    parts = [Events.of(0, {})]
    for number, story in enumerate(stories.STORIES):
        first = int(jobs.FIRST_ROWS[jobs.FIRST_STORY + number])
        for act in story.acts:
            told = np.flatnonzero(born.row == first + max(act.row, 0))
            text = 0 if not act.path else 1 + t.PATHS.values.index(act.path.encode())
            parts.append(Events.of(len(told), {
                "ts": born.start[told] + born.lasts[told] * act.at // 1000, "kind": acts.STORY,
                "action": BUILTIN.action_code(act.table, act.action), "key": born.key[told], "text": text,
                "slot": born.base[told] if act.row < 0 else born.image[told],
            }))  # fmt: skip
    return Events.joined(parts)
