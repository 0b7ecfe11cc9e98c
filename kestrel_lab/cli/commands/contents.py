"""`kestrel-lab contents`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import output, units
from kestrel_lab.cli.options import RECORDING, format_option
from kestrel_lab.schema.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from kestrel_lab.recording import Recording

_COLUMNS = ("event", "role", "sha256", "size", "kept", "path")


@click.command("contents")
@click.argument("recording", type=RECORDING)
@click.argument("sha256", required=False)
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), metavar="FILE", help="Where to write the content."
)
@format_option()
def command(recording: Path, sha256: str | None, out: Path | None, fmt: output.Format) -> int:
    """List the files that were executed, or write the content of one.

    Their hashes are in every recording, unless it was made with `record --no-hash`; their contents if it was made with
    `record --collect`. SHA256 may be cut short. What is written is not made executable.

    \b
    Examples:
      kestrel-lab contents case.krec
      kestrel-lab contents case.krec 9ab8fabc -o sample.bin
    """
    from kestrel_lab.recording import open_recording

    source = open_recording(recording)
    if sha256 is None:
        _list(source, fmt)
        output.note_damage(source.damage)
        return ExitCode.DAMAGED if source.damage else ExitCode.OK
    if out is None:
        raise UsageError("the content needs a place", do="name a file with -o")
    _write(source, _whole(source, sha256.lower()), out)
    return ExitCode.OK


def _list(source: Recording, fmt: output.Format) -> None:
    from kestrel_lab.session.executed import executed_files

    rows = []
    for file in executed_files(source):
        path = file.path.decode(errors="backslashreplace")
        if fmt == "ndjson":
            found = {"sha256": file.sha256, "size": file.size} if file.sha256 else {"reason": file.reason}
            output.emit({"event_id": file.event_id, "path": path, "role": file.role, **found, "kept": file.kept})
            continue
        what = (file.sha256, units.size(file.size)) if file.sha256 else (file.reason, "")
        rows.append((str(file.event_id), file.role, *what, "yes" if file.kept else "", path))
    if fmt != "ndjson":
        output.table(_COLUMNS, rows, right=("event", "size"))


def _whole(source: Recording, start: str) -> str:
    """Return the one hash that begins so."""
    found = [digest for digest in source.contents if digest.startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} contents begin with {start}", do="give more of the hash")
    raise UsageError(
        f"no content with this hash is kept: {start}", where=str(source.path),
        do="`contents` without a hash lists what there is; contents are kept by `record --collect`",
    )  # fmt: skip


def _write(source: Recording, digest: str, out: Path) -> None:
    from kestrel_lab.recording import read_content

    if out.exists():
        raise UsageError("the file exists", where=str(out), do="choose another name, or remove it")
    partial = out.with_name(out.name + ".partial")
    try:
        with open(partial, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            for chunk in read_content(source, digest):
                file.write(chunk)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.rename(out)
