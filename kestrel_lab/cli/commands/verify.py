"""`kestrel-lab verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import output, units
from kestrel_lab.cli.options import RECORDING, format_option
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.recording import VerifyReport


@click.command("verify")
@click.argument("recording", type=RECORDING)
@format_option()
def command(recording: Path, fmt: output.Format) -> int:
    """Check every hash of RECORDING, a folder or a packed file.

    Says which segment is damaged, which events it held, and what a recording lacks that was cut. Exit code 3 if any
    part is damaged; a recording that was only cut holds all that was committed.

    \b
    Examples:
      kestrel-lab verify case.krec
      kestrel-lab verify case.krec.tar.zst --format ndjson
    """
    from kestrel_lab.recording import verify

    report = verify(recording)
    if fmt == "ndjson":
        output.emit(report_json(report))
    else:
        _show(report)
    return ExitCode.OK if report.ok else ExitCode.DAMAGED


def report_json(report: VerifyReport) -> dict[str, Any]:
    """Return what was checked and found as one ndjson object."""
    return {
        "recording": str(report.path),
        "ok": report.ok,
        "complete": report.complete,
        "end": report.end,
        "head": report.head,
        "segments": report.segments,
        "epochs": report.epochs,
        "events": report.events,
        "damage": [asdict(part) for part in report.damage],
        "missing": list(report.missing),
    }


def _show(report: VerifyReport) -> None:
    for part in report.damage:
        click.echo(output.printable(f"damaged: {part.where}: {part.reason}"))
    for words in report.missing:
        click.echo(output.printable(f"missing: {words}"))
    checked = f"{report.segments} segments, {units.count(report.epochs)} epochs, {units.count(report.events)} events"
    click.echo(f"{'ok' if report.ok else 'damaged'}: {checked}")
    click.echo(f"head {report.head}")
