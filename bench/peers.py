"""The same storm bare, under kestrel-lab, perf and bpftrace, in turn: slowdown, loss, bytes an event, CPU, memory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from bench import tools

ACTS = 1_000_000
FILES = 1_000
ROUNDS = 5
_READY_S = 60


@dataclass(frozen=True, slots=True)
class Place:
    """What a recorder needs to know: the storm to scope to, and where to write."""

    storm: tools.Storm
    group: Path
    out: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """One recorder.

    Attributes:
        command: its command line for a place.
        ready: text in its log, or in the file it writes, once it records.
        count: (events written, events it says it lost or -1), from its output.
        per_act: events that it should have written for each act of the storm.
    """

    command: Callable[[Place], list[str]]
    ready: str
    count: Callable[[Place], tuple[int, int]]
    per_act: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One storm under one recorder; sizes in bytes, times in seconds; CPU is from ready to the recorder's end."""

    storm_s: float
    events: int = 0
    said_lost: int = 0
    out_bytes: int = 0
    cpu_s: float = 0.0
    resident: int = 0
    anonymous: int = 0
    peak: int = 0


def _kestrel(*more: str) -> Callable[[Place], list[str]]:
    return lambda at: [
        tools.KESTREL, "record", "-o", str(at.out), "--cgroup", str(at.group), "--format", "ndjson", *more,
    ]  # fmt: skip


def _count_kestrel(at: Place) -> tuple[int, int]:
    """Count the file rows of the recording itself; its ledger says what was lost."""
    from kestrel_lab.recording import open_recording

    recording = open_recording(at.out)
    rows = sum(len(e.tables["file"]) for e in recording.epochs() if "file" in e.tables)
    ledger = recording.ledger
    assert ledger is not None
    return rows, ledger.lost_ring + ledger.lost_user + ledger.recursion


def _perf(*events: str) -> Callable[[Place], list[str]]:
    chosen = [word for event in events for word in ("-e", event)]
    return lambda at: ["perf", "record", *chosen, "-p", str(at.storm.pid), "-o", str(at.out)]


def _count_perf(at: Place) -> tuple[int, int]:
    stats = subprocess.run(["perf", "report", "--stats", "-i", at.out], capture_output=True, text=True, check=True)
    samples = re.search(r"^\s*SAMPLE events:\s+(\d+)", stats.stdout, re.M)  # all events; those of each follow
    return int(samples[1]) if samples else 0, -1


def _bpftrace(at: Place) -> list[str]:
    script = (
        f"tracepoint:syscalls:sys_enter_openat /pid == {at.storm.pid}/ "
        '{ printf("%llu %d %d %s %s\\n", nsecs, cpu, pid, comm, str(args->filename)); }'
    )
    return ["bpftrace", "-o", str(at.out), "-e", script]


def _count_bpftrace(at: Place) -> tuple[int, int]:
    with at.out.open("rb") as lines:
        rows = sum(b"/file-" in line for line in lines)
    return rows, sum(map(int, re.findall(r"Lost (\d+) events", at.log.read_text(errors="replace"))))


PEERS: dict[str, Peer | None] = {
    "bare": None,
    "kestrel-lab record --no-rules": Peer(_kestrel("--no-rules"), "recording into", _count_kestrel),
    "kestrel-lab record, starter pack": Peer(_kestrel(), "recording into", _count_kestrel),
    "perf record -e syscalls:sys_enter_openat": Peer(_perf("syscalls:sys_enter_openat"), "", _count_perf),
    "perf record -e raw_syscalls:sys_enter,sys_exit": Peer(
        _perf("raw_syscalls:sys_enter", "raw_syscalls:sys_exit"), "", _count_perf, per_act=4
    ),
    "bpftrace -e tracepoint:syscalls:sys_enter_openat": Peer(_bpftrace, "Attach", _count_bpftrace),
}


