"""`kestrel-lab rules explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import RECORDING, format_option, rules_option
from kestrel_lab.schema.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from kestrel_lab.engine import Pack
    from kestrel_lab.recording import Recording

PARTS = ("query", "syntax", "types", "rewrites", "program", "stages", "code")


@click.command("explain")
@click.argument("rule")
@rules_option("The pack that RULE is an id of; repeatable.  [default: the pack that ran live, with --recording]")
@click.option("--recording", type=RECORDING, help="Explain the rule at an event of this recording.")
@click.option("--event", type=click.IntRange(0), metavar="ID", help="The event; goes with --recording.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Show these parts only; repeatable.")
@format_option()
def command(
    rule: str,
    rules: tuple[Path, ...],
    recording: Path | None,
    event: int | None,
    parts: tuple[str, ...],
    fmt: output.Format,
) -> int:
    """Show how a rule is compiled, or why it fired or did not.

    RULE is a rule file, or the id of a rule of the pack that --rules names. Without an event, every stage of the
    compiler is shown, with what each rewrite made of which place of the text, the fields needed, the key that the
    index finds rows by, what is left to evaluate, the fuel that costs, and the code it runs as.

    With --recording and --event, each leaf is shown with its answer at that event and the values it read; for a
    sequence also what became of its partial matches under the event's join keys: which died where, and why.

    \b
    Examples:
      kestrel-lab rules explain rules/shell_dev_tcp.toml
      kestrel-lab rules explain new.toml --part program --part stages
      kestrel-lab rules explain shell-dev-tcp --recording case.krec --event 1234
    """
    if (recording is None) != (event is None):
        raise click.UsageError("--recording and --event go together.")
    if event is not None and parts:
        raise click.UsageError("--part is about how a rule is compiled, --event about one event.")
    from kestrel_lab.cli import explained
    from kestrel_lab.engine import explain_rule
    from kestrel_lab.recording import open_recording
    from kestrel_lab.session import explain_event, rule_of

    source = open_recording(recording) if recording is not None else None
    pack, rule_id = _find(rule, rules, source)
    if source is not None and event is not None:
        explained.show_event(explain_event(source, pack, rule_id, event), fmt)
        output.note_damage(source.damage)
        return ExitCode.DAMAGED if source.damage else ExitCode.OK
    explained.show_rule(explain_rule(rule_of(pack, rule_id), pack.schema, pack.limits), parts or PARTS, fmt)
    return ExitCode.OK


def _find(rule: str, rules: tuple[Path, ...], source: Recording | None) -> tuple[Pack, str]:
    """Return the pack of a rule, and its id.

    Raises:
        UsageError: if it is neither a file nor an id that somebody says the pack of.
    """
    from kestrel_lab.cli.inputs import load_rules
    from kestrel_lab.schema.schema import BUILTIN
    from kestrel_lab.session import recorded_rules

    schema = source.info.schema if source is not None else BUILTIN
    if not rules and Path(rule).exists():
        pack = load_rules([Path(rule)], schema)
        if len(pack.rules) != 1:
            raise UsageError(
                f"{len(pack.rules)} rules are there that run, and one is explained", where=rule,
                do="Name one of them by its id, and this with --rules.",
            )  # fmt: skip
        return pack, pack.rules[0].id
    if rules:
        return load_rules(rules, schema), rule
    if source is None:
        raise UsageError("there is no such rule file", where=rule, do="For a rule's id, name its pack with --rules.")
    packs = recorded_rules(source).in_order
    return next((pack for pack in reversed(packs) if any(r.id == rule for r in pack.rules)), packs[-1]), rule
