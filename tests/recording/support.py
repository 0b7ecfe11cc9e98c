"""Recordings of synthetic epochs, and the comparison of what is read back with what was written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kestrel_lab.recording import RecordingWriter
from kestrel_lab.schema.epoch import Epoch, Ledger
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Physical
from tests.support.epochs import INFO, MemorySource, source

LEDGER = Ledger(seen=10, filtered=3, lost_ring=2, received=5, written=5)


def events(count: int) -> list[dict[str, Any]]:
    """Events of every table, with missing, empty, odd and extreme values."""
    out: list[dict[str, Any]] = []
    for i in range(count):
        pid = i % 5 + 1
        if i % 3 == 0:
            out.append({"table": "process", "action": "exec", "pid": pid, "ppid": pid - 1, "name": f"n{i % 4}",
                        "executable": b"/bin/\xff%d" % (i % 4), "args": ["a", "", f"{i}"], "user.id": "0"})  # fmt: skip
        elif i % 3 == 1:
            out.append({"table": "file", "action": "open", "pid": pid, "file.path": f"/tmp/{i % 7}",
                        "file.inode": 2**64 - 1 - i if i % 2 else None,
                        "event.outcome": "" if i % 4 else None})  # fmt: skip
        else:
            out.append({"table": "network", "action": "connection_result", "pid": pid, "destination.ip": "::1",
                        "destination.port": 65535 if i % 2 else None, "kestrel.ret": -(2**31)})  # fmt: skip
    return out


def small(epochs: int = 6, segment_epochs: int = 2, rows: int = 4) -> MemorySource:
    """A source of a few small epochs in a few segments."""
    return source(events(epochs * rows), epoch_rows=rows, segment_epochs=segment_epochs)


def write(path: Path, stored: Iterable[Epoch], facts: Mapping[str, Any] | None = None) -> RecordingWriter:
    """Commit epochs to a new recording and leave it open."""
    writer = RecordingWriter(path, INFO, facts or {})
    for epoch in stored:
        writer.commit(epoch)
    return writer


def record(path: Path, stored: Iterable[Epoch], facts: Mapping[str, Any] | None = None) -> str:
    """Write a whole recording and return its head hash."""
    writer = write(path, stored, facts)
    head = writer.close(LEDGER)
    assert writer.unsealed == []
    return head


def abandon(path: Path, stored: Iterable[Epoch], copy: Path) -> Path:
    """Return a copy of a recording as a kill of its recorder would leave it, nothing sealed."""
    writer = write(path, [])
    # No segment is given to the sealing thread: it would change files while they are copied.
    writer._sealer.submit = lambda segment: None  # type: ignore[method-assign]
    for epoch in stored:
        writer.commit(epoch)
    shutil.copytree(path, copy)
    writer.close(LEDGER)
    return copy


def assert_same(found: Epoch, expected: Epoch) -> None:
    """Check that two epochs are the same to the last bit, in everything a reader may ask for."""
    for name in ("number", "first_event_id", "rows", "ts_min_ns", "ts_max_ns", "event_time_ns", "clock_boot_ns",
                 "clock_wall_ns", "entity_count", "late", "gaps"):  # fmt: skip
        assert getattr(found, name) == getattr(expected, name), name
    assert set(found.tables) == set(expected.tables)
    assert found.segment.index == expected.segment.index
    for table, rows in expected.tables.items():
        assert len(found.tables[table]) == len(rows)
        for column in BUILTIN.columns_of(table):
            name = column.name
            mine, theirs = found.tables[table].column(name), rows.column(name)
            assert mine.dtype == theirs.dtype, name
            assert mine.tobytes() == np.ascontiguousarray(theirs).tobytes(), (table, name)
            valid, expected_valid = found.tables[table].valid(name), rows.valid(name) if column.nullable else None
            if expected_valid is None or expected_valid.all():
                assert valid is None, (table, name)
            else:
                assert valid is not None
                assert valid.tolist() == expected_valid.tolist(), (table, name)
    for key, count in expected.string_counts.items():
        assert found.string_counts[key] == count
        assert len(found.segment.strings(key)) >= count
        assert found.segment.strings(key).values(1, count) == expected.segment.strings(key).values(1, count), key
    mine_e, theirs_e, count = found.segment.entities, expected.segment.entities, expected.entity_count
    assert len(mine_e) >= count
    for column in BUILTIN.columns_of("entity"):
        if column.physical is Physical.CODES:
            (offsets, codes), (expected_offsets, expected_codes) = (
                mine_e.lists(column.name),
                theirs_e.lists(column.name),
            )
            assert offsets[: count + 1].tolist() == expected_offsets[: count + 1].tolist()
            assert codes[: offsets[count]].tolist() == expected_codes[: offsets[count]].tolist()
        else:
            assert mine_e.column(column.name)[:count].tobytes() == theirs_e.column(column.name)[:count].tobytes()


def assert_all_same(found: Iterable[Epoch], expected: Iterable[Epoch]) -> None:
    """Check every epoch."""
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
