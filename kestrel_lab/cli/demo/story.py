"""The demo, told on stdout: record, alert, replay, prove equal, edit a rule, diff."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import alerts, ledger, output, units
from kestrel_lab.cli.demo import intrusion
from kestrel_lab.cli.demo.edit import edited_pack
from kestrel_lab.cli.demo.recorder import Recorder
from kestrel_lab.schema.alert import Alert, alert_digest
from kestrel_lab.schema.errors import DivergedError, UnavailableError
from kestrel_lab.schema.resources import resource

if TYPE_CHECKING:
    from kestrel_lab.capture import Check
    from kestrel_lab.recording import Recording

SHIPPED = "demo.krec.tar.zst"

#: How long each act is given to raise its alerts, and how long recording goes on after the last, seconds.
_LISTEN_S = 1.0


def tell(folder: Path, missing: Sequence[Check]) -> None:
    """Tell the whole story; everything it makes lies in `folder`.

    Args:
        missing: what keeps this machine from recording; empty where it can.

    Raises:
        DivergedError: if the replay gives other alerts than were raised live.
    """
    path = folder / "demo.krec"
    if missing:
        say_missing(missing)
        take_shipped(path)
    else:
        try:
            record_intrusion(path)
        except UnavailableError as error:
            click.echo(output.message(error.render()))
            take_shipped(path)
    from kestrel_lab.recording import open_recording

    recording = open_recording(path)
    show_recorded(recording)
    show_replay(recording)
    rules = show_edit(recording, folder / "edited-rules")
    show_next(path, rules, recording.live_alerts)


def say_missing(missing: Sequence[Check]) -> None:
    """Say exactly what is missing, what that costs and how to mend it."""
    heading("This machine cannot record now")
    for check in missing:
        output.facts([("found", check.found), ("costs", check.costs), ("mend", check.mend)], title=f"{check.name}:")


def take_shipped(path: Path) -> None:
    """Unpack the shipped recording of this demo and show the alerts it holds.

    Raises:
        UnavailableError: if the installation lacks it.
    """
    from kestrel_lab.recording import open_recording, unpack

    packed = resource("recordings") / SHIPPED
    if not packed.exists():
        raise UnavailableError("the installation lacks the recording of this demo", where=str(packed))
    heading("So this is a recording of the same demo, made on a machine that can")
    unpack(packed, path)
    for alert in open_recording(path).live_alerts:
        click.echo(f"    {alerts.line(alert)}")


def record_intrusion(path: Path) -> None:
    """Record while a harmless scripted intrusion happens, and show each alert as it comes."""
    heading("Recording this machine with the starter rules")
    with intrusion.stage() as place, Recorder(path, resource("rules")) as recorder:
        for act in place.acts:
            click.echo(f"> {act.story}")
            act.run()
            for heard in recorder.alerts(_LISTEN_S):
                click.echo(f"    {heard.delay_ns / 1e9:.2f} s later: {alerts.line(heard.alert)}")
    click.echo(f"stopped and sealed; head {recorder.summary.get('head', '')}")


def show_recorded(recording: Recording) -> None:
    """Show what was recorded: events by action, the ledger, bytes."""
    from kestrel_lab.cli.events import count_actions

    heading("What was recorded")
    counts = count_actions(recording.info.schema, recording.epochs())
    rows = [(action.table, action.name, units.count(number)) for action, number in counts]
    output.table(("category", "action", "events"), rows, right=("events",))
    events = sum(number for _, number in counts)
    stored = sum(file.stat().st_size for file in recording.path.rglob("*") if file.is_file())
    click.echo(f"{units.count(events)} events, {units.size(stored)} in {recording.path}")
    if recording.ledger is not None:
        click.echo(f"ledger: {ledger.sentence(recording.ledger)}")


def show_replay(recording: Recording) -> None:
    """Replay deterministically and show that the digests are equal.

    Raises:
        DivergedError: if they are not.
    """
    from kestrel_lab.session import recorded_rules, replay

    heading("Replaying it with the same rules, interpreted")
    found = replay(recording, recorded_rules(recording))
    live = alert_digest(recording.live_alerts)
    click.echo(f"live    {live}  {len(recording.live_alerts)} alerts")
    click.echo(f"replay  {found.digest}  {len(found.alerts)} alerts")
    if found.digest != live:
        raise DivergedError("the digests differ", where=str(recording.path), do="`kestrel-lab diff` names the cause.")
    click.echo("equal")


def show_edit(recording: Recording, folder: Path) -> Path:
    """Edit one rule, replay, and show the diff with its cause; return the folder of edited rules."""
    from kestrel_lab.cli import differences
    from kestrel_lab.session import diff_rules

    heading("Replaying it with one rule edited")
    edit, pack = edited_pack(recording.packs[0][1], recording.live_alerts, folder)
    click.echo(f"edited: {edit.rule_name}; its query now ends in `{edit.added}`")
    for text in differences.lines(diff_rules(recording, pack)):
        click.echo(text)
    return folder


def show_next(path: Path, rules: Path, raised: Sequence[Alert]) -> None:
    """Close with five commands to try."""
    heading("Try next")
    evidence = raised[0].last_event_id if raised else 1
    name, recording, edited = program(), shlex.quote(str(path)), shlex.quote(str(rules))
    for line in (
        f"{name} info {recording}",
        f"{name} dump {recording} --from {evidence} --to {evidence}",
        f"{name} replay {recording} --prove",
        f"{name} diff {recording} --rules {edited}",
        f"{name} rules check {edited}",
    ):
        click.echo(f"  {line}")


def program() -> str:
    """Return how this command is called from here."""
    here = sys.argv[0]
    if Path(here).name != "kestrel-lab":
        return "kestrel-lab"
    found = shutil.which("kestrel-lab")
    return "kestrel-lab" if found and os.path.samefile(found, here) else shlex.quote(here)


def heading(text: str) -> None:
    """Write a heading, bold on a terminal that wants colours."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    click.echo(f"\n{text}" if plain else click.style(f"\n{text}", bold=True))
