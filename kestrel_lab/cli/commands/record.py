"""`kestrel-lab record`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import ledger, output, units, when
from kestrel_lab.cli.alerts import line
from kestrel_lab.cli.options import format_option, rules_option, skip_broken_option, workers_option
from kestrel_lab.cli.status import StatusLine
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.schema.alert import Alert
    from kestrel_lab.session import RecordProgress, RecordReport


_LEAST = 64 << 20  # less than that would hold hardly a segment


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    found = None if value is None else units.parse_size(value)
    if value is not None and (found is None or found < _LEAST):
        raise click.BadParameter(f"{value!r} is no size of {units.size(_LEAST)} or more: write 500M or 2G.", ctx, param)
    return found


@click.command("record")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The recording to make, a folder that does not exist yet.  [default: ./kestrel-TIME.krec]",
)
@rules_option("A rule, or a folder of rules, to run beside it; repeatable.  [default: the starter pack]")
@skip_broken_option
@click.option("--no-rules", is_flag=True, help="Only record; run no rules.")
@click.option(
    "--alerts",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE|-",
    help="Append alerts to FILE as ndjson, or print them to stdout (-), instead of showing them on stderr.",
)
@click.option("--duration", callback=when.duration, metavar="S", help="Stop after so long: 30, 30s, 5m.")
@click.option("--only-needed", is_flag=True, help="Record only the kinds of events that a rule could match.")
@click.option(
    "--metrics",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Serve figures in the OpenMetrics format on this port of the loopback address.",
)
@click.option(
    "--keep",
    callback=when.duration,
    metavar="S",
    help="Keep the last 30m or 2h only, and what an alert rests on with the minute after it; SIGUSR1 keeps all that is "
    "there.",
)
@click.option("--max-size", callback=_size, metavar="N", help="Keep so much only, the newest: 500M, 2G.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="F",
    help="Leave out in the kernel what does not fit: comm=NAME, uid=N, port=N, path=PREFIX, cgroup=FOLDER, with != for"
    " all but these; values separated by commas; repeatable.",
)
@click.option("--collect", is_flag=True, help="Keep the files that are executed in the recording, each content once.")
@click.option("--no-hash", is_flag=True, help="Do not read and hash the files that are executed.")
@click.option("--env", is_flag=True, help="Record the environment of what is run; it often holds secrets.")
@click.option("--reads", is_flag=True, help="Record opens of files for reading too; they are most of what runs.")
@click.option(
    "--cgroup",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="PATH",
    help="Record only the processes of this cgroup v2 folder and below.",
)
@click.option(
    "--max-lag",
    callback=when.duration,
    metavar="S",
    help="The engine skips, and says so, rather than be further behind than this.  [default: 30]",
)
@workers_option
@format_option()
def command(
    argv: tuple[str, ...],
    out: Path | None,
    rules: tuple[Path, ...],
    skip_broken: bool,
    no_rules: bool,
    alerts: Path | None,
    duration: float | None,
    only_needed: bool,
    metrics: int | None,
    keep: float | None,
    max_size: int | None,
    filters: tuple[str, ...],
    collect: bool,
    no_hash: bool,
    env: bool,
    reads: bool,
    cgroup: Path | None,
    max_lag: float | None,
    workers: int,
    fmt: output.Format,
) -> int:
    """Record what the kernel does, and raise alerts as it happens.

    Goes on until Ctrl-C, the duration, or the end of COMMAND; then the recording is sealed and its path printed.
    A second Ctrl-C does not wait for the engine to catch up. Capture never waits for the rules.

    Rules that are edited meanwhile take over at the next epoch, once the edit is complete: unchanged rules keep what
    they remember, changed ones start empty. An edit that is wrong is reported, and the rules that run stay.

    What `--filter` leaves out is counted as filtered, and the recording says what was not captured; forks, execs and
    ends of processes are never left out, nor is a file whose path is not known for sure.

    With `--alerts -` or `--format ndjson`, stdout is ndjson and its last object sums the recording up.

    \b
    Examples:
      sudo kestrel-lab record -o case.krec
      sudo kestrel-lab record -o build.krec --no-rules -- make -j4
      sudo kestrel-lab record --rules ./rules --duration 10m --alerts alerts.ndjson
      sudo kestrel-lab record -o watch.krec --keep 30m --max-size 2G
      sudo kestrel-lab record --filter 'comm!=postgres' --filter 'path!=/var/lib/docker/,/proc/'
      sudo kestrel-lab record --alerts - | jq -r 'select(.rule_id) | .rule_name'
    """
    if no_rules and (rules or only_needed):
        raise click.UsageError("--no-rules leaves nothing for --rules and --only-needed to work on.")
    from kestrel_lab.capture import CaptureConfig, parse_filters
    from kestrel_lab.cli.inputs import load_rules
    from kestrel_lab.cli.metrics import serving
    from kestrel_lab.schema.resources import resource
    from kestrel_lab.session import DEFAULT_MAX_LAG_S, Keeping, RulePaths, Stop, record
    from kestrel_lab.session.signals import stop_on_signals

    paths = rules or (resource("rules"),)
    watch = RulePaths.of(paths, skip_broken=skip_broken)
    pack = None if no_rules else load_rules(paths, skip_broken=skip_broken)
    out = out or Path(time.strftime("kestrel-%Y%m%d-%H%M%S.krec"))
    stop = Stop()
    # Signals are held until the path is printed: an impatient Ctrl-C must not hide where the recording is.
    with stop_on_signals(stop):
        with closing(StatusLine()) as status, ExitStack() as stack:
            report = record(
                CaptureConfig(cgroup=cgroup, reads=reads, env=env, hashes=not no_hash, filters=parse_filters(filters)),
                out,
                pack,
                command=argv,
                duration=duration,
                only_needed=only_needed,
                collect=collect,
                keeping=Keeping(keep, max_size),
                figures=metrics is not None,
                workers=workers,
                max_lag_s=DEFAULT_MAX_LAG_S if max_lag is None else max_lag,
                watch=watch,
                on_alert=_alert_sink(alerts, status, stack),
                on_notice=lambda text: status.say(output.message(text)),
                on_progress=_both(_Progress(out, status), stack.enter_context(serving(metrics)) if metrics else None),
                stop=stop,
            )
        _show(report, as_data=fmt == "ndjson" or alerts == Path("-"))
    return _exit_code(report, hurried=stop.hurry)


def _both(
    shown: Callable[[RecordProgress], None], served: Callable[[RecordProgress], None] | None
) -> Callable[[RecordProgress], None]:
    def told(now: RecordProgress) -> None:
        shown(now)
        if served is not None:
            served(now)

    return told


def _alert_sink(target: Path | None, status: StatusLine, stack: ExitStack) -> Callable[[Alert], None]:
    if target is None:
        return lambda alert: status.say(line(alert))
    if target == Path("-"):
        return lambda alert: output.emit(alert.to_json())
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    file = stack.enter_context(FileIO(fd, "ab"))
    return lambda alert: _append(file, alert)


def _append(file: FileIO, alert: Alert) -> None:
    file.write(output.json_line(alert.to_json()))


class _Progress:
    """Says once that recording has begun, then keeps the status line."""

    def __init__(self, out: Path, status: StatusLine) -> None:
        self._out, self._status = out, status
        self._begun = self._engine_failed = False

    def __call__(self, now: RecordProgress) -> None:
        if not self._begun:
            self._begun = True
            self._status.say(f"recording into {output.printable(str(self._out))}; Ctrl-C stops")
        if now.engine_error is not None and not self._engine_failed:
            self._engine_failed = True
            self._status.say(f"the rules stopped, recording goes on: {now.engine_error.render()}")
        self._status.update(
            f"{now.events_per_s:,.0f} events/s   lost {now.lost:,}   alerts {now.alerts:,}   {units.size(now.bytes)}"
        )


def summary(report: RecordReport) -> dict[str, object]:
    """Return what a recording became, as the last ndjson object."""
    return {
        "recording": str(report.path),
        "head": report.head,
        "events": report.events,
        "epochs": report.epochs,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 3),
        **ledger.words(report.ledger),
        "alerts": report.alerts,
        "digest": report.digest,
        "skips": len(report.skips),
        "switches": len(report.engine.switches) if report.engine else 0,
        "exhausted": len(report.engine.exhausted) if report.engine else 0,
        "expired": report.expired,
        "command_exit": report.command_exit,
        "interrupted": report.interrupted,
    }


def _show(report: RecordReport, *, as_data: bool) -> None:
    for error in (report.failure, report.engine_error):
        if error is not None:
            output.note(f"error: {error.render()}")
    if report.skips:
        output.note(f"the engine lagged and skipped {len(report.skips)} ranges; `diff` names them")
    if report.expired:
        output.note(f"{units.count(report.expired)} segments were removed, as was asked for")
    output.note_stops(report.engine.exhausted if report.engine else ())
    if as_data:
        output.emit(summary(report))
        return
    output.note(
        f"{units.count(report.events)} events, {units.count(report.alerts)} alerts, {units.size(report.bytes)}, "
        f"{report.seconds:.1f} s; {ledger.sentence(report.ledger)}"
    )
    if report.command_exit is not None:
        output.note(f"the command ended with {report.command_exit}")
    click.echo(str(report.path))


def _exit_code(report: RecordReport, *, hurried: bool) -> int:
    for error in (report.failure, report.engine_error):
        if error is not None:
            return error.exit_code
    return ExitCode.INTERRUPTED if hurried else ExitCode.OK
