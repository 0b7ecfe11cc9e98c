"""Import in two passes: the first infers types and learns the order, the second reads in that order and writes.

In memory are, for each line, its place, its time and a checksum (28 bytes, and its tiebreaker), and for the segment
being written its dictionaries; never the events.
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from kestrel_lab.query.importing.decode import decode
from kestrel_lab.query.importing.lines import Lines, open_lines
from kestrel_lab.query.importing.rejects import Reject, Rejects
from kestrel_lab.recording import RecordingWriter
from kestrel_lab.schema.epoch import Epoch, Ledger, SourceInfo
from kestrel_lab.schema.errors import DamagedError, KestrelError, UsageError
from kestrel_lab.schema.flat import Layout, RejectedError
from kestrel_lab.schema.flat.flatten import Cell
from kestrel_lab.schema.flat.infer import Inference
from kestrel_lab.schema.flat.rows import EpochBuilder
from kestrel_lab.schema.flat.source import order
from kestrel_lab.schema.schema import Schema

#: Called now and then with what is going on, the lines done, and how many there are (0: not known yet).
OnProgress = Callable[[str, int, int], None]
_TELL_EVERY = 4_096


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import made.

    Attributes:
        lines: that are not blank; `events` of them were imported, `rejected` were not.
        first_rejects: the first few of those; `rejects` is the file that holds all of them, None for none.
        schema: of the recording.
        head: the recording's head hash.
    """

    path: Path
    lines: int
    events: int
    rejected: int
    first_rejects: tuple[Reject, ...]
    rejects: Path | None
    schema: Schema
    head: str


def import_events(
    source: BinaryIO, out: Path, layout: Layout | None = None, *, on_progress: OnProgress | None = None
) -> ImportReport:
    """Import a file of JSON objects, one a line, into a new recording, which is sealed.

    Lines that are no event are left out, counted, and kept in `OUT.rejects.ndjson`.

    Args:
        source: a file or a pipe, opened for reading bytes; gzip and zstd are recognised.
        out: the recording's folder; it must not exist.
        layout: which fields say what an event is and when it happened.

    Raises:
        UsageError: if `out` or the reject file exists, or the file changed while it was read.
        DamagedError: if no line is an event, or a compressed file is cut.
        LimitError: if there are too many categories or fields, or the disk is full.
    """
    layout, tell = layout or Layout(), on_progress or (lambda *_: None)
    name = str(getattr(source, "name", "-"))
    if out.exists():
        raise UsageError("the folder exists", where=str(out), do="choose another name, or move it away")
    out.parent.mkdir(parents=True, exist_ok=True)
    with Rejects(out) as rejects, open_lines(source, out.parent) as lines:
        index = _first_pass(lines, layout, rejects, tell)
        if not index.times:
            raise _nothing(name, rejects)
        schema = index.inference.schema()
        info = SourceInfo(_recording_id(lines, layout), {}, schema)
        facts = {"import": {"file": Path(name).name, "lines": len(index.times) + rejects.count,
                            "rejected": rejects.count, "layout": asdict(layout)}}  # fmt: skip
        writer = RecordingWriter(out, info, facts)
        try:
            for epoch in _second_pass(lines, layout, index, schema, tell, name):
                writer.commit(epoch)
            count, seen = len(index.times), len(index.times) + rejects.count
            head = writer.close(Ledger(seen=seen, received=seen, written=count, lost_user=rejects.count))
        except BaseException:
            with suppress(KestrelError, OSError):
                writer.close(None, end="cut")
            shutil.rmtree(out)
            raise
        rejects.keep()
    return ImportReport(
        out, seen, count, rejects.count, tuple(rejects.first), rejects.path if rejects.count else None, schema, head
    )


@dataclass
class _Index:
    """What the first pass learnt; one entry an event, in the order of the file."""

    inference: Inference = field(default_factory=Inference)
    times: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("I"))
    numbers: array[int] = field(default_factory=lambda: array("I"))
    sums: array[int] = field(default_factory=lambda: array("I"))
    ties: list[Cell] = field(default_factory=list)


def _first_pass(lines: Lines, layout: Layout, rejects: Rejects, tell: OnProgress) -> _Index:
    index = _Index()
    for line in lines:
        try:
            event = layout.read(decode(line.data), line.number - 1)
        except RejectedError as error:
            rejects.add(line, str(error))
            continue
        index.inference.see(event)
        index.times.append(event.time_ns)
        index.offsets.append(line.offset)
        index.lengths.append(len(line.data))
        index.sums.append(crc32(line.data))
        index.numbers.append(line.number)
        if layout.tiebreaker is not None:
            index.ties.append(event.tie)
        if line.number % _TELL_EVERY == 0:
            tell("reading", line.number, 0)
    return index


def _second_pass(
    lines: Lines, layout: Layout, index: _Index, schema: Schema, tell: OnProgress, name: str
) -> Iterator[Epoch]:
    builder = EpochBuilder(schema)
    for done, place in enumerate(order(index.times, index.ties)):
        data, number = lines.at(index.offsets[place], index.lengths[place]), index.numbers[place]
        if crc32(data) != index.sums[place]:
            raise UsageError(
                f"line {number} is not what it was a moment ago: the file changed while it was read",
                where=name, do="Import a copy, or a file that nothing writes to.",
            )  # fmt: skip
        builder.add(layout.read(decode(data), number - 1, index.times[place]), len(data))
        if builder.full:
            yield builder.epoch()
        if done % _TELL_EVERY == 0:
            tell("writing", done, len(index.times))
    yield from builder.rest()


def _recording_id(lines: Lines, layout: Layout) -> str:
    """Return the same id for the same file read in the same way."""
    return blake2b(f"{lines.hash} {sorted(asdict(layout).items())}".encode(), digest_size=16).hexdigest()


def _nothing(name: str, rejects: Rejects) -> DamagedError:
    if not rejects.count:
        return DamagedError("the file holds no events: it is empty", where=name)
    first = rejects.first[0]
    hint = ""
    if first.line == 1 and first.reason in ("it is no JSON object", "broken JSON: it ends too early"):
        hint = "An event is one JSON object on one line; `jq -c '.[]'` makes lines of an array."
    elif first.reason.startswith("it has no "):
        hint = "--timestamp names the field with the time; with --no-timestamp there need be none."
    why = f"line {first.line}: {first.reason}"
    return DamagedError(f"none of {rejects.count:,} lines is an event; {why}", where=name, do=hint)
