"""`kestrel-lab pack`."""

from __future__ import annotations

from pathlib import Path

import click

from kestrel_lab.cli.options import RECORDING


@click.command("pack")
@click.argument("recording", type=RECORDING)
@click.argument("out", type=click.Path(path_type=Path), required=False)
def command(recording: Path, out: Path | None) -> None:
    """Make one file of RECORDING, to travel.

    The file, NAME.krec.tar.zst, holds its own checksums. Every command reads the packed form too. Prints the file's
    path; it lies beside RECORDING unless OUT is given.

    \b
    Examples:
      kestrel-lab pack case.krec
      kestrel-lab pack case.krec /mnt/usb/case.krec.tar.zst
    """
    from kestrel_lab.recording import pack

    out = out or recording.with_name(recording.name + ".tar.zst")
    pack(recording, out)
    click.echo(str(out))
