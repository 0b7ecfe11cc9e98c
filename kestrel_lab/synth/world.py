"""The synthetic machine: window after window of its events, in order, and the images they refer to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kestrel_lab.synth import acts, births, deeds, jobs, stories
from kestrel_lab.synth import programs as p
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.births import Births
from kestrel_lab.synth.clock import START_BOOT_NS, Clock
from kestrel_lab.synth.deeds import Window
from kestrel_lab.synth.dice import U64, Array, Dice
from kestrel_lab.synth.events import Events
from kestrel_lab.synth.images import FOR_EVER, Images
from kestrel_lab.synth.options import EVENTS_PER_PROCESS, EVENTS_PER_STORY, SynthOptions

#: events that are made together; none of their processes outlives `LONGEST` such windows
WINDOW = 65_536
LONGEST = 4
_START, _CHOSEN = 401, 402
#: keys of jobs, of chains and of stories never meet
_CHAIN_KEYS, _STORY_KEYS = 1 << 62, 1 << 61
_PRECISION_ITERATOR = 1
_BOOTED_NS = 1_000_000


class World:
    """Makes the events of one recording. Memory holds one window, and what of earlier ones goes on."""

    def __init__(self, options: SynthOptions) -> None:
        self._options, self.dice = options, Dice(options.seed)
        self._clock = Clock(self.dice, round(options.duration_s * 1e9))
        self.images = Images()
        self._windows = -(-options.events // WINDOW)
        self._made = self._jobs = self._chains = self._stories = self._fresh = 0
        self._processes = 0  # without those of stories
        self._number = len(p.STANDING)
        self._waiting = Events.of(0, {})
        even = [(2 * i + 1) * round(options.duration_s * 1e9) // (2 * options.alerts) for i in range(options.alerts)]
        self._told = self._clock.share_at(np.array(even, np.int64) + START_BOOT_NS)
        self._stand()

    def windows(self) -> Iterator[Events]:
        """Yield the events in order of time, in runs of about a window; `images` is right until the next is asked for.

        An image's `ref` and `first_event_id` are its reader's to set.
        """
        for number in range(self._windows):
            last = number == self._windows - 1
            made = Events.joined([self._waiting, self._window(number)])
            ready = np.ones(len(made), np.bool_)
            until = FOR_EVER
            if not last:
                until = self._clock.at_one((number + 1) / self._windows)
                ready = made["ts"] < until
            now = made.take(ready)
            self._waiting = made.take(~ready)
            if len(now):
                yield now.take(np.argsort(now["ts"], kind="stable"))
            moved = self.images.compact(until)
            self._waiting.columns["slot"] = moved[self._waiting["slot"]]

    def _stand(self) -> None:
        """Make the processes that run all the time; the slot of each is its place."""
        count = len(p.STANDING)
        places = np.arange(count)
        program = np.array([jobs.PROGRAMS.index(standing[0]) for standing in p.STANDING])
        what = [standing[3] for standing in p.STANDING]
        parent = np.array([standing[1] for standing in p.STANDING])
        kinds = {"init": 1, "kernel": 2, "shell": 3, "container": 4}
        entry = np.array([kinds.get(w, 1) for w in what])
        leads = np.isin(entry, (3, 4)) | (places < 2)
        self.images.append(count, {
            "number": places, "pid": np.where(places < 2, places + 1, 300 + places), "precision": _PRECISION_ITERATOR,
            "start_ns": _BOOTED_NS * (1 + places), "parent": parent, "real_parent": parent, "program": program,
            "call": t.FIRST_CALLS[program], "extra": -1, "user": np.array([standing[2] for standing in p.STANDING]),
            "container": entry == 4, "entry_type": entry, "last_ns": FOR_EVER, "group_leader": places,
            "session_leader": places, "entry_leader": np.where(leads, places, np.maximum(entry - 1, 0) % 2),
            "terminal": np.where(entry == 3, places, 0), "exec_seq": np.where(entry == 2, 0, 1),
        })  # fmt: skip

    def _window(self, number: int) -> Events:
        """Make the events of processes that begin in a window, and of what else is done in it."""
        options, count = self._options, self._windows
        until = options.events * (number + 1) // count
        first, last = number / count, (number + 1) / count
        begin, end = self._clock.at_one(first), self._clock.at_one(last)
        window = Window(first, last, begin, min(LONGEST * (end - begin), max(self._clock.end_ns - begin, 0)))
        born = self._bear(window, until)
        events = [births.events_of(born), deeds.story_events(born)]
        left = max(min(until, self._room()) - self._made - sum(map(len, events)), 0)
        keys = np.arange(self._chains, self._chains + left).astype(np.uint64) + np.uint64(_CHAIN_KEYS)
        chains = deeds.draw_chains(self.dice, self._clock, window, keys, left, born)
        self._chains += len(chains.kind)
        fresh_args, fresh = self._choose_fresh(born, chains, until)
        self.images["fresh"][born.image] = fresh_args
        self.images["extra"][born.image[fresh_args > 0]] = -1
        events.append(deeds.events_of(chains, fresh))
        self._made += sum(map(len, events))
        return Events.joined(events)

    def _room(self) -> int:
        """Return how many events there may be by now, so that all processes and stories to come find room."""
        options = self._options
        processes, told = options.process_count - self._processes, options.alerts - self._stories
        return options.events - EVENTS_PER_PROCESS * processes - EVENTS_PER_STORY * told

    def _bear(self, window: Window, until: int) -> Births:
        options = self._options
        # As many in each window as its share of the events, so that fork, exec and end of each fit among them.
        wanted = until * options.process_count // options.events - self._processes
        keys = np.arange(self._jobs, self._jobs + wanted).astype(np.uint64)
        kinds = births.draw_jobs(self.dice, keys, wanted)
        self._jobs, self._processes = self._jobs + len(kinds), self._processes + wanted
        keys = keys[: len(kinds)]
        usual = window.starts(self._clock, self.dice.draw(keys, _START))
        told = range(self._stories, int(np.searchsorted(self._told, window.last)))
        self._stories = told.stop
        own = window.at(self._clock, self._told[told.start : told.stop])
        kinds = np.concatenate([kinds, [jobs.FIRST_STORY + number % len(stories.STORIES) for number in told]])
        keys = np.concatenate([keys, np.array(told, np.uint64) + np.uint64(_STORY_KEYS)])
        starts = np.concatenate([usual, own])
        limit = np.minimum(window.longest_ns, self._clock.end_ns - starts)
        # A story is as long as it is: the pauses in it are what rules look at.
        limit[len(usual) :] = 10**10
        born = births.bear(self.dice, self.images, kinds.astype(np.int64), keys, starts, limit, self._number)
        self._number += len(born)
        return born

    def _choose_fresh(self, born: Births, chains: deeds.Chains, until: int) -> tuple[U64, U64]:
        """Return the number of the fresh string that each process and each chain brings, 0 for none."""
        able_born = np.flatnonzero(born.execs & ~born.story & t.OPEN_ENDED[self.images["program"][born.image]])
        able = np.flatnonzero(acts.FRESH[chains.kind])
        able = able[~_cut_rename(chains, able)]
        wanted = int(until * self._options.fresh) - self._fresh
        bits = np.concatenate([self.dice.draw(born.number[able_born], _CHOSEN),
                               self.dice.draw(chains.key[able], _CHOSEN)])  # fmt: skip
        chosen = np.arange(len(bits))
        if wanted < len(bits):
            chosen = np.flatnonzero(bits < np.partition(bits, wanted)[wanted])
        numbers = np.zeros(len(bits), np.uint64)
        numbers[chosen] = self._fresh + 1 + np.arange(len(chosen), dtype=np.uint64)
        self._fresh += len(chosen)
        of_born, of_chains = np.zeros(len(born), np.uint64), np.zeros(len(chains.kind), np.uint64)
        of_born[able_born], of_chains[able] = numbers[: len(able_born)], numbers[len(able_born) :]
        return of_born, of_chains


def _cut_rename(chains: deeds.Chains, which: Array) -> Array:
    """Return which chains end in a rename that was cut off: the fresh name would never come."""
    kind = chains.kind[which]
    renames: Array = acts.ACTIONS[kind, acts.LENGTHS[kind] - 1] == acts.RENAME
    return np.logical_and(renames, chains.length[which] < acts.LENGTHS[kind])
