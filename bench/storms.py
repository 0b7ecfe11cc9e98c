"""Storms of 30 s, as fast as one core makes them: what was done is what was written, filtered and lost, exactly."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import tools

SECONDS = 30
FILES = 1_000
#: rows that each act makes, by action
EXEC = {"fork": 1, "exec": 1, "end": 1}
CONNECT = {"connection_attempted": 1, "connection_result": 1, "connection_accepted": 1, "disconnect_received": 2}
OPEN = {"open": 1}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm did and what became of it."""

    acts: int
    seconds: float
    rows: Mapping[str, int]
    lost: Mapping[str, int]
    closes: bool
    bytes: int
    own: int = 0  #: rows of these kinds that the program makes itself: its end


def _recorded(group: Path, out: Path, act: Callable[[], tuple[int, float]], own: int = 0) -> Outcome:
    from kestrel_lab.recording import open_recording

    command: list[Any] = [tools.KESTREL, "record", "-o", out, "--no-rules", "--cgroup", group]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    while b"recording into" not in (line := process.stderr.readline()):
        if not line:
            raise RuntimeError("the recorder did not start")
    acts, seconds = act()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    recording = open_recording(out)
    names = {action.code: action.name for action in recording.info.schema.actions}
    rows, lost = Counter[str](), Counter[str]()
    for epoch in recording.epochs():
        for table in epoch.tables.values():
            rows.update(names[code] for code in table.column("action").tolist())
    for gap in recording.gaps:
        if gap.cause == "lost_ring":
            lost[gap.source] += gap.count
    ledger = recording.ledger
    assert ledger is not None
    return Outcome(acts, seconds, rows, lost, ledger.closes and sum(lost.values()) == ledger.lost_ring,
                   tools.size_of(out), own)  # fmt: skip


def _acts(folder: Path, kind: str, seconds: int) -> Outcome:
    program = folder / "acts"
    subprocess.run(["gcc", "-O2", "-o", program, tools.HERE / "acts.c"], check=True)
    with tools.cgroup() as group:
        enter = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
        command: list[Any] = ["sh", "-c", enter, "sh", group, program, kind, str(seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def act() -> tuple[int, float]:
            began = time.monotonic()
            out, _ = process.communicate("go\n")
            return int(out), time.monotonic() - began

        return _recorded(group, folder / f"{kind}.krec", act, int(kind == "exec"))


def _opens(folder: Path, rate: int, seconds: int) -> Outcome:
    program, files = tools.build_storm(folder), folder / f"files-{rate}"
    tools.make_files(files, FILES)
    count = (rate or 500_000) * seconds
    with tools.cgroup() as group, tools.Storm(program, files, FILES, count, group, rate) as storm:

        def act() -> tuple[int, float]:
            storm.go()
            return count, storm.join()

        return _recorded(group, folder / f"open-{rate}.krec", act)


def measure(seconds: int = SECONDS) -> dict[str, tuple[Outcome, Mapping[str, int]]]:
    """Run every storm; return what became of it, and the rows that each act makes."""
    with tempfile.TemporaryDirectory(dir=tools.HERE) as name:
        folder = Path(name)
        return {
            "exec": (_acts(folder, "exec", seconds), EXEC),
            "connect": (_acts(folder, "connect", seconds), CONNECT),
            "open, 500,000/s": (_opens(folder, 500_000, seconds), OPEN),
            "open, as fast as it goes": (_opens(folder, 0, seconds), OPEN),
        }


def balance(found: Outcome, each: Mapping[str, int]) -> tuple[int, int, int]:
    """Return (rows that should be, rows that are, rows lost): the first is the sum of the others."""
    wanted = found.acts * sum(each.values()) + found.own
    return wanted, sum(found.rows[name] for name in each), sum(found.lost.values())


def show(storms: Mapping[str, tuple[Outcome, Mapping[str, int]]]) -> str:
    """Return the figures as a Markdown table."""
    rows = []
    for name, (found, each) in storms.items():
        wanted, written, lost = balance(found, each)
        rows.append([name, f"{found.acts:,}", f"{found.acts / found.seconds:,.0f}", f"{wanted:,}", f"{written:,}",
                     f"{lost:,}", "yes" if found.closes and wanted == written + lost else "NO",
                     f"{found.bytes / max(sum(found.rows.values()), 1):.1f}"])  # fmt: skip
    head = ("storm", "acts", "acts/s", "events", "written", "lost", "exactly", "bytes/event")
    return tools.table(head, rows)


def main() -> None:
    """Measure, print and keep; a balance that does not close is an error."""
    storms = measure()
    print(show(storms))
    kept = {name: {"acts": o.acts, "seconds": o.seconds, "rows": dict(o.rows), "lost": dict(o.lost), "bytes": o.bytes}
            for name, (o, _) in storms.items()}  # fmt: skip
    tools.keep("storms", kept)
    for name, (found, each) in storms.items():
        wanted, written, lost = balance(found, each)
        if not found.closes or wanted != written + lost:
            raise RuntimeError(f"{name}: {wanted} events, {written} written, {lost} lost")
