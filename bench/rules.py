"""The rule engine on one core, over five million events tiled from a recorded mix: Elastic's sample in both modes, ten,
a hundred and a thousand rules, ten queries beside the PyPI package `eql`, and a sequence that everything begins.

Epochs are decoded before the clock runs; what is timed is `Engine.process_span`, from columns to alerts. The sample is
read from `../shared/corpora` beside the checkout and is no part of the project.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import tools
from bench.replay_speed import record_mix

EVENTS = 5_000_000
PEER_EVENTS = 100_000
MIX_S = 20
FACTOR = 50  # how many times as fast as recorded: epochs as a busy machine closes them
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "elastic_linux_eql_sample.json"
PEER = "eql==1.0.1"
SIZES = (10, 100, 1_000)

#: As both engines read them.
QUERIES = (
    'process where process.name == "curl"',
    'process where process.name in ("nc", "ncat", "netcat")',
    'process where process.executable == "/usr/bin/base64"',
    'process where process.parent.name == "nginx" and process.name == "sh"',
    'process where process.name == "chmod" and process.args == "+x"',
    "process where process.exit_code == 139",
    'file where file.path == "/etc/passwd"',
    'file where file.path == "/etc/ld.so.preload" and process.name != "dpkg"',
    'file where file.extension == "service"',
    "network where destination.port == 4444",
)
SEQUENCE = (
    'sequence by process.entity_id with maxspan=1m [any where true] [process where process.name == "curl" and '
    "process.exit_code == 7]"
)
#: Every string of a query, so that none is taken for the gap between two; only those of some length are changed.
_LITERAL = re.compile(r'''"""[\s\S]*?"""|"((?:[^"\\\n]|\\.)*)"''')
_ADDRESS = re.compile(r"[0-9a-fA-F.:/]*")


def rule_file(rule_id: str, query: str) -> bytes:
    """Return a rule file."""
    head = f'[rule]\nrule_id = {json.dumps(rule_id)}\nname = {json.dumps(rule_id)}\nseverity = "low"\n'
    return (head + f"type = \"eql\"\nlanguage = \"eql\"\nquery = '''\n{query}\n'''\n").encode()


def sample() -> dict[str, str]:
    """Return the queries of Elastic's sample by rule id, those that compile."""
    from kestrel_lab.eql import compile_query
    from kestrel_lab.schema.errors import RuleError

    out = {}
    for rule in json.loads(SAMPLE.read_text()):
        try:
            compile_query(rule["query"])
        except RuleError:
            continue
        out[rule["id"]] = rule["query"]
    return out


def real() -> list[tuple[str, str]]:
    """Return the sample's queries and the starter pack's, by rule id."""
    from kestrel_lab.engine import load_pack
    from kestrel_lab.schema.resources import resource as shipped

    starter = {r.id: r.query for r in load_pack([shipped("rules")]).rules if r.language == "eql"}
    return list({**sample(), **starter}.items())


