"""`kestrel-lab doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import format_option
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.capture import Check


@click.command("doctor")
@click.option("--footprint", is_flag=True, help="List what installing and recording write on this host instead.")
@format_option()
def command(footprint: bool, fmt: output.Format) -> int:
    """Say what this machine lacks for recording, and what mends it.

    Changes nothing. Exit code 0 when recording works, 1 when something that it needs is missing.

    \b
    Examples:
      sudo kestrel-lab doctor
      kestrel-lab doctor --format ndjson | jq 'select(.ok | not)'
      kestrel-lab doctor --footprint
    """
    if footprint:
        _footprint(fmt)
        return ExitCode.OK
    from kestrel_lab.capture import probe

    checks = probe()
    if fmt == "ndjson":
        for check in checks:
            output.emit(asdict(check))
    else:
        _show(checks)
    return ExitCode.OK if all(check.ok or not check.needed for check in checks) else ExitCode.FINDINGS


def _show(checks: list[Check]) -> None:
    output.table(("requirement", "state", "found"), [(check.name, _state(check), check.found) for check in checks])
    for check in checks:
        if not check.ok:
            output.facts([("costs", check.costs), ("mend", check.mend)], title=f"\n{check.name}")


def _footprint(fmt: output.Format) -> None:
    from kestrel_lab.capture import footprint

    found = footprint()
    if fmt == "ndjson":
        for one in found:
            output.emit(asdict(one))
        return
    output.table(("what", "where", "written by", "there already"),
                 [(one.what, one.where, one.when, "yes" if one.there else "no") for one in found])  # fmt: skip
    output.facts([(one.what, one.instead) for one in found], title="\nelsewhere, or not at all")


def _state(check: Check) -> str:
    if check.ok:
        return "ok"
    return "missing" if check.needed else "optional"
