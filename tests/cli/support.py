"""Recordings with known contents, and commands run in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from kestrel_lab.cli.main import main
from kestrel_lab.engine import pack_from_files
from kestrel_lab.recording import RecordingWriter
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.epoch import Gap, Ledger
from kestrel_lab.session import run_live
from tests.support.epochs import source

CONNECT = 'network where event.action == "connection_attempted" and destination.port == 4444'
DROPPED = """sequence by process.pid with maxspan=5s
  [file where event.action == "creation" and file.path like "/tmp/*"]
  [process where event.action == "exec" and process.executable like "/tmp/*"]"""


def rule(rule_id: str, query: str, name: str = "") -> str:
    """Return the text of a rule file."""
    return (
        f'[rule]\nrule_id = "{rule_id}"\nname = "{name or rule_id}"\nlanguage = "eql"\ntype = "eql"\n'
        f'severity = "high"\ncaptures = ["process.name", "file.path", "destination.ip", "destination.port"]\n'
        f"query = '''\n{query}\n'''\n"
    )


RULES: Mapping[str, str] = {
    "connect.toml": rule("connect-4444", CONNECT, "Connection to port 4444"),
    "drop.toml": rule("drop-and-run", DROPPED, "Dropped and run"),
}

EVENTS: Sequence[Mapping[str, Any]] = [
    {"table": "process", "action": "exec", "pid": 7, "name": "sh", "executable": "/bin/sh", "args": ["sh", "-c", "x"]},
    {"table": "file", "action": "creation", "pid": 7, "file.path": "/tmp/a\x1b[2J.sh", "file.inode": 2**64 - 1},
    {"table": "file", "action": "open", "pid": 7, "file.path": b"/var/log/\xff"},
    {"table": "process", "action": "exec", "pid": 7, "name": "a.sh", "executable": "/tmp/a.sh", "args": ["a.sh"]},
    {"table": "network", "action": "connection_attempted", "pid": 7, "destination.ip": "127.0.0.1",
     "destination.port": 4444},
    {"table": "network", "action": "connection_attempted", "pid": 7, "destination.ip": "::1", "destination.port": 443},
    {"table": "process", "action": "end", "pid": 7, "process.exit_code": 3},
    {"table": "file", "action": "deletion", "pid": 8, "file.path": "/tmp/b"},
]  # fmt: skip
LEDGER = Ledger(seen=12, filtered=1, lost_ring=3, received=8, written=8)


def make_recording(path: Path, rules: Mapping[str, str] = RULES) -> Path:
    """Write a sealed recording of `EVENTS`, two to an epoch and two epochs to a segment, with its live alerts."""
    world = source(EVENTS, epoch_rows=2, segment_epochs=2)
    writer = RecordingWriter(path, world.info, {"kernel": "6.18.0"})
    pack = pack_from_files({name: text.encode() for name, text in rules.items()}) if rules else None
    if pack is not None:
        writer.add_pack(PackUse(0, pack.hash), pack.files)
    for epoch in world.stored:
        writer.commit(epoch)
    writer.add_gaps([Gap("lost_ring", "small", 0, 3, 9, 0, 1)])
    writer.close(LEDGER)
    if pack is not None:
        run_live(path, pack, max_lag_s=1e9)
    return path


def write_rules(folder: Path, rules: Mapping[str, str] = RULES) -> Path:
    """Write rule files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rules.items():
        (folder / name).write_text(text)
    return folder


def run(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the ndjson that a command printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]
