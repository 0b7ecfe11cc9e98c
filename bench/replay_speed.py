"""Replay throughput of the starter pack, in both modes, on five million events: as recorded, and tiled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import tools
from bench.tile import faster, tiled

EVENTS = 5_000_000
MIX_S = 20
#: how many times as fast as it was recorded the mix is tiled: 1 gives small epochs, 50 those of a flood
FACTORS = (1, 50)
FILES = 1_000


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


def record_flood(folder: Path, out: Path, acts: int, seconds: int) -> None:
    """Record `acts` opens of files as fast as they go, and the mix beside them."""
    program, files, work = tools.build_storm(folder), tools.make_files(folder / "files", FILES), folder / "work"
    work.mkdir()
    storm = 'echo | "$1" "$2" "$3" "$4" 0 >/dev/null & sh "$5" "$6" "$7" "$8"; wait'
    flood: list[Any] = ["sh", "-c", storm, "sh", program, files, FILES, acts, tools.HERE / "mix.sh", work, seconds]
    command = [tools.KESTREL, "record", "-o", out, "--no-rules", "--", *flood, tools.HERE / "storm.c"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    shutil.rmtree(work)


def tile(mix: Path, out: Path, events: int, factor: int) -> int:
    """Write at least `events` events tiled from `mix`, `factor` times as fast; return how many there are."""
    from kestrel_lab.recording import RecordingWriter, open_recording
    from kestrel_lab.schema.epoch import Ledger

    source = open_recording(mix)
    base = list(source.epochs())
    if base[-1].segment.index:
        raise RuntimeError("the mix has more than one segment; record a shorter one")
    writer = RecordingWriter(out, source.info, {"made": f"tiled from a recording, {factor} times as fast"})
    written = 0
    for epoch in tiled(faster(base, factor), events):
        writer.commit(epoch)
        written += epoch.rows
    writer.close(Ledger(seen=written, received=written, written=written))
    return written


def replay(recording: Path, mode: str, workers: int) -> dict[str, Any]:
    """Replay with the starter pack in a process of its own; return its summary and its memory, bytes."""
    from kestrel_lab.schema.resources import resource

    rules = resource("rules")
    command: list[Any] = [tools.KESTREL, "replay", recording, "--rules", rules, "--mode", mode, "--format", "ndjson"]
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
        "workers": workers, "cpu_s": cpu_s, **watch.figures(),
    }  # fmt: skip


def measure(events: int = EVENTS, mix_s: int = MIX_S) -> dict[str, Any]:
    """Record the mix; replay it tiled as it came and tiled as if it came faster; both modes, 1 and 2 workers."""
    from kestrel_lab.engine import load_pack
    from kestrel_lab.schema.resources import resource

    kinds = [rule.program.kind for rule in load_pack([resource("rules")]).rules]
    with tempfile.TemporaryDirectory(dir=tools.HERE) as folder:
        flood, mix = Path(folder) / "flood.krec", record_mix(Path(folder), mix_s)
        record_flood(Path(folder), flood, events, mix_s)
        runs = _replays("a flood, as recorded", flood)
        for factor in FACTORS:
            tile(mix, long := Path(folder) / "tiled.krec", events, factor)
            runs += _replays(f"the mix tiled, {factor}x", long)
    return {"rules": len(kinds), "sequences": kinds.count("sequence"), "runs": runs}


def _replays(what: str, long: Path) -> list[dict[str, Any]]:
    runs = [replay(long, mode, workers) for mode in ("live", "deterministic") for workers in (1, 2)]
    if len({run["digest"] for run in runs}) != 1:
        raise RuntimeError(f"digests differ: {runs}")
    size = tools.size_of(long)
    shutil.rmtree(long)
    return [run | {"what": what, "bytes": size} for run in runs]


def _row(run: dict[str, Any]) -> list[str]:
    events = run["events"]
    return [
        run["what"], f"{events:,}", f"{events / run['epochs']:,.0f}", f"{run['bytes'] / events:.1f}", run["mode"],
        str(run["workers"]), f"{events / run['seconds']:,.0f}", f"{run['evaluations'] / events:.2f}",
        f"{run['alerts']:,}", tools.megabytes(run["resident_at"]), tools.megabytes([run["anonymous"]]),
    ]  # fmt: skip


def show(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    head = (
        "recording", "events", "events/epoch", "bytes/event", "mode", "workers", "events/s", "rule evaluations/event",
        "alerts",
        "resident MB at 10/25/50/75/95 %", "anonymous MB",
    )  # fmt: skip
    first = f"{found['rules']} rules, {found['sequences']} of them sequences."
    return f"{first}\n\n{tools.table(head, [_row(run) for run in found['runs']])}"


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("replay", found)
