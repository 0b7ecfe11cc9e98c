"""Synthetic load: what making events costs, with and without writing them, and whether memory stays flat."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import tools

SIZES = (1_000_000, 10_000_000)
#: alone, without a writer
_MAKE = """
import sys, time
from kestrel_lab.synth import SynthOptions, SyntheticSource
began = time.process_time()
rows = sum(epoch.rows for epoch in SyntheticSource(SynthOptions(events=int(sys.argv[1]))).epochs())
print((time.process_time() - began) / rows)
"""
_ROUNDS = 3


def making(events: int) -> float:
    """Return the least CPU seconds an event costs to make, of a few processes that write nothing."""
    command = [sys.executable, "-c", _MAKE, str(events)]
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(_ROUNDS))


def writing(events: int) -> dict[str, Any]:
    """Write a synthetic recording in a process of its own; return seconds, CPU seconds, bytes, memory in bytes."""
    with tempfile.TemporaryDirectory(dir=tools.HERE) as folder:
        out = Path(folder) / "synthetic.krec"
        began = time.monotonic()
        command: list[Any] = [tools.KESTREL, "synth", "-o", out, "--events", str(events)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch = tools.Watch(process.pid)
        code, cpu_s = tools.reap(process)
        seconds = time.monotonic() - began
        watch.stop()
        if code:
            raise RuntimeError(f"synth failed with {code}")
        size = tools.size_of(out)
    return {"events": events, "seconds": seconds, "cpu_s": cpu_s, "bytes": size, **watch.figures()}


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Measure each size."""
    return {"runs": [writing(events) | {"making_s": making(events)} for events in sizes]}


def show(found: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    head = (
        "events", "events/s", "CPU µs/event", "of them making, µs", "bytes/event", "resident MB at 10/25/50/75/95 %",
        "peak MB",
    )  # fmt: skip
    rows = [
        [
            f"{run['events']:,}", f"{run['events'] / run['seconds']:,.0f}", f"{run['cpu_s'] / run['events'] * 1e6:.2f}",
            f"{run['making_s'] * 1e6:.2f}", f"{run['bytes'] / run['events']:.1f}",
            tools.megabytes(run["resident_at"]), tools.megabytes([run["peak"]]),
        ]
        for run in found["runs"]
    ]  # fmt: skip
    return tools.table(head, rows)


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("synth", found)
