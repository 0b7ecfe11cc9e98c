"""From the kernel's timestamp of an act to the printed alert, while the recorder handles a steady load."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import tools

RATE = 20_000
SECONDS = 30
FILES = 1_000
ACTS_PER_S = 20
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "elastic_linux_eql_sample.json"

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


def measure(rate: int = RATE, seconds: int = SECONDS, rules: Path | None = None, fresh: int = 0) -> dict[str, Any]:
    """Record with rules and the canary rule under `rate` events a second; return latencies in ms.

    Args:
        rules: the starter pack if none are named.
        fresh: of a thousand events so many bring a string that is new.
    """
    from kestrel_lab.recording import open_recording
    from kestrel_lab.schema.resources import resource

    with tempfile.TemporaryDirectory(dir=tools.HERE) as name, tools.cgroup() as group:
        folder = Path(name)
        rule, out = folder / "canary.toml", folder / "out.krec"
        rule.write_text(RULE)
        program, files = tools.build_storm(folder), tools.make_files(folder / "d", FILES)
        with tools.Storm(program, files, FILES, rate * seconds, group, rate, fresh) as storm:
            found, before, storm_s, cpu_s = list[float](), 0.0, 0.0, 0.0
            command: list[Any] = [tools.KESTREL, "record", "-o", out, "--rules", rules or resource("rules")]
            command += ["--rules", rule, "--alerts", "-"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert process.stderr
            while b"recording into" not in (line := process.stderr.readline()):
                if not line:
                    raise RuntimeError("the recorder did not start")
            reader = threading.Thread(target=_latencies, args=(process, found))
            reader.start()
            drain = threading.Thread(target=process.stderr.read)
            drain.start()
            before = tools.cpu_seconds(process.pid)
            storm.go()
            time.sleep(1)
            with _acting(folder):
                storm_s = storm.join()
            cpu_s = tools.cpu_seconds(process.pid) - before
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            reader.join()
            drain.join()
            process.wait()
        recording = open_recording(out)
        ledger = recording.ledger
        assert ledger is not None
    skipped = sum(s.last_epoch - s.first_epoch + 1 for s in recording.skips)
    quantiles = dict(zip(("p50", "p90", "p99", "max"), np.percentile(found, (50, 90, 99, 100)).tolist(), strict=True))
    return {
        "events_per_s": rate * seconds / storm_s, "alerts": len(found), "ms": quantiles, "all_ms": found,
        "lost": ledger.lost_ring + ledger.lost_user, "skipped": skipped,
        "cpu": cpu_s / storm_s, "fresh": fresh, "rules": "starter pack" if rules is None else rules.name,
    }  # fmt: skip


def show(runs: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a Markdown table."""
    head = ("rules", "load, events/s", "new strings", "alerts", "events lost", "epochs skipped", "CPU, cores",
            "p50 ms", "p90 ms", "p99 ms", "max ms")  # fmt: skip
    rows = [
        [r["rules"], f"{r['events_per_s']:,.0f}", f"{r['fresh'] / 10:.0f} %", str(r["alerts"]), str(r["lost"]),
         str(r["skipped"]), f"{r['cpu']:.2f}", *(f"{r['ms'][q]:.0f}" for q in ("p50", "p90", "p99", "max"))]
        for r in runs
    ]  # fmt: skip
    return tools.table(head, rows)


def main() -> None:
    """Measure, print and keep: the starter pack under a usual load, the public sample of rules under a heavy one."""
    runs = [measure()]
    if SAMPLE.exists():
        runs.append(measure(100_000, 30, SAMPLE, 30))
    print(show(runs))
    tools.keep("latency", {"runs": runs})
