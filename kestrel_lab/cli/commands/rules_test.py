"""`kestrel-lab rules test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import format_option
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.session.ruletest import RuleTest


@click.command("test")
@click.argument("paths", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True, metavar="PATH...")
@format_option()
def command(paths: tuple[Path, ...], fmt: output.Format) -> int:
    """Run the tests that stand beside the rules of PATH, files or folders.

    The tests of NAME.toml are in NAME.test.toml: events that must raise an alert and near misses that must not, run
    in both modes. Each condition of an EQL rule is then changed, and one whose change no test notices is named.
    docs/rule-tests.md says how to write them. Exit code 1 if a rule has no tests, a test fails or a condition is
    distinguished by none; 2 if a rule is wrong.

    \b
    Examples:
      kestrel-lab rules test ./rules
      kestrel-lab rules test new.toml --format ndjson | jq .findings
    """
    from kestrel_lab.session.ruletest import test_rules

    found = test_rules(paths)
    if fmt == "ndjson":
        for one in found:
            output.emit(test_json(one))
    else:
        _show(found)
    if any(one.check.error for one in found):
        return ExitCode.USAGE
    return ExitCode.OK if all(one.ok for one in found) else ExitCode.FINDINGS


def test_json(found: RuleTest) -> dict[str, Any]:
    """Return what the tests of one rule showed as an ndjson object; `mutants` is null where none were run."""
    return {
        "path": found.check.path,
        "rule_id": found.check.rule_id,
        "language": found.check.language,
        "ok": found.ok,
        "fires": found.fires,
        "quiet": found.quiet,
        "mutants": found.mutants,
        "findings": [error.render() for error in found.findings],
        "undistinguished": [
            {"condition": u.condition, "changes": list(u.changes), "reason": u.reason or None}
            for u in found.undistinguished
        ],
        "unmatched_items": [{"condition": u.condition, "items": list(u.items)} for u in found.unmatched],
    }


def _show(tests: list[RuleTest]) -> None:
    rows = [
        (_state(t), t.check.path, str(t.fires), str(t.quiet), _mutants(t), str(sum(len(u.items) for u in t.unmatched)))
        for t in tests
    ]
    columns = ("state", "file", "fires", "quiet", "mutants", "unmatched items")
    output.table(columns, rows, right=columns[2:])
    for error in (error for t in tests for error in t.findings):
        output.note(f"error: {error.render()}")
    accepted = sum(bool(u.reason) for t in tests for u in t.undistinguished)
    failed = sum(not t.ok for t in tests)
    output.note(
        f"{len(tests)} rules, {failed} failed; {sum(t.fires + t.quiet for t in tests)} cases, "
        f"{sum(t.mutants or 0 for t in tests)} mutants, {accepted} conditions accepted as undistinguished"
    )


def _state(found: RuleTest) -> str:
    if not found.run and found.ok:
        return "not run"
    return "ok" if found.ok else "failed"


def _mutants(found: RuleTest) -> str:
    return "-" if found.mutants is None else str(found.mutants)
