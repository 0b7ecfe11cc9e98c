"""`kestrel-lab replay`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import alerts, output, units
from kestrel_lab.cli.options import (
    RECORDING,
    format_option,
    range_options,
    rules_option,
    skip_broken_option,
    workers_option,
)
from kestrel_lab.cli.when import Place
from kestrel_lab.schema.errors import DivergedError, ExitCode

if TYPE_CHECKING:
    from kestrel_lab.recording import Recording
    from kestrel_lab.schema.alert import Mode
    from kestrel_lab.session import PackSchedule, Proof, Replay


@click.command("replay")
@click.argument("recording", type=RECORDING)
@rules_option("A rule, or a folder of rules; repeatable.  [default: the pack inside the recording]")
@skip_broken_option
@click.option(
    "--mode",
    type=click.Choice(["deterministic", "live"]),
    default="deterministic",
    show_default=True,
    help="The interpreter, or compiled code; the answers are the same.",
)
@range_options
@workers_option
@click.option("--prove", is_flag=True, help="Replay in every configuration and compare the digests.")
@click.option("--as-live", is_flag=True, help="Pass over what the live engine skipped: must give the live alerts.")
@format_option()
def command(
    recording: Path,
    rules: tuple[Path, ...],
    skip_broken: bool,
    mode: Mode,
    start: Place | None,
    stop: Place | None,
    workers: int,
    prove: bool,
    as_live: bool,
    fmt: output.Format,
) -> int:
    """Run rules over RECORDING again, to the same alerts.

    Prints the alerts, their digest and the fuel each rule used. `--from` and `--to` choose which alerts are shown;
    the rules always see everything. `--prove` exits with 4 if any two configurations disagree, `--as-live` if the
    alerts are not those raised live.

    \b
    Examples:
      kestrel-lab replay case.krec
      kestrel-lab replay case.krec --rules ./rules --workers 2
      kestrel-lab replay case.krec --from +30s --to +45s --format ndjson
      kestrel-lab replay case.krec --prove
      kestrel-lab replay case.krec --as-live
    """
    if prove and (as_live or start or stop or workers != 1 or mode != "deterministic"):
        raise click.UsageError("--prove runs every configuration itself, over the whole recording.")
    if as_live and (rules or start or stop):
        raise click.UsageError("--as-live takes rules and range from the recording.")
    from kestrel_lab.cli.inputs import alert_window, rules_for
    from kestrel_lab.recording import open_recording
    from kestrel_lab.schema.mark import mark_of

    source = open_recording(recording)
    if mark_of(source.info, source.manifest.get("facts", {})) is not None:
        output.note("this recording is synthetic: nothing in it happened")

    if prove:
        return _prove(source, rules_for(source, rules, skip_broken=skip_broken), fmt)
    if as_live:
        return _as_live(source, mode, workers, fmt)
    from kestrel_lab.session import blind_rules, replay

    schedule = rules_for(source, rules, skip_broken=skip_broken)
    window = alert_window(source, start, stop)
    found = replay(source, schedule, mode=mode, workers=workers, **window)
    _show(found, mode, fmt)
    output.note_blind(blind_rules(source, schedule.last))
    return ExitCode.DAMAGED if found.damage else ExitCode.OK


def _as_live(source: Recording, mode: Mode, workers: int, fmt: output.Format) -> int:
    from kestrel_lab.schema.alert import alert_digest
    from kestrel_lab.session import replay_as_live

    found = replay_as_live(source, mode=mode, workers=workers)
    _show(found, mode, fmt)
    if found.damage:
        return ExitCode.DAMAGED
    live = alert_digest(source.live_alerts)
    if found.digest != live and source.expired:
        return _but_for_expired(source)
    if found.digest != live:
        raise DivergedError(
            f"the live alerts have digest {live}, their replay has {found.digest}",
            where=str(source.path),
            do="`kestrel-lab diff` names each difference and its cause.",
        )
    if list(found.exhausted) != list(source.exhausted):
        raise DivergedError("other rules ran out of fuel or trapped than live", where=str(source.path))
    output.note("the same alerts as live")
    return ExitCode.OK


def _but_for_expired(source: Recording) -> int:
    """Say whether all that differs from the live alerts rests on what has expired."""
    from kestrel_lab.session import CauseKind, diff_rules

    differences = diff_rules(source).differences
    other = [d for d in differences if d.causes[0].kind is not CauseKind.EXPIRED]
    if other:
        raise DivergedError(
            f"{len(other)} alerts differ from the live ones for another reason than what has expired",
            where=str(source.path), do="`kestrel-lab diff` names each difference and its cause.",
        )  # fmt: skip
    output.note(f"the same alerts as live, but for {len(differences)} that rest on, or follow, what has expired")
    return ExitCode.OK


def _prove(source: Recording, rules: PackSchedule, fmt: output.Format) -> int:
    from kestrel_lab.session import prove

    proof = prove(source, rules)
    _show_proof(proof, fmt)
    output.note_damage(proof.damage)
    proof.check()
    return ExitCode.DAMAGED if proof.damage else ExitCode.OK


def summary(found: Replay, mode: Mode) -> dict[str, object]:
    """Return what a replay found, as the last ndjson object."""
    return {
        "digest": found.digest,
        "alerts": len(found.alerts),
        "events": found.events,
        "epochs": found.epochs,
        "skipped": found.skipped,
        "evaluations": found.evaluations,
        "mode": mode,
        "end": found.end,
        "fuel": dict(found.fuel),
        "exhausted": [asdict(row) for row in found.exhausted],
        "evicted": dict(found.evicted),
        "open": [result.to_json() for result in found.open],
        "damage": [asdict(row) for row in found.damage],
        "switches": [asdict(row) for row in found.switches],
        "seconds": round(found.seconds, 3),
    }


def _show(found: Replay, mode: Mode, fmt: output.Format) -> None:
    alerts.show(found.alerts, fmt)
    output.note_damage(found.damage)
    if fmt == "ndjson":
        output.emit(summary(found, mode))
        return
    click.echo(f"digest {found.digest}")
    output.note(
        f"{units.count(len(found.alerts))} alerts from {units.count(found.events)} events in {found.seconds:.2f} s "
        f"({units.rate(found.events, found.seconds)} events/s, {units.count(found.evaluations)} rule evaluations)"
    )
    for switch in found.switches:
        output.note(switch.render())
    output.note_stops(found.exhausted)
    for rule, count in found.evicted.items():
        output.note(f"{rule} gave up {units.count(count)} pending sequences for want of room")
    for rule, count in Counter(result.rule_id for result in found.open).items():
        output.note(f"{rule} has {units.count(count)} results open: the recording does not say how they end")
    rows = [(rule, units.count(fuel)) for rule, fuel in found.fuel.items()]
    for text in output.plain_lines(("rule", "fuel"), rows, ("fuel",)):
        output.note(text)


def _show_proof(proof: Proof, fmt: output.Format) -> None:
    if fmt == "ndjson":
        for row in proof.rows:
            output.emit({**asdict(row), "seconds": round(row.seconds, 3)})
        output.emit(
            {
                "equal": proof.equal,
                "difference": proof.difference,
                "damage": [asdict(row) for row in proof.damage],
            }
        )
        return
    rows = [(r.configuration, r.digest, str(r.alerts), units.count(r.fuel), f"{r.seconds:.2f}") for r in proof.rows]
    output.table(("configuration", "digest", "alerts", "fuel", "seconds"), rows, right=("alerts", "fuel", "seconds"))
    if proof.equal:
        click.echo(f"{len(proof.rows)} configurations, one digest: {proof.rows[0].digest}")
