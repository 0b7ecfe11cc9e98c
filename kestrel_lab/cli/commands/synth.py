"""`kestrel-lab synth`."""

from __future__ import annotations

import re
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import ledger, output, units, when
from kestrel_lab.cli.options import format_option
from kestrel_lab.cli.status import StatusLine
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.session import SynthReport

_NUMBER = re.compile(r"\d[\d_]*(\.\d+)?(e\d{1,2})?", re.ASCII | re.IGNORECASE)


def _number(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Option callback: return a whole number from 1000000, 1_000_000 or 1e6."""
    if value is None:
        return None
    number = Decimal(value.replace("_", "")) if _NUMBER.fullmatch(value) else Decimal("0.5")
    if number != int(number):
        raise click.BadParameter(f"{value!r} is no whole number: write 1000000, 1_000_000 or 1e6.", ctx, param)
    return int(number)


@click.command("synth")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT.krec",
    help="The recording to make, a folder that does not exist yet.",
)
@click.option("--events", callback=_number, default="1e6", show_default=True, metavar="N", help="How many events.")
@click.option(
    "--seed", callback=_number, default="1", show_default=True, metavar="N", help="Another one, other events."
)
@click.option(
    "--processes", callback=_number, metavar="N", help="How many begin and end.  [default: one for 10 events]"
)
@click.option(
    "--fresh",
    type=float,
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Events that bring a string that was not there before, up to 0.25.",
)
@click.option(
    "--alerts",
    callback=_number,
    default="0",
    show_default=True,
    metavar="N",
    help="Plant so many small attack stories that the starter pack alerts on.",
)
@click.option("--gaps", callback=_number, default="0", show_default=True, metavar="N", help="Plant so many gaps.")
@click.option(
    "--duration",
    callback=when.duration,
    default="24h",
    show_default=True,
    metavar="S",
    help="Event time from first to last.",
)
@click.option(
    "--epoch-rows",
    callback=_number,
    default="16384",
    show_default=True,
    metavar="N",
    help="Events of an epoch; what the events are does not depend on it.",
)
@format_option()
def command(
    out: Path,
    events: int,
    seed: int,
    processes: int | None,
    fresh: float,
    alerts: int,
    gaps: int,
    duration: float,
    epoch_rows: int,
    fmt: output.Format,
) -> int:
    """Make a recording of a machine that does not exist, for tests and benchmarks.

    Trees of processes, files and connections, with power laws, bursts and quiet times over the day. The same options
    give the same events. The recording says that it is synthetic, in its manifest, its host and the identities of its
    processes; `info` shows how it was made. It verifies, replays and packs like any other. Ctrl-C seals what there is;
    the path is printed.

    \b
    Examples:
      kestrel-lab synth -o small.krec --events 1e5 --alerts 8
      kestrel-lab synth -o day.krec --events 1e7 --seed 7 --duration 24h
      kestrel-lab synth -o forks.krec --events 5e6 --processes 1e6 --fresh 0.2 --gaps 3
      kestrel-lab replay small.krec --rules rules
    """
    from kestrel_lab.session import Stop, synthesize
    from kestrel_lab.session.signals import stop_on_signals
    from kestrel_lab.synth import SynthOptions

    options = SynthOptions(events, seed, processes, fresh, alerts, gaps, duration, epoch_rows)
    stop = Stop()
    # Signals are held until the path is printed.
    with stop_on_signals(stop):
        with closing(StatusLine()) as status:

            def tell(done: int, size: int) -> None:
                status.update(f"{done:,} of {events:,} events ({100 * done // events} %)   {units.size(size)}")

            report = synthesize(options, out, on_progress=tell, stop=stop)
        _show(report, events, fmt)
    return _exit_code(report)


def _show(report: SynthReport, asked: int, fmt: output.Format) -> None:
    if report.failure is not None:
        output.note(f"error: {report.failure.render()}")
    if report.events < asked:
        output.note(f"stopped: the first {units.count(report.events)} of {units.count(asked)} events are sealed")
    if fmt == "ndjson":
        output.emit({
            "recording": str(report.path), "head": report.head, "synthetic": True, "events": report.events,
            "epochs": report.epochs, "bytes": report.bytes, "seconds": round(report.seconds, 3),
            **ledger.words(report.ledger), "interrupted": report.interrupted,
        })  # fmt: skip
        return
    output.note(
        f"{units.count(report.events)} synthetic events, {units.size(report.bytes)}, {report.seconds:.1f} s "
        f"({units.rate(report.events, report.seconds)} events/s); {ledger.sentence(report.ledger)}"
    )
    click.echo(str(report.path))


def _exit_code(report: SynthReport) -> int:
    if report.failure is not None:
        return report.failure.exit_code
    return ExitCode.INTERRUPTED if report.interrupted else ExitCode.OK
