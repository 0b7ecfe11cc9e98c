"""`kestrel-lab demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click


@click.command("demo")
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), metavar="DIR",
    help="The folder to leave the recording and the edited rules in.  [default: a new one in the temporary folder]",
)  # fmt: skip
def command(out: Path | None) -> None:
    """Record, alert, replay and diff in under two minutes.

    Where eBPF works, a harmless scripted intrusion is recorded: a script is dropped and run, a shell
    looks around and connects to a loopback listener, a file is packed, renamed and deleted, and more. Elsewhere it
    says what is missing and shows the same from a shipped recording.

    \b
    Examples:
      sudo kestrel-lab demo
      kestrel-lab demo -o ./demo
    """
    from kestrel_lab.capture import probe
    from kestrel_lab.cli.demo.story import tell

    if out is not None:
        out.mkdir(parents=True)
    folder = out or Path(tempfile.mkdtemp(prefix="kestrel-lab-demo-"))
    tell(folder.resolve(), [check for check in probe() if check.needed and not check.ok])
