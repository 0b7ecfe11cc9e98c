"""`kestrel-lab import`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import click

from kestrel_lab.cli import output, units
from kestrel_lab.cli.options import format_option
from kestrel_lab.cli.status import StatusLine

if TYPE_CHECKING:
    from kestrel_lab.query.importing import ImportReport

UNITS = ("s", "ms", "us", "ns", "filetime")


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT.krec",
    help="The recording to make, a folder that does not exist yet.",
)
@click.option(
    "--category",
    default="event.category",
    show_default=True,
    metavar="FIELD",
    help="The field with the kind of event: the word before `where`.",
)
@click.option(
    "--timestamp",
    default="@timestamp",
    show_default=True,
    metavar="FIELD",
    help="The field with the time: ISO 8601 text (UTC if it says no zone), or a number.",
)
@click.option(
    "--timestamp-unit",
    "unit",
    type=click.Choice(UNITS),
    default="ms",
    show_default=True,
    help="What a number in it counts: since 1970, or with filetime 100 ns since 1601.",
)
@click.option(
    "--no-timestamp",
    is_flag=True,
    help="The events have no time: each comes 1 ms after the line before it, from 1970 on.",
)
@click.option("--tiebreaker", metavar="FIELD", help="The order of events of one time.  [default: that of the lines]")
@click.option(
    "--id", "id_", metavar="FIELD", help="The original id, kept as kestrel.source_id.  [default: _id, else event.id]"
)
@format_option()
def command(
    file: BinaryIO,
    out: Path,
    category: str,
    timestamp: str,
    unit: Literal["s", "ms", "us", "ns", "filetime"],
    no_timestamp: bool,
    tiebreaker: str | None,
    id_: str | None,
    fmt: output.Format,
) -> None:
    """Make a recording of FILE, one JSON object a line; `-` reads stdin.

    Objects may be nested or dotted, gzip and zstd are read too. Fields that Kestrel Lab knows keep their types; of all
    others the type is inferred. Events come in the order of time, tiebreaker, line. The recording is sealed, and
    replays like any other; its path is printed.

    Lines that are no event (broken JSON, no time, a value that does not fit its field) are left out: the first are
    named on stderr, all are kept with their reasons in OUT.krec.rejects.ndjson.

    \b
    Examples:
      kestrel-lab import events.ndjson -o case.krec
      kestrel-lab import flat.ndjson.gz -o flat.krec --category event_type --timestamp time --timestamp-unit s
      jq -c '.[]' array.json | kestrel-lab import - -o array.krec
      kestrel-lab replay case.krec --rules ./rules
    """
    from kestrel_lab.query.importing import import_events
    from kestrel_lab.schema.flat import Layout

    layout = Layout(category, None if no_timestamp else timestamp, unit, tiebreaker, id_)
    with closing(StatusLine()) as status:
        report = import_events(file, out, layout, on_progress=_Progress(status))
    _show(report, fmt)


class _Progress:
    """Keeps the status line."""

    def __init__(self, status: StatusLine) -> None:
        self._status = status

    def __call__(self, what: str, done: int, total: int) -> None:
        self._status.update(f"{what}: {done:,}{f' of {total:,}' if total else ''} lines")


def _show(report: ImportReport, fmt: output.Format) -> None:
    for reject in report.first_rejects:
        output.note(f"line {reject.line}: left out: {reject.reason}")
    if report.rejected > len(report.first_rejects):
        output.note(f"and {report.rejected - len(report.first_rejects):,} more")
    if report.rejects is not None:
        output.note(f"{units.count(report.rejected)} of {units.count(report.lines)} lines were left out and are in "
                    f"{report.rejects}")  # fmt: skip
    if fmt == "ndjson":
        output.emit({
            "recording": str(report.path), "head": report.head, "lines": report.lines, "events": report.events,
            "rejected": report.rejected, "rejects": None if report.rejects is None else str(report.rejects),
            "fields": _inferred(report),
        })  # fmt: skip
        return
    output.note(f"{units.count(report.events)} events with "
                f"{len(_inferred(report))} fields")  # fmt: skip
    click.echo(str(report.path))


def _inferred(report: ImportReport) -> dict[str, str]:
    """Return the type of each field that the events have."""
    return {
        name: field.type.value + ("[]" if field.many else "")
        for name, field in report.schema.fields.items()
        if field.tables
    }
