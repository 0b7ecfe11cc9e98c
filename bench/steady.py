"""Recording for minutes at a steady rate: what is lost, CPU, and whether memory stays flat."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import tools

RATE = 50_000
SECONDS = 120
FILES = 1_000


def measure(rate: int = RATE, seconds: int = SECONDS) -> dict[str, Any]:
    """Record a paced storm with the starter pack running; sizes in bytes."""
    from kestrel_lab.recording import open_recording

    with tempfile.TemporaryDirectory(dir=tools.HERE) as name, tools.cgroup() as group:
        folder = Path(name)
        out = folder / "out.krec"
        program, files = tools.build_storm(folder), tools.make_files(folder / "d", FILES)
        with tools.Storm(program, files, FILES, rate * seconds, group, rate) as storm:
            command: list[Any] = [tools.KESTREL, "record", "-o", out, "--cgroup", group]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            assert process.stderr
            while b"recording into" not in process.stderr.readline():
                time.sleep(0.01)
            time.sleep(2)
            watch, before = tools.Watch(process.pid, 0.5), tools.cpu_seconds(process.pid)
            storm.go()
            storm_s = storm.join()
            watch.stop()
            os.kill(process.pid, signal.SIGINT)
            _, cpu_s = tools.reap(process)
        ledger = open_recording(out).ledger
        assert ledger is not None
        size = tools.size_of(out)
    return {
        "events": ledger.written, "lost": ledger.lost_ring + ledger.lost_user, "seconds": storm_s, "bytes": size,
        "cpu_s": cpu_s - before, **watch.figures(),
    }  # fmt: skip


def show(found: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    head = (
        "events", "events/s", "lost", "bytes/event", "CPU, % of a core", "resident MB at 10/25/50/75/95 %",
        "anonymous MB", "peak MB, start included",
    )  # fmt: skip
    row = [
        f"{found['events']:,}", f"{found['events'] / found['seconds']:,.0f}", str(found["lost"]),
        f"{found['bytes'] / found['events']:.1f}", f"{100 * found['cpu_s'] / found['seconds']:.0f}",
        tools.megabytes(found["resident_at"]), tools.megabytes(found["anonymous_at"]), tools.megabytes([found["peak"]]),
    ]  # fmt: skip
    return tools.table(head, [row])


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("steady", found)
