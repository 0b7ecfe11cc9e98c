"""`kestrel-lab diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import RECORDING, format_option, rules_option, skip_broken_option
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.session import Diff


@click.command("diff")
@click.argument("recording", type=RECORDING)
@click.argument("other", type=RECORDING, required=False)
@rules_option("Compare the live alerts with these rules, replayed; repeatable.  [default: the pack that ran live]")
@skip_broken_option
@format_option()
def command(recording: Path, other: Path | None, rules: tuple[Path, ...], skip_broken: bool, fmt: output.Format) -> int:
    """Compare live alerts with a replay, or two recordings.

    Every difference is missing, extra or changed, and carries its cause: a rule edited, the engine's lag, a damaged
    range. A proved cause is one that a replay without it, and nothing else changed, made appear or vanish. Exit code
    0 when all alerts are the same, 1 when not, 3 when they are the same but part of a recording cannot be read.

    \b
    Examples:
      kestrel-lab diff case.krec
      kestrel-lab diff case.krec --rules ./edited-rules
      kestrel-lab diff monday.krec tuesday.krec --format ndjson
    """
    if other is not None and rules:
        raise click.UsageError("give a second recording or --rules, not both.")
    from kestrel_lab.cli.differences import show
    from kestrel_lab.cli.inputs import load_rules
    from kestrel_lab.recording import open_recording
    from kestrel_lab.session import blind_rules, diff_recordings, diff_rules, recorded_rules

    if other is not None:
        found = diff_recordings(open_recording(recording), open_recording(other))
    else:
        opened = open_recording(recording)
        pack = load_rules(rules, opened.info.schema, skip_broken=skip_broken) if rules else None
        found = diff_rules(opened, pack)
        output.note_blind(blind_rules(opened, pack or recorded_rules(opened).last))
    show(found, fmt)
    return _exit_code(found)


def _exit_code(found: Diff) -> int:
    """A difference is a finding; `the same` over a damaged recording is not said with 0: damage may hide one."""
    if not found.equal:
        return ExitCode.FINDINGS
    return ExitCode.DAMAGED if found.damaged else ExitCode.OK