def tens() -> list[dict[str, str]]:
    """Return all of them in packs of about ten, each in one: what ten rules cost depends much on which ten."""
    rules = real()
    packs = -(-len(rules) // 10)
    return [dict(rules[first::packs]) for first in range(packs)]


def many(count: int) -> dict[str, str]:
    """Return so many queries: the sample's and the starter pack's, evenly chosen or, beyond their number, varied."""
    rules = real()
    if count <= len(rules):
        return dict(rules[i * len(rules) // count] for i in range(count))
    return {f"{rule_id}-{k}": varied(query, k) for k in range(-(-count // len(rules)))
            for rule_id, query in rules[: count - k * len(rules)]}  # fmt: skip


def varied(query: str, k: int) -> str:
    """Return a query with every fourth of its constants changed, those that name kinds of events left alone."""
    from kestrel_lab.schema.actions import ACTIONS

    kept = {word for a in ACTIONS for word in (a.name, *a.types, *a.event_categories)} | {"linux", "egress", "ingress"}

    def change(match: re.Match[str]) -> str:
        text = match[1] or ""
        if (
            k == 0
            or len(text) < 3
            or text in kept
            or _ADDRESS.fullmatch(text)
            or blake2b(f"{k} {text}".encode(), digest_size=1).digest()[0] % 4
        ):
            return match[0]
        body = text.rstrip("*")
        return f'"{body}{k}{text[len(body) :]}"' if body and not body.endswith("\\") else match[0]

    return _LITERAL.sub(change, query)


def spans(mix: Path, events: int) -> Iterator[list[Any]]:
    """Yield spans of decoded epochs, as a replay gathers them."""
    from bench.tile import faster, tiled
    from kestrel_lab.engine.scanning.span import SPAN_ROWS
    from kestrel_lab.recording import open_recording

    part: list[Any] = []
    for epoch in tiled(faster(list(open_recording(mix).epochs()), FACTOR), events):
        if part and (part[-1].segment is not epoch.segment or sum(e.rows for e in part) >= SPAN_ROWS):
            yield part
            part = []
        part.append(epoch)
    yield part


def run(mix: Path, queries: Mapping[str, str], mode: str, events: int) -> dict[str, Any]:
    """Run an engine over the tiled mix; CPU seconds and peak memory (bytes) are of this process."""
    from kestrel_lab.engine import Engine, pack_from_files
    from kestrel_lab.recording import open_recording

    pack = pack_from_files({f"{i:04}.toml": rule_file(rule_id, q) for i, (rule_id, q) in enumerate(queries.items())})
    begin = time.process_time()
    engine = Engine(pack, open_recording(mix).info, "live" if mode == "live" else "deterministic")
    load_s, used, rows, alerts, peaks = time.process_time() - begin, 0.0, 0, 0, list[int]()
    for part in spans(mix, events):
        begin = time.process_time()
        alerts += len(engine.process_span(part).alerts)
        used += time.process_time() - begin
        rows += sum(e.rows for e in part)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return {
        "mode": mode, "rules": len(pack.rules), "events": rows, "seconds": used, "load_s": load_s, "alerts": alerts,
        "evaluations": engine.evaluations, "peak_at": [peaks[len(peaks) * share // 100] for share in (10, 50, 99)],
    }  # fmt: skip


def describe(mix: Path, events: int) -> dict[str, Any]:
    """Return the shares of the actions, and the new strings and processes an event brings."""
    from kestrel_lab.schema.actions import ACTIONS

    counts: Counter[int] = Counter()
    last: dict[int, tuple[int, int]] = {}
    for part in spans(mix, events):
        for epoch in part:
            for rows in epoch.tables.values():
                counts.update(rows.column("action").tolist())
            last[epoch.segment.index] = sum(epoch.string_counts.values()), epoch.entity_count
    total = counts.total()
    names = {a.code: f"{a.table}/{a.name}" for a in ACTIONS}
    return {
        "events": total, "shares": {names[code]: count / total for code, count in sorted(counts.items())},
        "new_strings": sum(strings for strings, _ in last.values()) / total,
        "new_entities": sum(entities for _, entities in last.values()) / total,
    }  # fmt: skip


def peer(mix: Path, folder: Path, events: int) -> dict[str, Any]:
    """Run the ten queries with the PyPI package, in a virtual environment made for it, over decoded dicts."""
    from kestrel_lab.recording import open_recording

    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True)
    path, written = folder / "events.ndjson", 0
    info = open_recording(mix).info
    with path.open("w") as out:
        for part in spans(mix, events):
            for event in _dicts(info, part):
                out.write(json.dumps(event) + "\n")
                written += 1
    command = [str(python), str(tools.HERE / "eql_peer.py"), str(path), json.dumps(QUERIES)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return {"events": written, **json.loads(result)}


def _dicts(info: Any, part: Sequence[Any]) -> Iterator[dict[str, Any]]:
    from kestrel_lab.schema.access import python_values, resolve

    fields = {"process": {"name": "process.name", "executable": "process.executable", "args": "process.args",
                          "exit_code": "process.exit_code"},
              "file": {"path": "file.path", "extension": "file.extension"},
              "destination": {"port": "destination.port"}, "parent": {"name": "process.parent.name"}}  # fmt: skip
    for epoch in part:
        for table in epoch.tables:
            columns = {(group, name): python_values(resolve(info, epoch, table, field))
                       for group, names in fields.items() for name, field in names.items()}  # fmt: skip
            for row in range(len(epoch.tables[table])):
                event: dict[str, Any] = {group: {} for group in fields}
                for (group, name), values in columns.items():
                    event[group][name] = _plain(values[row])
                event["process"]["parent"] = event.pop("parent")
                yield {"event_type": table, **event}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def measure(events: int = EVENTS, mix_s: int = MIX_S, mix: Path | None = None) -> dict[str, Any]:
    """Record the mix, and run every case in a process of its own."""
    with tempfile.TemporaryDirectory(dir=tools.HERE) as name:
        folder = Path(name)
        mix = mix or record_mix(folder, mix_s)
        cases: list[tuple[str, Mapping[str, str], str]] = []
        if SAMPLE.exists():
            cases += [("Elastic's sample", sample(), mode) for mode in ("live", "deterministic")]
            cases += [(f"{size} rules", many(size), mode) for mode in ("live", "deterministic") for size in SIZES]
        cases.append(("ten queries", {f"q{i}": q for i, q in enumerate(QUERIES)}, "live"))
        cases += [("a sequence of everything", {"s": SEQUENCE}, mode) for mode in ("live", "deterministic")]
        runs = []
        for what, queries, mode in cases:
            runs.append({"what": what, **alone(run, mix, queries, mode, events)})
            print(".", end="", flush=True)
        few = tens() if SAMPLE.exists() else []
        ten = [alone(run, mix, queries, mode, events // 5) for mode in ("live", "deterministic") for queries in few]
        print()
        return {"mix": describe(mix, events), "runs": runs, "tens": ten, "peer": peer(mix, folder, PEER_EVENTS)}


def alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def show(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    mix, runs, other = found["mix"], found["runs"], found["peer"]
    shares = ", ".join(f"{name} {share:.1%}" for name, share in mix["shares"].items())
    rows = [
        [r["what"], r["mode"], str(r["rules"]), f"{r['events']:,}", f"{r['events'] / r['seconds']:,.0f}",
         f"{r['seconds'] / r['events'] * 1e6:.2f}", f"{r['evaluations'] / r['events']:.2f}", f"{r['alerts']:,}",
         tools.megabytes(r["peak_at"])] for r in runs
    ]  # fmt: skip
    head = ("pack", "mode", "rules", "events", "events/s", "us/event", "evaluations/event", "alerts",
            "peak MB at 10/50/99 %")  # fmt: skip
    lines = [f"{mix['events']:,} events: {shares}. {mix['new_strings']:.2f} new strings and "
             f"{mix['new_entities']:.2f} new processes an event.", "", tools.table(head, rows), ""]  # fmt: skip
    lines += [_many_and_few(found, mode) for mode in ("live", "deterministic") if found["tens"]]
    simple = next(r for r in runs if r["what"] == "ten queries")
    ours, theirs = simple["events"] / simple["seconds"], other["events"] / other["seconds"]
    lines.append(f"Ten queries: {ours:,.0f} events/s here, {theirs:,.0f} in {PEER}: {ours / theirs:.0f} times.")
    return "\n".join(lines)


def _many_and_few(found: dict[str, Any], mode: str) -> str:
    """Return how much more 1,000 rules cost than ten."""
    cost = {r["what"]: r["seconds"] / r["events"] * 1e6 for r in found["runs"] if r["mode"] == mode}
    packs = [r for r in found["tens"] if r["mode"] == mode]
    ten = [r["seconds"] / r["events"] * 1e6 * 10 / r["rules"] for r in packs]
    mean, thousand = sum(ten) / len(ten), cost["1000 rules"]
    return (
        f"{mode}: 1,000 rules cost {thousand / cost['10 rules']:.1f} times the ten above and {thousand / mean:.1f} "
        f"times ten rules on average: {mean:.2f} us/event, {min(ten):.2f} to {max(ten):.2f} in the {len(ten)} packs "
        f"that part all {sum(r['rules'] for r in packs)} rules."
    )


def main() -> None:
    """Measure, print and keep."""
    found = measure()
    print(show(found))
    tools.keep("rules", found)
