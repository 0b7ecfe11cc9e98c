"""A small world for session tests: events with a few intrusions among much that is harmless, rules, a capture."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kestrel_lab.engine import Pack, pack_from_files
from kestrel_lab.recording import Recording, RecordingWriter, open_recording
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session.record_report import RecordOptions, RecordReport
from kestrel_lab.session.recording import record_from
from kestrel_lab.session.signals import Stop
from tests.support.epochs import INFO, MemorySource, source

DROPPED_AND_RUN = """
sequence by process.pid with maxspan=5s
  [file where event.action == "creation" and file.path like "/tmp/*"]
  [process where event.action == "exec" and process.executable like "/tmp/*"]
  [network where event.action == "connection_attempted"]
until [process where event.action == "end"]
"""
CONNECT = 'network where event.action == "connection_attempted" and destination.port == 4444'
SHELL = 'process where event.action == "exec" and process.name in ("sh", "bash") and process.args : "-i"'
DELETED = 'file where event.action == "deletion" and file.path like "/tmp/*.sh"'


def rule(rule_id: str, query: str, captures: Sequence[str] = ("process.pid", "process.name"), name: str = "") -> bytes:
    """Return a rule file."""
    return (
        f'[rule]\nrule_id = "{rule_id}"\nname = "{name or rule_id}"\nlanguage = "eql"\ntype = "eql"\n'
        f"severity = \"high\"\ncaptures = {list(captures)!r}\nquery = '''{query}'''\n"
    ).encode()


FILES: Mapping[str, bytes] = {
    "drop.toml": rule("drop-and-run", DROPPED_AND_RUN, ("process.pid", "file.path", "destination.ip")),
    "connect.toml": rule("connect-4444", CONNECT, ("process.pid", "destination.ip")),
    "shell.toml": rule("interactive-shell", SHELL, ("process.args",)),
    "deleted.toml": rule("script-deleted", DELETED, ("file.path",)),
}


def pack(**changed: bytes | None) -> Pack:
    """Return the pack; `name=b"..."` replaces or adds `name.toml`, `name=None` leaves it out."""
    files = dict(FILES) | {f"{name}.toml": data for name, data in changed.items() if data is not None}
    for name, data in changed.items():
        if data is None:
            del files[f"{name}.toml"]
    return pack_from_files(files)


def events(count: int, seed: int = 1, start_ns: int = 1_000_000_000, step_ns: int = 1_000_000) -> list[dict[str, Any]]:
    """Return at least `count` events: noise, with an intrusion every so often, some of them interleaved."""
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    pid = 100
    waiting: list[dict[str, Any]] = []
    while len(out) < count:
        if rng.random() < 0.05:
            pid += 1
            waiting += _intrusion(pid, rng)
        if waiting and rng.random() < 0.6:
            out.append(waiting.pop(0))
        else:
            out.append(_noise(rng))
    for place, event in enumerate(out):
        event["ts"] = start_ns + place * step_ns
    return out


def _noise(rng: random.Random) -> dict[str, Any]:
    pid = rng.randrange(1, 40)
    return rng.choice([
        {"table": "file", "action": "open", "pid": pid, "file.path": f"/var/log/{rng.randrange(50)}.log"},
        {"table": "file", "action": "deletion", "pid": pid, "file.path": f"/tmp/{rng.randrange(50)}.tmp"},
        {"table": "process", "action": "exec", "pid": pid, "name": "ls", "executable": "/bin/ls", "args": ["ls"]},
        {"table": "network", "action": "connection_attempted", "pid": pid, "destination.ip": "10.0.0.1",
         "destination.port": 443},
    ])  # fmt: skip


def _intrusion(pid: int, rng: random.Random) -> list[dict[str, Any]]:
    script = f"/tmp/{pid}.sh"
    made = {"table": "file", "action": "creation", "pid": pid, "file.path": script}
    run = {"table": "process", "action": "exec", "pid": pid, "name": "sh", "executable": script, "args": ["sh", "-i"]}
    call = {"table": "network", "action": "connection_attempted", "pid": pid, "destination.ip": "127.0.0.1",
            "destination.port": 4444}  # fmt: skip
    gone = {"table": "file", "action": "deletion", "pid": pid, "file.path": script}
    ended = {"table": "process", "action": "end", "pid": pid, "process.exit_code": 0}
    return [made, run, *([ended] if rng.random() < 0.2 else []), call, gone]


def memory(count: int = 400, epoch_rows: int = 16, segment_epochs: int = 8, seed: int = 1) -> MemorySource:
    """Return the world in memory."""
    return source(events(count, seed), epoch_rows, segment_epochs)


def write_recording(path: Path, world: MemorySource, *, facts: Mapping[str, Any] | None = None) -> Recording:
    """Write a world as a sealed recording in which no rules ran."""
    writer = RecordingWriter(path, world.info, facts or {})
    rows = 0
    for epoch in world.stored:
        writer.commit(epoch)
        rows += epoch.rows
    writer.close(Ledger(seen=rows, received=rows, written=rows))
    return open_recording(path)


class FakeCapture:
    """A live source without a kernel: each epoch of a world closes when the boot clock reaches it.

    `over` is called once the last one has closed.
    """

    def __init__(self, world: MemorySource, over: Callable[[], None] | None = None) -> None:
        self._epochs = deque(world.stored)
        self._over = over
        self.info: SourceInfo = world.info
        self.facts: Mapping[str, Any] = {"kernel": "none"}
        self.received = 0
        self.captured = frozenset(action.code for action in BUILTIN.actions)
        self.filters: tuple[str, ...] = ()

    def set_actions(self, actions: frozenset[int] | None) -> None:
        self.captured = frozenset(a.code for a in BUILTIN.actions) if actions is None else actions

    def keep_contents(self, keeper: object) -> None:
        raise AssertionError("nothing is executed")

    def poll(self, timeout_s: float) -> list[Epoch]:
        time.sleep(min(timeout_s, 0.005))
        now, found = time.clock_gettime_ns(time.CLOCK_BOOTTIME), []
        while self._epochs and self._epochs[0].ts_max_ns <= now:
            found.append(self._epochs.popleft())
        self.received += sum(e.rows for e in found)
        if not self._epochs and self._over:
            self._over()
            self._over = None
        return found

    def stop(self) -> list[Epoch]:
        rest = list(self._epochs)
        self.received += sum(e.rows for e in rest)
        return rest

    def ledger(self) -> Ledger:
        return Ledger(seen=self.received, received=self.received)

    def ledger_by_source(self) -> dict[str, Ledger]:
        return {"small": self.ledger()}

    def hooks(self) -> dict[str, bool]:
        return {"hook": True}

    def pending_gaps(self) -> tuple[Gap, ...]:
        return (Gap("lost_ring", "small", 0, 0, self.received + 1, 0, 0),)


@contextmanager
def capturing(capture: FakeCapture) -> Iterator[FakeCapture]:
    """Give a fake capture the shape of a live source."""
    yield capture


def now_world(
    count: int, epoch_rows: int = 16, segment_epochs: int = 1_000_000, *, seed: int = 1, in_s: float = 0.0,
    step_ns: int = 200_000, name: str = "test",
) -> MemorySource:  # fmt: skip
    """Return a world that begins `in_s` seconds from now by the boot clock, an event every `step_ns`."""
    start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(in_s * 1e9)
    world = source(events(count, seed, start, step_ns), epoch_rows, segment_epochs)
    world.info = replace(INFO, recording_id=name)
    return world


def record_world(
    path: Path, world: MemorySource, rules: Pack | None, options: RecordOptions | None = None, **more: Any
) -> RecordReport:
    """Record a world to its end, or as the options say."""
    stop = more.pop("stop", Stop())
    options = options or RecordOptions()
    over = None if options.command or options.duration_s else stop.request
    return record_from(capturing(FakeCapture(world, over)), path, rules, options, stop=stop, **more)
