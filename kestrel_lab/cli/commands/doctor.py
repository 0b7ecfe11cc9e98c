"""`kestrel-lab doctor`."""

from __future__ import annotations

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import format_option
from kestrel_lab.schema.errors import ExitCode


@click.command("doctor")
@format_option()
def command(fmt: output.Format) -> int:
    """Say what this machine can record, what is missing, and the command that mends it.

    Nothing is changed. Exit code 0 when recording works, 1 when something is missing.

    \b
    Examples:
      sudo kestrel-lab doctor
      kestrel-lab doctor --format ndjson | jq 'select(.ok | not)'
    """
    from kestrel_lab.capture.probe import probe

    checks = tuple(probe())
    if fmt == "ndjson":
        for check in checks:
            output.emit(
                {"name": check.name, "ok": check.ok, "found": check.found, "costs": check.costs, "mend": check.mend}
            )
    else:
        rows = [(check.name, "ok" if check.ok else "missing", check.found) for check in checks]
        output.table(("requirement", "state", "found"), rows)
        for check in checks:
            if not check.ok:
                output.facts([("costs", check.costs), ("mend", check.mend)], title=f"\n{check.name}")
    return ExitCode.OK if all(check.ok for check in checks) else ExitCode.FINDINGS
