"""`kestrel-lab dump`."""

from __future__ import annotations

from pathlib import Path

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import RECORDING, format_option, range_options
from kestrel_lab.cli.when import Place
from kestrel_lab.schema.errors import ExitCode


@click.command("dump")
@click.argument("recording", type=RECORDING)
@range_options
@format_option("ndjson")
def command(recording: Path, start: Place | None, stop: Place | None, fmt: output.Format) -> int:
    """Print the events of RECORDING.

    They come in id order, under their ECS names. A field without a value is left out; text that is not UTF-8 is
    {"$bytes": base64}. What is damaged is passed over, named on stderr, and makes the exit code 3.

    \b
    Examples:
      kestrel-lab dump case.krec --from 1200 --to 1210
      kestrel-lab dump case.krec --from +30s --to +31s --format table
      kestrel-lab dump case.krec | jq -c 'select(."event.action" == "exec") | ."process.args"'
    """
    from kestrel_lab.cli import events
    from kestrel_lab.cli.inputs import event_range, overlapping
    from kestrel_lab.recording import open_recording

    source = open_recording(recording)
    wanted = event_range(source, start, stop)
    render = events.ndjson if fmt == "ndjson" else events.lines
    for chunk in render(source.info, overlapping(source, wanted), wanted):
        click.echo(chunk, nl=False)
    output.note_damage(source.damage)
    return ExitCode.DAMAGED if source.damage else ExitCode.OK
