"""What a live source saw, as plain rows, for tests only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.capture.host import cgroup2_mounts
from kestrel_lab.capture.offsets import Offsets
from kestrel_lab.capture.program import Program
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.fields import FIELDS

Event = dict[str, Any]
LEFT_OUT = {"host.id", "host.name", "host.os.type", "event.kind"} | {
    f.name for f in FIELDS if f.name.startswith("kestrel.") and f.name.endswith("entity_id")
}


@dataclass
class Seen:
    """Everything that was captured."""

    info: SourceInfo
    epochs: list[Epoch] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    gaps: list[Gap] = field(default_factory=list)

    def events(self) -> list[Event]:
        """Return all events in event_id order, fields that have no value left out."""
        rows = [row for epoch in self.epochs for row in rows_of(self.info, epoch)]
        return sorted(rows, key=lambda row: row["event.sequence"])

    def of(self, action: str, **wanted: Any) -> list[Event]:
        """Return the events of an action whose fields (dots written as `__`) have the wanted values."""
        pairs = [(name.replace("__", "."), value) for name, value in wanted.items()]
        found = [e for e in self.events() if e["event.action"] == action.encode()]
        return [e for e in found if all(e.get(name) == value for name, value in pairs)]


def rows_of(info: SourceInfo, epoch: Epoch) -> Iterator[Event]:
    for table, rows in epoch.tables.items():
        names = [f.name for f in FIELDS if table in f.tables and f.name not in LEFT_OUT]
        columns = {name: python_values(resolve(info, epoch, table, name)) for name in names}
        precision = epoch.segment.entities.column("precision")[rows.column("entity")].tolist()
        stamps = rows.column("ts_boot_ns").tolist()
        for i in range(len(rows)):
            row = {name: values[i] for name, values in columns.items() if values[i] is not None}
            yield row | {"precision": precision[i], "ts": stamps[i]}


class _Kept(Program):
    def close(self) -> None:
        self.reset()


_kept: list[_Kept] = []


def kept_program(offsets: Offsets, headers: Path, ring_pages: Mapping[str, int]) -> Program:
    """Return loaded programs that serve every capture of this process: to compile and verify them takes seconds. What
    starts a recorder of its own loads its own, and so does what wants rings of other sizes.
    """
    if ring_pages:
        return Program(offsets, headers, ring_pages)
    if not _kept:
        _kept.append(_Kept(offsets, headers, ring_pages))
    return _kept[0]


def capture(act: Callable[[LiveSource], object], config: CaptureConfig | None = None) -> Seen:
    """Capture while `act` runs; it may poll the source itself and return the epochs it got."""
    with LiveSource(config or CaptureConfig(), kept_program) as source:
        seen = Seen(source.info)
        got = act(source)
        if isinstance(got, Sequence):
            seen.epochs += [epoch for epoch in got if isinstance(epoch, Epoch)]
        seen.epochs += settle(source)
        seen.epochs += source.stop()
        received = source.ledger().received
        seen.ledger = replace(source.ledger(), written=received)
        seen.gaps = [gap for epoch in seen.epochs for gap in epoch.gaps] + list(source.pending_gaps())
    return seen


def run(source: LiveSource, *command: str) -> list[Epoch]:
    """Run a command, which must succeed, and keep the rings empty the while."""
    epochs = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        while child.poll() is None:
            epochs += source.poll(0.02)
    assert child.returncode == 0
    return epochs


def settle(source: LiveSource, seconds: float = 0.2) -> list[Epoch]:
    """Poll for a while, so that what happened before has closed its epoch."""
    epochs, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        epochs += source.poll(0.05)
    return epochs


@contextmanager
def own_cgroup() -> Iterator[Path]:
    """A cgroup of one's own in the v2 hierarchy; empty again at the end."""
    folder = cgroup2_mounts()[0] / f"kestrel-lab-test-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:  # the last process has not left yet
                time.sleep(0.05)


def run_in(cgroup: Path, *command: str) -> None:
    """Run a command in a cgroup; it must succeed. A recorder scoped to the cgroup sees it from its exec on."""
    subprocess.run(joining(cgroup, *command), check=True, stdin=subprocess.DEVNULL)


def joining(cgroup: Path, *command: str) -> list[str]:
    """Return a command that enters a cgroup and becomes the given one."""
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(cgroup), *command]
