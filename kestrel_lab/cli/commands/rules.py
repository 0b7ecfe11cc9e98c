"""`kestrel-lab rules`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.commands import rules_explain, rules_test
from kestrel_lab.cli.options import format_option
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.engine import RuleCheck


@click.group("rules")
def command() -> None:
    """Check, explain and test rules.

    A rule is a TOML file in the layout of Elastic's public rule repository.

    \b
    Examples:
      kestrel-lab rules check ./rules
      kestrel-lab rules explain new.toml
      kestrel-lab rules test ./rules
    """


command.add_command(rules_explain.command)
command.add_command(rules_test.command)


@command.command("check")
@click.argument("paths", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True, metavar="PATH...")
@format_option()
def check(paths: tuple[Path, ...], fmt: output.Format) -> int:
    """Compile every rule of PATH, files or folders, and say what is wrong.

    An error names file, line and column. A rule in a language that the engine does not run is listed and is no error.
    `unavailable` are fields that no event the rule looks at can have; a rule that needs one of them, or a category that
    no event here is of, can never fire, and the reason is said. Exit code 2 if any rule is wrong.

    PATH may also be a list of rules: a JSON array (.json) or an object a line (.ndjson).

    \b
    Examples:
      kestrel-lab rules check ./rules
      kestrel-lab rules check new.toml --format ndjson | jq -r .error
    """
    from kestrel_lab.engine import check_pack

    checks = check_pack(paths)
    if fmt == "ndjson":
        for found in checks:
            output.emit(check_json(found))
    else:
        _show(checks)
    return ExitCode.OK if all(found.ok for found in checks) else ExitCode.USAGE


def check_json(found: RuleCheck) -> dict[str, Any]:
    """Return what is to be said of one rule as an ndjson object; `error` is null for a good one."""
    return {
        "path": found.path,
        "rule_id": found.rule_id,
        "name": found.name,
        "language": found.language,
        "ok": found.ok,
        "error": found.error.render() if found.error else None,
        "fields": list(found.fields),
        "unavailable": list(found.reach.unavailable),
        "can_fire": found.ok and not found.inactive and not found.reach.never,
        "reason": found.inactive or found.reach.never or None,
        "warnings": list(found.warnings),
    }


def _show(checks: list[RuleCheck]) -> None:
    rows = [(_state(c), c.path, c.rule_id, c.language, c.name, " ".join(c.reach.unavailable)) for c in checks]
    output.table(("state", "file", "rule", "language", "name", "unavailable fields"), rows)
    for found in checks:
        if found.error is not None:
            output.note(f"error: {found.error.render()}")
        elif why := found.inactive or found.reach.never:
            output.note(f"{found.path}: it cannot fire: {why}")
        for warning in found.warnings:
            output.note(f"{found.path}: warning: {warning}")
    counts = Counter(map(_state, checks))
    said = ", ".join(f"{counts[state]} {state}" for state in ("ok", "never fires", "idle", "not run", "wrong"))
    output.note(f"{len(checks)} rules: {said}")


def _state(found: RuleCheck) -> str:
    if not found.ok:
        return "wrong"
    if not found.supported:
        return "not run"
    if found.inactive:
        return "idle"
    return "never fires" if found.reach.never else "ok"
