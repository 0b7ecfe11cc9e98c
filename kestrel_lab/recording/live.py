"""What the engine said while the recording grew: alerts, skips, exhausted rules, progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from kestrel_lab.recording.encode import cut_stream
from kestrel_lab.recording.files import Appender, RecorderLock, disk_limits
from kestrel_lab.recording.journal import JournalTail, JournalWriter
from kestrel_lab.recording.layout import JOURNAL, LIVE, LOCK, short_hash
from kestrel_lab.recording.records import Extent
from kestrel_lab.recording.streams import read_at
from kestrel_lab.schema.alert import Alert, Exhausted, Skip
from kestrel_lab.schema.errors import LimitError, UsageError

_TEXT = pa.string()
_PLAIN_TYPES: Mapping[str, pa.DataType] = {"rule_id": _TEXT, "lag_ns": pa.int64(), "trapped": pa.bool_()}
_JSON = "json"  # columns whose text is JSON: values of any type, exactly


def _alert_schema() -> pa.Schema:
    texts = ("rule_id", "rule_name", "severity", "rule_hash", "pack_hash")
    ids = pa.list_(pa.uint64())
    rest: list[tuple[str, pa.DataType]] = [("event_ids", ids), ("ts_boot_ns", pa.uint64()), ("ts_wall_ns", pa.int64()),
            ("threat", pa.list_(_TEXT)), ("degraded", pa.list_(_TEXT))]  # fmt: skip
    values = [pa.field(name, _TEXT, metadata={_JSON: "1"}) for name in ("join_keys", "captures", "source_ids")]
    return pa.schema([*(pa.field(name, _TEXT) for name in texts), *(pa.field(*pair) for pair in rest), *values])


def _plain_schema(kind: type[Skip] | type[Exhausted]) -> pa.Schema:
    return pa.schema([pa.field(f.name, _PLAIN_TYPES.get(f.name, pa.uint64())) for f in fields(kind)])


SCHEMAS: Mapping[str, pa.Schema] = {
    "alerts": _alert_schema(),
    "skips": _plain_schema(Skip),
    "exhausted": _plain_schema(Exhausted),
}


class AlertLog:
    """Append-only log of one live engine, in `live/` of the recording. Its own journal says what is committed.

    An engine that starts again goes on where the log ends.
    """

    def __init__(self, recording: Path) -> None:
        """Open the log of a recording folder.

        Raises:
            UsageError: if another engine writes it.
            LimitError: when the disk is full.
        """
        self.folder = recording / LIVE
        with disk_limits(self.folder):
            self.folder.mkdir(mode=0o700, exist_ok=True)
        try:
            self._lock = RecorderLock(self.folder / LOCK)
        except BlockingIOError:
            raise UsageError("another engine writes this log", where=str(self.folder), do="stop it first") from None
        records, length, prefix = _committed(self.folder)
        self._journal = JournalWriter(self.folder / JOURNAL, length, prefix)
        ends = dict.fromkeys(SCHEMAS, 0)
        for name, extent in _extents(records):
            ends[name] = extent.start + extent.length
        self._ends = ends
        self._files: dict[str, Appender] = {}

    def append(self, alerts: Sequence[Alert]) -> None:
        """Append alerts.

        Raises:
            LimitError: when the disk is full.
        """
        self._append("alerts", [_alert_row(alert) for alert in alerts])

    def skip(self, skip: Skip) -> None:
        """Append a run of skipped epochs."""
        self._append("skips", [asdict(skip)])

    def exhausted(self, exhausted: Exhausted) -> None:
        """Append a (rule, epoch) pair that ran out of fuel."""
        self._append("exhausted", [asdict(exhausted)])

    def progress(self, epoch: int) -> None:
        """Say that every epoch up to this number was evaluated (or skipped)."""
        self._journal.append({"k": "progress", "n": epoch})

    def close(self, *, digest: str = "") -> None:
        """End the log in order.

        Args:
            digest: the alert digest of the live run.
        """
        self._journal.append({"k": "close", "digest": digest})
        self._journal.sync()
        self._journal.close()
        for file in self._files.values():
            file.sync()
            file.close()
        self._lock.release()

    def stopped(self, reason: str) -> None:
        """Say, in place of an engine that died, why it stopped; then let go of the log."""
        self._journal.append({"k": "stopped", "why": reason})
        self._journal.sync()
        self._journal.close()
        self._lock.release()

    def _append(self, name: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        if name not in self._files:
            self._files[name] = Appender(self.folder / f"{name}.arrows", self._ends[name])
        file = self._files[name]
        schema = SCHEMAS[name]
        head, message = cut_stream(pa.RecordBatch.from_pylist(rows, schema=schema))
        piece = bytes(message) if file.length else head + bytes(message)
        start = file.length
        file.append(piece)
        try:
            self._journal.append({"k": "rows", "ext": [name, start, len(piece), short_hash(piece)]})
        except LimitError:
            file.rewind(start)
            raise


@dataclass
class LiveLog:
    """What a live engine logged.

    Attributes:
        progress: the last epoch it had evaluated, -1 for none.
        ended: whether it ended in order; `digest` is what it gave then.
        stopped: why it stopped early, as far as its recorder could say.
        damage: parts that cannot be read.
    """

    alerts: list[Alert] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    exhausted: list[Exhausted] = field(default_factory=list)
    progress: int = -1
    ended: bool = False
    digest: str = ""
    stopped: str = ""
    damage: list[str] = field(default_factory=list)


def read_live(root: Path) -> LiveLog:
    """Return the live log of a recording folder; empty if no engine ran."""
    folder, out = root / LIVE, LiveLog()
    if not (folder / JOURNAL).exists():
        return out
    lines = JournalTail(folder / JOURNAL).read()
    while lines and lines[-1].record is None:
        lines.pop()  # a torn end
    out.damage += [f"live/{JOURNAL} is damaged at byte {line.offset}" for line in lines if line.record is None]
    records = [line.record for line in lines if line.record is not None]
    for record in records:
        if record["k"] == "progress":
            out.progress = record["n"]
        elif record["k"] == "close":
            out.digest = record["digest"]
        elif record["k"] == "stopped":
            out.stopped = record["why"]
        out.ended = record["k"] == "close"
    makers: dict[str, tuple[list[Any], Callable[[dict[str, Any]], Any]]] = {
        "alerts": (out.alerts, _alert_of),
        "skips": (out.skips, lambda row: Skip(**row)),
        "exhausted": (out.exhausted, lambda row: Exhausted(**row)),
    }
    for name, extent in _extents(records):
        try:
            data = read_at(folder / f"{name}.arrows", extent.start, extent.length)
        except FileNotFoundError:
            data = b""
        if len(data) < extent.length or short_hash(data) != extent.hash:
            out.damage.append(f"live/{name}.arrows is damaged between bytes {extent.start} and "
                              f"{extent.start + extent.length}")  # fmt: skip
            continue
        into, make = makers[name]
        head = SCHEMAS[name].serialize().size if extent.start == 0 else 0
        into += [make(row) for row in pa.ipc.read_record_batch(pa.py_buffer(data)[head:], SCHEMAS[name]).to_pylist()]
    return out


def _alert_row(alert: Alert) -> dict[str, Any]:
    row = alert.to_json()
    return row | {name: json.dumps(row[name]) for name in ("join_keys", "captures", "source_ids")}


def _alert_of(row: dict[str, Any]) -> Alert:
    return Alert.from_json(row | {name: json.loads(row[name]) for name in ("join_keys", "captures", "source_ids")})


def _committed(folder: Path) -> tuple[list[dict[str, Any]], int, bytes]:
    """Return the records of a log, where its torn end begins, and the bytes before that."""
    path = folder / JOURNAL
    if not path.exists():
        return [], 0, b""
    tail = JournalTail(path)
    lines = tail.read()
    length = tail.offset
    while lines and lines[-1].record is None:
        length = lines.pop().offset
    return [line.record for line in lines if line.record is not None], length, path.read_bytes()[:length]


def _extents(records: Sequence[dict[str, Any]]) -> list[tuple[str, Extent]]:
    return [(r["ext"][0], Extent(*r["ext"][1:])) for r in records if r["k"] == "rows" and r["ext"][0] in SCHEMAS]
