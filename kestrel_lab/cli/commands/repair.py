"""`kestrel-lab repair`."""

from __future__ import annotations

from pathlib import Path

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import RECORDING


@click.command("repair")
@click.argument("recording", type=RECORDING)
@click.argument("out", type=click.Path(path_type=Path))
def command(recording: Path, out: Path) -> None:
    """Copy what can be read of RECORDING into OUT.

    The copy is sealed, the original is never touched. What was lost becomes rows of the copy's gap map, and
    is named on stderr. Prints the copy's path.

    \b
    Examples:
      kestrel-lab repair case.krec mended.krec
      kestrel-lab repair killed.krec.tar.zst mended.krec
    """
    from kestrel_lab.recording import repair

    output.note_damage(repair(recording, out))
    click.echo(str(out))