def _available() -> dict[str, Peer | None]:
    return {n: p for n, p in PEERS.items() if n.split()[0] in ("bare", "kestrel-lab") or shutil.which(n.split()[0])}


def _wait_ready(process: subprocess.Popen[bytes], peer: Peer, at: Place) -> None:
    end = time.monotonic() + _READY_S
    while not any(p.is_file() and peer.ready in p.read_text(errors="replace") for p in (at.log, at.out)):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the recorder did not start: {at.log.read_text(errors='replace')}")
        time.sleep(0.05)
    time.sleep(1.0)


def run_one(peer: Peer | None, program: Path, files: Path, folder: Path, acts: int) -> Run:
    """Run one storm, under a recorder if there is one."""
    with tools.cgroup() as group, tools.Storm(program, files, FILES, acts, group) as storm:
        if peer is None:
            storm.go()
            return Run(storm.join())
        at = Place(storm, group, folder / "out.krec", folder / "log")
        with at.log.open("wb") as log:
            return _recorded(peer, at, log)


def _recorded(peer: Peer, at: Place, log: IO[bytes]) -> Run:
    process = subprocess.Popen(peer.command(at), stdout=log, stderr=log)
    _wait_ready(process, peer, at)
    before = tools.cpu_seconds(process.pid)
    watch = tools.Watch(process.pid)
    at.storm.go()
    storm_s = at.storm.join()
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)  # perf has ended with the storm; Popen would reap it and lose its usage
    _, cpu_s = tools.reap(process)
    watch.stop()
    events, said_lost = peer.count(at)
    seen = watch.figures()
    sizes = (seen["resident"], seen["anonymous"], seen["peak"])
    return Run(storm_s, events, said_lost, tools.size_of(at.out), cpu_s - before, *sizes)


def measure(rounds: int = ROUNDS, acts: int = ACTS) -> dict[str, Any]:
    """Run every recorder in turn, `rounds` times, and return all runs."""
    peers = _available()
    runs: dict[str, list[Run]] = {name: [] for name in peers}
    with tempfile.TemporaryDirectory(dir=tools.HERE) as folder:
        program = tools.build_storm(Path(folder))
        files = tools.make_files(Path(folder) / "d", FILES)
        for _ in range(rounds):
            for name, peer in peers.items():
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    runs[name].append(run_one(peer, program, files, Path(own), acts))
                print(".", end="", flush=True)
    print()
    return {
        "acts": acts, "rounds": rounds, "per_act": {name: peer.per_act for name, peer in peers.items() if peer},
        "runs": {name: [asdict(run) for run in found] for name, found in runs.items()},
    }  # fmt: skip


def _row(name: str, found: dict[str, Any]) -> list[str]:
    def median(value: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(map(value, runs))

    acts, runs, bare = found["acts"], found["runs"][name], found["runs"]["bare"]
    slowdown = statistics.median(r["storm_s"] / b["storm_s"] for r, b in zip(runs, bare, strict=True))
    shown = [name, f"{slowdown:.2f}", f"{median(lambda r: acts / r['storm_s']):,.0f}"]
    if name == "bare":
        return [*shown, "", "", "", "", ""]
    due = acts * found["per_act"][name]
    lost = median(lambda r: max(due - r["events"], 0))
    return [
        *shown, f"{lost:,.0f} ({100 * lost / due:.2f} %)", f"{median(lambda r: r['out_bytes'] / r['events']):.1f}",
        f"{median(lambda r: r['cpu_s']):.2f}", f"{median(lambda r: r['resident']) / 1e6:.0f}",
        f"{median(lambda r: r['anonymous']) / 1e6:.0f}",
    ]  # fmt: skip


def show(found: dict[str, Any]) -> str:
    """Return the medians as a Markdown table."""
    head = (
        "under",
        "slowdown",
        "acts/s",
        "events lost",
        "bytes/event",
        "CPU s",
        "resident MB",
        "anonymous MB",
    )
    return tools.table(head, [_row(name, found) for name in found["runs"]])


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("peers", found)
