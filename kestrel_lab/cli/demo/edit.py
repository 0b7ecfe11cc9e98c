"""One rule edited the way an analyst would: tuned to ignore a program that raised its alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.errors import KestrelError, UsageError

if TYPE_CHECKING:
    from kestrel_lab.engine import Pack


@dataclass(frozen=True, slots=True)
class Edit:
    """What was changed: the rule, its file, and the words added to its query."""

    rule_name: str
    file: Path
    added: str


def edited_pack(files: Mapping[str, bytes], alerts: Iterable[Alert], folder: Path) -> tuple[Edit, Pack]:
    """Write the pack into `folder` with one rule of the alerts edited so that it misses an alert.

    Returns:
        The edit, and the pack loaded from the folder.

    Raises:
        UsageError: if no alert comes from a rule that can be edited so.
    """
    from kestrel_lab.engine import load_pack, pack_from_files

    pack = pack_from_files(files)
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    rules = {rule.id: rule for rule in pack.rules}
    for alert in alerts:
        program, rule = _program(alert), rules.get(alert.rule_id)
        if program is None or rule is None or len(alert.event_ids) != 1:
            continue
        file, added = folder / rule.path, f'and process.name != "{program}"'
        before = file.read_text()
        try:
            file.write_text(_tuned(before, rule.query, added))
            return Edit(rule.name, file, added), load_pack([folder])
        except KestrelError:
            file.write_text(before)
    raise UsageError("no alert of a single event to tune a rule with", do="Run the demo again.")


def _program(alert: Alert) -> str | None:
    name = next((captured.get("process.name") for captured in alert.captures if captured), None)
    text = name.decode(errors="replace") if isinstance(name, bytes) else ""
    return text if text.isprintable() and text and not set(text) & {'"', "\\", "'"} else None


def _tuned(text: str, query: str, added: str) -> str:
    category, where, condition = query.strip().partition(" where ")
    if not where or query not in text:
        raise UsageError("this rule is not edited")
    return text.replace(query, f"\n{category} where ({condition.strip()})\n  {added}\n", 1)
