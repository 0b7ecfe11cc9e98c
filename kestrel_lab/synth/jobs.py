"""Jobs: small trees of processes that begin together, as rows of one table of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kestrel_lab.synth import programs as p
from kestrel_lab.synth.dice import Spread, Wheel, zipf
from kestrel_lab.synth.programs import Program
from kestrel_lab.synth.stories import STORIES

MS, S = 1_000_000, 1_000_000_000
#: a job lasts at least this, so that its thousandths are microseconds
LEAST_NS = MS
#: rows that take their program from a wheel
ANY, NET = "any", "net"


@dataclass(frozen=True, slots=True)
class Row:
    """A process of a job.

    Attributes:
        program: what it execs, `ANY` or `NET` for one of many, None if it never does.
        parent: the row that forks it, -1 for the standing process that the job belongs to.
        fork, exec, end: when, in thousandths of the job's duration.
        leads: whether it begins a session, which is somebody's login.
    """

    program: Program | str | None
    parent: int
    fork: int
    exec: int
    end: int
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job: whose it is, how frequent, how long (quantiles, ns), its processes, parents before children."""

    of: str
    weight: float
    lasts: tuple[int, ...]
    rows: tuple[Row, ...]


_SHORT = (2 * MS, 3 * MS, 5 * MS, 9 * MS, 25 * MS, 80 * MS, 400 * MS, 3 * S, 60 * S)
_LONG = (200 * MS, S, 3 * S, 10 * S, 60 * S, 600 * S, 3_600 * S)


def _steps(parent: int, first: int, last: int, programs: Sequence[Program | str]) -> list[Row]:
    """Return processes of one parent that run one after the other."""
    width = (last - first) // len(programs)
    starts = [first + i * width for i in range(len(programs))]
    return [Row(program, parent, at, at + width // 4, at + width - 2)
            for at, program in zip(starts, programs, strict=True)]  # fmt: skip


#: the first kind is what fills up a number of processes: it has one
JOBS: tuple[Job, ...] = (
    Job("shell", 16, _SHORT, (Row(ANY, -1, 0, 60, 1000),)),
    Job("shell", 3, _SHORT, (Row(NET, -1, 0, 60, 1000),)),
    Job("shell", 8, _SHORT, (Row(ANY, -1, 0, 40, 900), Row(ANY, -1, 10, 50, 950), Row(ANY, -1, 20, 60, 1000))),
    Job("cron", 4, _SHORT, (Row(p.SHELL, -1, 0, 20, 1000), Row(ANY, 0, 100, 140, 900))),
    Job("cron", 2, _LONG, (Row(p.SHELL, -1, 0, 5, 1000), *_steps(0, 20, 600, [ANY, NET, ANY]),
                           Row(None, 0, 700, 0, 980), *_steps(4, 720, 970, [ANY]))),
    Job("shell", 4, _SHORT, (Row(p.MAKE, -1, 0, 10, 1000), Row(p.SHELL, 0, 30, 50, 980), Row(p.GCC, 1, 60, 80, 970),
                             Row(p.CC1, 2, 100, 120, 500), Row(p.AS, 2, 510, 520, 700),
                             Row(p.COLLECT2, 2, 720, 730, 960), Row(p.LD, 5, 750, 760, 940))),
    Job("shell", 3, _LONG, (Row(p.SHELL, -1, 0, 10, 1000), *_steps(0, 20, 990, [ANY] * 6))),
    Job("sshd", 1, _LONG, (Row(p.SSHD, -1, 0, 5, 1000), Row(p.BASH, 0, 10, 15, 990, leads=True),
                           *_steps(1, 20, 980, [ANY, ANY, NET, ANY, ANY, ANY, NET, ANY]))),
    Job("app", 3, _LONG, (Row(None, -1, 0, 0, 1000),)),
    Job("container", 2, _SHORT, (Row(p.SHELL, -1, 0, 40, 1000), Row(NET, 0, 100, 150, 900))),
)  # fmt: skip
_STORY_JOBS = tuple(
    Job(story.of, 0, (story.lasts, story.lasts), tuple(Row(r.program, -1, r.fork, r.exec, r.end) for r in story.rows))
    for story in STORIES
)
ALL = JOBS + _STORY_JOBS
FIRST_STORY = len(JOBS)

_FIXED = [row.program for job in ALL for row in job.rows if isinstance(row.program, Program)]
#: every program, each once; those of the wheels stand together
PROGRAMS: tuple[Program, ...] = tuple(
    dict.fromkeys([*p.COMMANDS, *p.NET_COMMANDS, *_FIXED, *(standing[0] for standing in p.STANDING)])
)
FIRST_NET = PROGRAMS.index(p.NET_COMMANDS[0])
COMMAND_WHEEL, NET_WHEEL = zipf(len(p.COMMANDS)), zipf(len(p.NET_COMMANDS))
JOB_WHEEL = Wheel([job.weight for job in JOBS])
LASTS = tuple(Spread(job.lasts) for job in ALL)

_ANY, _NET, _NONE = -1, -2, -3


def _number(program: Program | str | None) -> int:
    if program is None:
        return _NONE
    return PROGRAMS.index(program) if isinstance(program, Program) else {ANY: _ANY, NET: _NET}[program]


def _depths(job: Job) -> list[int]:
    found: list[int] = []
    for row in job.rows:
        found.append(0 if row.parent < 0 else found[row.parent] + 1)
    return found


SIZES = np.array([len(job.rows) for job in ALL])
FIRST_ROWS = np.cumsum(SIZES) - SIZES
_ROWS = [row for job in ALL for row in job.rows]
#: columns of all rows of all jobs
ROW_PROGRAM = np.array([_number(row.program) for row in _ROWS])
ROW_PARENT = np.array([row.parent for row in _ROWS])
ROW_TIMES = np.array([(row.fork, row.exec, row.end) for row in _ROWS], np.int64)
ROW_LEADS = np.array([row.leads for row in _ROWS])
ROW_EXECS = ROW_PROGRAM != _NONE
ROW_NET = ROW_PROGRAM == _NET
ROW_DEPTH = np.array([depth for job in ALL for depth in _depths(job)])

#: places of the standing processes by what they are for
_PURPOSES = [standing[3] for standing in p.STANDING]
PLACES = {what: np.array([i for i, w in enumerate(_PURPOSES) if w == what]) for what in dict.fromkeys(_PURPOSES)}
