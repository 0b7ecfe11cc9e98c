"""From the kernel's timestamp of an act to the printed alert, while the recorder handles a steady load."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import tools

RATE = 20_000
SECONDS = 30
FILES = 1_000
ACTS_PER_S = 20

RULE = """\
[rule]
rule_id = "bench-canary"
name = "Canary renamed"
severity = "low"
language = "eql"
type = "eql"
query = '''
file where event.action == "rename" and file.name like "canary-*.done"
'''
"""


def _canaries(folder: Path, stop: threading.Event) -> None:
    """Rename a file every so often; each rename must raise one alert."""
    number = 0
    while not stop.wait(1 / ACTS_PER_S):
        number += 1
        path = folder / f"canary-{number}"
        path.touch()
        path.rename(folder / f"canary-{number}.done")


@contextmanager
def _acting(folder: Path) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=_canaries, args=(folder, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _latencies(process: subprocess.Popen[bytes], found: list[float]) -> None:
    assert process.stdout
    for line in process.stdout:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        alert = json.loads(line)
        if alert.get("rule_id") == "bench-canary":
            found.append((now - alert["ts_boot_ns"]) / 1e6)


def measure(rate: int = RATE, seconds: int = SECONDS) -> dict[str, Any]:
    """Record with the starter pack and the canary rule under `rate` events a second; return latencies in ms."""
    from kestrel_lab.recording import open_recording
    from kestrel_lab.schema.resources import resource

    with tempfile.TemporaryDirectory(dir=tools.HERE) as name, tools.cgroup() as group:
        folder = Path(name)
        rule, out = folder / "canary.toml", folder / "out.krec"
        rule.write_text(RULE)
        program, files = tools.build_storm(folder), tools.make_files(folder / "d", FILES)
        with tools.Storm(program, files, FILES, rate * seconds, group, rate) as storm:
            command: list[Any] = [tools.KESTREL, "record", "-o", out, "--rules", resource("rules"), "--rules", rule]
            process = subprocess.Popen([*command, "--alerts", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert process.stderr
            while b"recording into" not in (line := process.stderr.readline()):
                if not line:
                    raise RuntimeError("the recorder did not start")
            found: list[float] = []
            reader = threading.Thread(target=_latencies, args=(process, found))
            reader.start()
            storm.go()
            time.sleep(1)
            with _acting(folder):
                storm_s = storm.join()
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            reader.join()
            process.communicate()
        ledger = open_recording(out).ledger
        assert ledger is not None
    quantiles = dict(zip(("p50", "p90", "p99", "max"), np.percentile(found, (50, 90, 99, 100)).tolist(), strict=True))
    return {
        "events_per_s": rate * seconds / storm_s, "alerts": len(found), "ms": quantiles, "all_ms": found,
        "lost": ledger.lost_ring + ledger.lost_user,
    }  # fmt: skip


def show(found: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    head = ("load, events/s", "alerts", "events lost", "p50 ms", "p90 ms", "p99 ms", "max ms")
    row = [f"{found['events_per_s']:,.0f}", str(found["alerts"]), str(found["lost"])]
    return tools.table(head, [[*row, *(f"{found['ms'][q]:.0f}" for q in ("p50", "p90", "p99", "max"))]])


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("latency", found)
