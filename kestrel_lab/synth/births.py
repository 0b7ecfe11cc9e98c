"""The processes that begin in a window: jobs drawn, their times, images and the events that begin and end them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kestrel_lab.synth import acts, jobs
from kestrel_lab.synth import programs as p
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.dice import I64, U64, Array, Dice, below, sixteen
from kestrel_lab.synth.events import Events
from kestrel_lab.synth.images import LINKS, Images, Slots

_KIND, _LASTS, _PROGRAM, _CALL, _PLACE, _PERSON = range(201, 207)
#: pids go round as the kernel's do
FIRST_PID, LAST_PID = 2_000, 4_194_303
_INHERITED = ("user", "container", "terminal", "entry_type", "group_leader", "session_leader", "entry_leader")
_OF_IMAGE = ("program", "call", "extra", "fresh", "folder", *_INHERITED)
_SSHD = 3


@dataclass(frozen=True)
class Births:
    """Processes of a window.

    Attributes:
        number: of the process in the recording; `key` what is drawn from for it.
        row: its row of the table of jobs; `forked`, `since` (when it execs, or forks), `end` boot ns.
        image: the slot of its last image.
        execs, net: whether it execs, whether it opens connections.
        story: whether it belongs to a planted story.
        base: the slot of the standing process it descends from.
        start, lasts: of its job, ns.
    """

    number: U64
    key: U64
    row: I64
    forked: I64
    since: I64
    end: I64
    image: Slots
    execs: Array
    net: Array
    story: Array
    base: Slots
    start: I64
    lasts: I64

    def __len__(self) -> int:
        return len(self.number)


def draw_jobs(dice: Dice, keys: U64, count: int) -> Array:
    """Return kinds of jobs that have `count` processes in all; `keys` are at least as many."""
    kinds = jobs.JOB_WHEEL.spin(dice.draw(keys[:count], _KIND))
    sums = np.cumsum(jobs.SIZES[kinds])
    whole = int(np.searchsorted(sums, count, "right"))
    rest = count - (int(sums[whole - 1]) if whole else 0)
    return np.concatenate([kinds[:whole], np.zeros(rest, kinds.dtype)])


def bear(
    dice: Dice, images: Images, kinds: Array, keys: U64, starts: I64, limit: I64, first_number: int
) -> Births:  # fmt: skip
    """Make the processes of some jobs, and their images.

    Args:
        kinds, keys, starts: of each job: its kind, what it is drawn from, when it begins.
        limit: how long each may last at most, ns.
        first_number: of the first process.
    """
    bits = dice.draw(keys, _LASTS)
    lasts = np.zeros(len(kinds), np.int64)
    base = np.zeros(len(kinds), np.int64)
    place = dice.draw(keys, _PLACE)
    for kind in np.unique(kinds).tolist():
        mine = kinds == kind
        lasts[mine] = jobs.LASTS[kind].draw(bits[mine]) + sixteen(bits[mine], 0).astype(np.int64)
        places = jobs.PLACES[jobs.ALL[kind].of]
        base[mine] = places[below(place[mine], len(places))]
    lasts = np.maximum(np.minimum(lasts, limit), jobs.LEAST_NS)
    sizes = jobs.SIZES[kinds]
    job = np.repeat(np.arange(len(kinds)), sizes)
    inside = np.arange(len(job)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row = jobs.FIRST_ROWS[kinds][job] + inside
    times = starts[job, None] + lasts[job, None] * jobs.ROW_TIMES[row] // 1000
    execs = jobs.ROW_EXECS[row]
    number = (first_number + np.arange(len(row))).astype(np.uint64)
    first = images.size
    image = first + 2 * np.arange(len(row)) + execs
    found = Births(
        number, dice.draw(number, _PROGRAM), row, times[:, 0], np.where(execs, times[:, 1], times[:, 0]), times[:, 2],
        image, execs, jobs.ROW_NET[row], kinds[job] >= jobs.FIRST_STORY, base[job], starts[job], lasts[job],
    )  # fmt: skip
    above = jobs.ROW_PARENT[row]
    of_job = image[np.arange(len(row)) - inside + np.maximum(above, 0)]
    parent = np.where(above < 0, base[job], of_job)
    _add_images(dice, images, found, parent, inside == 0, dice.draw(keys, _PERSON)[job])
    return found


def _add_images(
    dice: Dice, images: Images, born: Births, parent: Slots, leads_group: Array, person: U64
) -> None:  # fmt: skip
    """Append two slots a process: the image its fork makes, and the one its exec makes (unused if there is none)."""
    count = len(born)
    last = [np.where(born.execs, born.since, born.end), np.where(born.execs, born.end, -1)]
    forked = images.append(2 * count, {
        "number": np.repeat(born.number, 2),
        "pid": np.repeat(FIRST_PID + born.number % np.uint64(LAST_PID - FIRST_PID), 2),
        "start_ns": np.repeat(born.forked, 2), "parent": np.repeat(parent, 2), "real_parent": np.repeat(parent, 2),
        "extra": -1, "last_ns": np.stack(last, 1).ravel(),
    }) + 2 * np.arange(count)  # fmt: skip
    bits = dice.draw(born.key, _CALL)
    program = jobs.ROW_PROGRAM[born.row]
    program = np.where(program == -1, jobs.COMMAND_WHEEL.spin(bits, 0), program)
    program = np.where(program == -2, jobs.FIRST_NET + jobs.NET_WHEEL.spin(bits, 0), program)
    depth = jobs.ROW_DEPTH[born.row]
    for level in range(int(depth.max(initial=-1)) + 1):
        at = depth == level
        images.copy(forked[at], parent[at], _OF_IMAGE)
        images["exec_seq"][forked[at]] = images["exec_seq"][parent[at]]
        _lead(images, forked[at & leads_group], "group_leader")
        at &= born.execs
        image = forked[at] + 1
        images.copy(image, forked[at], _INHERITED)
        images["exec_seq"][image] = images["exec_seq"][forked[at]] + 1
        images["previous"][image] = forked[at]
        images["program"][image], images["fresh"][image] = program[at], 0
        images["call"][image] = t.FIRST_CALLS[program[at]] + below(bits[at] >> np.uint64(16), t.CALLS[program[at]])
        open_ended = t.OPEN_ENDED[program[at]]
        images["extra"][image] = np.where(open_ended, t.EXTRA_WHEEL.spin(bits[at], 2), -1)
        images["folder"][image] = below(bits[at] >> np.uint64(40), len(t.FOLDER_OF_WORK.values))
        _lead(images, image[leads_group[at]], "group_leader")
        _log_in(images, image, jobs.ROW_LEADS[born.row[at]], person[at])


def _lead(images: Images, slots: Slots, link: str) -> None:
    images[link][slots] = slots


def _log_in(images: Images, image: Slots, leads: Array, person: U64) -> None:
    slots = image[leads]
    for link in LINKS[3:]:
        _lead(images, slots, link)
    images["user"][slots] = p.FIRST_PERSON + below(person[leads], p.PERSONS)
    images["entry_type"][slots] = _SSHD
    images["terminal"][slots] = 1 + below(person[leads] >> np.uint64(20), 40)


def events_of(born: Births) -> Events:
    """Return the events that begin, replace and end the processes."""
    first = born.image - born.execs

    def some(action: int, ts: I64, slot: Slots, which: Array) -> Events:
        columns: dict[str, Array] = {
            "ts": ts,
            "slot": slot,
            "key": born.key,
            "action": np.full(len(born), action, np.uint8),
        }
        return Events.of(int(which.sum()), {
            "kind": acts.OF_PROCESS, **{name: values[which] for name, values in columns.items()},
        })  # fmt: skip

    every = np.ones(len(born), np.bool_)
    return Events.joined([
        some(acts.FORK, born.forked, first, every), some(acts.EXEC, born.since, born.image, born.execs),
        some(acts.END, born.end, born.image, every),
    ])  # fmt: skip
