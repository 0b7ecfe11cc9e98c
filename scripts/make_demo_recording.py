"""Records the demo's intrusion and ships it: `sudo .venv/bin/python scripts/make_demo_recording.py`.

To be run again whenever the schema or the starter rules change. Only the intrusion is captured, in a cgroup of its
own. What the recording says of processes that did nothing in it is left out: a shipped file must not tell what else
ran on the machine. The alerts stay those raised live; the script fails if a replay does not give them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kestrel_lab.capture.host import cgroup2_mounts
from kestrel_lab.cli.demo.story import SHIPPED
from kestrel_lab.recording import Recording, RecordingWriter, open_recording, pack, verify
from kestrel_lab.schema.alert import alert_digest
from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.epoch import Array, Epoch, Rows, Segment
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Physical
from kestrel_lab.session import replay_as_live

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "/usr/bin/python3"
#: of the intruder: a program that is looked for in vain is recorded by the names that were tried
PATH = "/usr/bin:/usr/sbin"
MOST_BYTES = 2 << 20
#: Joins the cgroup whose folder is $0, then becomes the intruder, with nothing of this checkout in its arguments.
INTRUDE = f'echo $$ > "$0/cgroup.procs"; cd /; exec {PYTHON} -m kestrel_lab.cli.demo.intrusion 0.4'


class Pruner:
    """Copies epochs, with only those processes and strings that their rows refer to."""

    def __init__(self) -> None:
        self._old: Segment | None = None

    def epoch(self, epoch: Epoch) -> Epoch:
        """Return the same epoch over a segment of its own kind."""
        if self._old is not epoch.segment:
            self._old, self._new = epoch.segment, GrowingSegment(epoch.segment.index)
            self._moved = {0: 0}
            self._acting = set[int]()
        for rows in epoch.tables.values():
            self._acting |= set(rows.column("entity").tolist())
        return replace(
            epoch,
            tables={name: self._rows(name, rows) for name, rows in epoch.tables.items()},
            segment=self._new,
            string_counts=self._new.string_counts(),
            entity_count=len(self._new.entities),
        )

    def _rows(self, table: str, rows: Rows) -> Rows:
        columns: dict[str, Array] = {}
        valid: dict[str, Any] = {}
        for column in BUILTIN.columns_of(table):
            values = rows.column(column.name)
            if column.physical.coded:
                values = self._codes(f"{table}:{column.name}", values)
            elif column.physical is Physical.REF:
                values = np.array([self._move(ref) for ref in values.tolist()], "u4")
            columns[column.name] = values
            if column.nullable and (mask := rows.valid(column.name)) is not None:
                valid[column.name] = mask
        return ArrayRows(table, len(rows), columns, valid)

    def _codes(self, key: str, codes: Array) -> Array:
        assert self._old is not None
        old, new = self._old.strings(key), self._new.strings(key)
        texts = [old.values(code, code + 1)[0] if code else None for code in codes.tolist()]
        return np.array([new.code(text) for text in texts], "i4")

    def _move(self, ref: int) -> int:
        assert self._old is not None
        if ref in self._moved:
            return self._moved[ref]
        entities, row = self._old.entities, dict[str, Any]()
        for column in ENTITY_COLUMNS:
            key = f"entity:{column.name}"
            if column.physical is Physical.CODES:
                offsets, codes = entities.lists(column.name)
                row[column.name] = self._codes(key, codes[offsets[ref] : offsets[ref + 1]])
                continue
            value = entities.column(column.name)[ref]
            if column.physical is Physical.CODE:
                row[column.name] = int(self._codes(key, np.array([value]))[0])
            elif column.physical is Physical.BIN16:
                row[column.name] = bytes(value)
            else:
                row[column.name] = int(value)
        links = {c.name: row[c.name] for c in ENTITY_COLUMNS if c.physical is Physical.REF}
        row |= {name: self._move(to) if to in self._acting and to != ref else 0 for name, to in links.items()}
        row |= {name: len(self._new.entities) for name, to in links.items() if to == ref}
        self._moved[ref] = self._new.entities.add(row)
        return self._moved[ref]


@contextmanager
def cgroup() -> Iterator[Path]:
    """Make a cgroup and take it away."""
    folder = cgroup2_mounts()[0] / f"kestrel-lab-demo-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmdir()


def record(out: Path) -> None:
    """Record the intrusion, and nothing else."""
    with cgroup() as scope:
        command = [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(out), "--cgroup", str(scope)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": PATH}
        # through a pipe: a file that the intruder's output goes to would be one that it modifies
        with subprocess.Popen(
            [*command, "--", "sh", "-c", INTRUDE, str(scope)], env=environment, stdout=subprocess.PIPE
        ) as run:
            assert run.stdout is not None
            shutil.copyfileobj(run.stdout, sys.stdout.buffer)
        if run.returncode:
            raise SystemExit(run.returncode)


def prune(source: Recording, out: Path) -> None:
    """Copy a recording without the processes that did nothing in it; its alerts come along as they are."""
    writer = RecordingWriter(out, source.info, source.manifest["facts"])
    for use, files in source.packs:
        writer.add_pack(use, files)
    for capture in source.captures:
        writer.add_capture(capture)
    pruner = Pruner()
    for epoch in source.epochs():
        writer.commit(pruner.epoch(epoch))
    shutil.copytree(source.root / "live", out / "live", ignore=shutil.ignore_patterns("lock"))
    assert source.ledger is not None
    writer.close(source.ledger)


def main() -> None:
    """Make recordings/demo.krec.tar.zst."""
    target = ROOT / "recordings" / SHIPPED
    with tempfile.TemporaryDirectory(prefix="kestrel-lab-") as folder:
        raw, clean, packed = Path(folder, "raw.krec"), Path(folder, "demo.krec"), Path(folder, SHIPPED)
        record(raw)
        prune(open_recording(raw), clean)
        recording = open_recording(clean)
        assert verify(clean).ok
        assert recording.live_alerts
        assert replay_as_live(recording).digest == alert_digest(recording.live_alerts)
        pack(clean, packed)
        assert packed.stat().st_size < MOST_BYTES
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(packed, target)
    print(f"{target}: {target.stat().st_size} bytes, {len(recording.live_alerts)} alerts")


if __name__ == "__main__":
    main()
