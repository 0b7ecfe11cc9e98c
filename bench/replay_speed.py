"""Replay throughput of the starter pack, in both modes, on at least five million events tiled from a real recording."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import tools
from bench.tile import tiled

EVENTS = 5_000_000
MIX_S = 20


def record_mix(folder: Path, seconds: int) -> Path:
    """Record `seconds` of compilers, shells, file churn and loopback connections; return the recording."""
    out, work = folder / "mix.krec", folder / "work"
    work.mkdir()
    script = '"$0" "$1" "$2" & sh "$3" "$4" "$2" "$5"; wait'
    mix: list[Any] = ["sh", "-c", script, sys.executable, tools.HERE / "connect.py", str(seconds)]
    mix += [tools.HERE / "mix.sh", work, tools.HERE / "storm.c"]
    command = [tools.KESTREL, "record", "-o", out, "--no-rules", "--", *mix]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(work)
    return out


def tile(mix: Path, out: Path, events: int) -> int:
    """Write a recording of at least `events` events tiled from `mix`; return how many it has."""
    from kestrel_lab.recording import RecordingWriter, open_recording
    from kestrel_lab.schema.epoch import Ledger

    source = open_recording(mix)
    base = list(source.epochs())
    if base[-1].segment.index:
        raise RuntimeError("the mix has more than one segment; record a shorter one")
    writer = RecordingWriter(out, source.info, {"made": "tiled from a recording"})
    written = 0
    for epoch in tiled(base, events):
        writer.commit(epoch)
        written += epoch.rows
    writer.close(Ledger(seen=written, received=written, written=written))
    return written


def replay(recording: Path, mode: str, workers: int) -> dict[str, Any]:
    """Replay with the starter pack in a process of its own; return its summary and its memory, bytes."""
    from kestrel_lab.schema.resources import resource

    command: list[Any] = [
        tools.KESTREL,
        "replay",
        recording,
        "--rules",
        resource("rules"),
        "--mode",
        mode,
        "--format",
        "ndjson",
    ]
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.PIPE)
    watch = tools.Watch(process.pid)
    assert process.stdout
    last = b""
    for line in process.stdout:
        last = line
    code, cpu_s = tools.reap(process)
    watch.stop()
    if code:
        raise RuntimeError(f"replay failed with {code}")
    found = json.loads(last)
    kept = {k: found[k] for k in ("digest", "alerts", "events", "epochs", "evaluations", "mode", "seconds")}
    return kept | {
        "workers": workers, "cpu_s": cpu_s, "peak": sum(watch.peaks.values()),
        "resident_at": {str(share): watch.at(share) for share in (0.25, 0.5, 0.75, 1.0)},
    }  # fmt: skip


def measure(events: int = EVENTS, mix_s: int = MIX_S) -> dict[str, Any]:
    """Record the mix, tile it, replay it: live and deterministic, 1 and 2 workers."""
    from kestrel_lab.engine import load_pack
    from kestrel_lab.schema.resources import resource

    pack = load_pack([resource("rules")])
    with tempfile.TemporaryDirectory(dir=tools.HERE) as folder:
        mix = record_mix(Path(folder), mix_s)
        long = Path(folder) / "long.krec"
        written = tile(mix, long, events)
        runs = [replay(long, mode, workers) for mode in ("live", "deterministic") for workers in (1, 2)]
        size = tools.size_of(long)
    if len({run["digest"] for run in runs}) != 1:
        raise RuntimeError(f"digests differ: {runs}")
    kinds = [rule.program.kind for rule in pack.rules]
    return {
        "events": written, "bytes": size, "rules": len(kinds), "sequences": kinds.count("sequence"), "runs": runs,
    }  # fmt: skip


def _row(run: dict[str, Any]) -> list[str]:
    resident = run["resident_at"]
    return [
        run["mode"], str(run["workers"]), f"{run['events'] / run['seconds']:,.0f}",
        f"{run['evaluations'] / run['events']:.2f}", f"{run['alerts']:,}",
        " / ".join(f"{resident[share] / 1e6:.0f}" for share in ("0.25", "0.5", "1.0")), f"{run['peak'] / 1e6:.0f}",
    ]  # fmt: skip


def show(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    head = ("mode", "workers", "events/s", "rule evaluations/event", "alerts", "resident MB at 25/50/100 %", "peak MB")
    first = (
        f"{found['events']:,} events, {found['bytes'] / found['events']:.1f} bytes an event on disk, "
        f"{found['rules']} rules, {found['sequences']} of them sequences."
    )
    return f"{first}\n\n{tools.table(head, [_row(run) for run in found['runs']])}"


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("replay", found)
