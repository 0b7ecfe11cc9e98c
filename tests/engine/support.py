"""Packs from queries, random events, and ways to run an engine over them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kestrel_lab.engine import Engine, Limits, Pack, pack_from_files
from kestrel_lab.eql import WasmModule, lower_wasm
from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.alert import Alert, Mode
from kestrel_lab.schema.epoch import EpochSource

MODES: tuple[Mode, Mode] = ("live", "deterministic")

#: Queries over what `random_events` makes: every kind of leaf and slot, keyed and open stages, all forms of keys.
QUERIES: Mapping[str, str] = {
    "exec-name": 'process where event.action == "exec" and process.name in ("bash", "sh")',
    "args-like": 'process where process.args like~ ("*/TMP/*", "-c")',
    "parent-args": 'any where process.parent.args : "-c" and process.args == "-c"',
    "either": 'process where process.name == "bash" or process.exit_code > 0',
    "missing": 'process where process.exit_code == null and not process.name : "b*"',
    "exit": 'process where event.type == "end" and process.exit_code != 0 and process.Ext.exit_signal <= 9',
    "count": "process where process.args_count >= 2 and process.parent.args_count < 3",
    "line": 'process where process.command_line : "*-c /tmp/*"',
    "file": 'file where file.extension in ("sh", "txt") and not file.directory == "/tmp"',
    "inode": "file where file.inode > 9223372036854775807",
    "address": 'network where destination.ip == "::1" or destination.port in (22, 4444)',
    "ret": "network where kestrel.ret < 0",
    "user": 'any where user.id == "0"',
    "host": 'any where host.os.type == "linux" and event.category == "network"',
    "plain": 'sequence [file where event.action == "creation"] [process where event.action == "exec"]',
    "by-entity": (
        'sequence by process.entity_id with maxspan=20ms [process where event.type == "start"] '
        '[file where true] [network where true] until [process where event.type == "end"]'
    ),
    "by-pid": "sequence by process.pid, user.id [file where true] [file where file.extension != null] [any where true]",
    "by-path": (
        'sequence with maxspan=30ms [file where event.action == "creation"] by file.path '
        '[process where event.action == "exec"] by process.Ext.filename'
    ),
    "by-args": 'sequence by process.args [process where event.type == "start"] [process where event.type == "end"]',
    "optional": "sequence by ?user.id [file where true] [network where true]",
    "same": "sequence by process.pid [any where true] [any where true] until [network where destination.port == 22]",
}  # fmt: skip

_NAMES = ["bash", "sh", "python3", "Bash", None]
_ARGS = [
    ["bash", "-c", "/tmp/a.sh"],
    ["sh", "-c"],
    ["python3"],
    ["ls", "/TMP/x", "-C"],
    ["b\xff".encode("latin-1")],
    [],
]
_PATHS = ["/tmp/a.sh", "/tmp/b.txt", "/home/u/.bashrc", "/srv/data/x.TXT", "/opt/run.sh", None]


def unnarrowed(pack: Pack) -> Pack:
    """Return a pack that evaluates its EQL conditions whole, whatever the index has decided of them."""
    fields = pack.schema.fields
    rules = (replace(r, module=lower_wasm(r.program, fields)) if r.language == "eql" else r for r in pack.rules)
    return replace(pack, rules=tuple(rules))


#: the kinds of events whose fields are made up
_ACTIONS = [action for action in ACTIONS if action.code in (1, 2, 3, 10, 11, 12, 13, 20, 21, 22)]


def random_events(seed: int, count: int = 120) -> list[dict[str, Any]]:
    """Return events with few distinct values, so that everything happens; some share a time, some are late."""
    rng = random.Random(seed)
    pick, ts, out = rng.choice, 1_000_000_000, []
    for _ in range(count):
        action = pick(_ACTIONS)
        ts += pick([0, 0, 1_000_000, 5_000_000, 30_000_000])
        late = rng.random() < 0.05
        out.append(
            {
                "table": action.table, "action": action.name, "ts": ts - 40_000_000 * late, "flags": int(late),
                "pid": pick([0, 2, 3, 4]), "ppid": pick([2, 3]), "start_ns": pick([1, 1, 2]),
                "name": pick(_NAMES), "executable": pick(_PATHS), "args": pick(_ARGS),
                "user.id": pick(["0", "1000", None]),
                "process.exit_code": pick([None, 0, 1, 255]), "process.Ext.exit_signal": pick([None, 0, 9, 11]),
                "process.Ext.filename": pick(_PATHS), "file.path": pick(_PATHS),
                "file.inode": pick([None, 0, 2**63 - 1, 2**63, 2**64 - 1]),
                "destination.ip": pick(["127.0.0.1", "::1", None]), "destination.port": pick([None, 22, 4444]),
                "kestrel.ret": pick([None, 0, -111]),
            }
        )  # fmt: skip
    return out


def toml(rule_id: str, query: str, severity: str = "low", extra: str = "") -> bytes:
    """Return a rule file."""
    return (
        f'[rule]\nrule_id = "{rule_id}"\nname = "Rule {rule_id}"\nseverity = "{severity}"\nlanguage = "eql"\n'
        f"type = \"eql\"\n{extra}\nquery = '''\n{query}\n'''\n"
    ).encode()


def pack_of(queries: Mapping[str, str], limits: Limits | None = None) -> Pack:
    """Return a pack of queries by rule id."""
    return pack_from_files({f"{rule_id}.toml": toml(rule_id, query) for rule_id, query in queries.items()}, limits)


def with_module(pack: Pack, rule_id: str, wat: str) -> Pack:
    """Return the pack with the WebAssembly of one rule replaced."""
    rules = tuple(
        replace(r, module=WasmModule(wat, r.module.slots, r.module.cost_per_row, r.module.cost_per_call))
        if r.id == rule_id
        else r
        for r in pack.rules
    )
    return replace(pack, rules=rules)


def run(pack: Pack, source: EpochSource, mode: Mode = "live", limits: Limits | None = None) -> list[Alert]:
    """Return every alert of a new engine over a source."""
    engine = Engine(pack, source.info, mode, limits)
    return [*(a for epoch in source.epochs() for a in engine.process(epoch).alerts), *engine.finish("sealed")]


def found(alerts: Iterable[Alert]) -> dict[str, list[tuple[Any, ...]]]:
    """Return (event ids, join keys) by rule id, sorted."""
    out: dict[str, list[tuple[Any, ...]]] = {}
    for alert in alerts:
        out.setdefault(alert.rule_id, []).append((alert.event_ids, alert.join_keys))
    return {rule_id: sorted(items, key=repr) for rule_id, items in out.items()}
