"""`kestrel-lab unpack`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("unpack")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
def command(file: Path, out: Path | None) -> None:
    """Make a recording's folder again from its packed FILE.

    Prints the folder's path; it lies in the current folder unless OUT is given.

    \b
    Examples:
      kestrel-lab unpack case.krec.tar.zst
      kestrel-lab unpack /mnt/usb/case.krec.tar.zst ./mine.krec
    """
    from kestrel_lab.recording import unpack

    out = out or Path(file.name.removesuffix(".tar.zst"))
    unpack(file, out)
    click.echo(str(out))
