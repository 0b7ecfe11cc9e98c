"""A diff as lines, with the cause of each difference, and as ndjson."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import alerts, output, units

if TYPE_CHECKING:
    from kestrel_lab.session import Cause, Diff, Difference


def show(found: Diff, fmt: output.Format) -> None:
    """Write a diff to stdout: the differences first, then what was compared."""
    if fmt == "ndjson":
        for difference in found.differences:
            output.emit(difference_json(difference))
        output.emit(summary(found))
        return
    for text in lines(found):
        click.echo(text)


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return one difference as an ndjson object."""
    left, right = difference.left, difference.right
    return {
        "difference": difference.what,
        "rule_id": difference.alert.rule_id,
        "event_ids": list(difference.alert.event_ids),
        "causes": [_cause_json(cause) for cause in difference.causes],
        "left": left.to_json() if left else None,
        "right": right.to_json() if right else None,
    }


def summary(found: Diff) -> dict[str, Any]:
    """Return the counts and what was compared, as the last ndjson object."""
    return {
        "equal": found.equal,
        "same": len(found.same),
        "missing": len(found.missing),
        "extra": len(found.extra),
        "changed": len(found.changed),
        "left": found.left,
        "right": found.right,
        "left_digest": found.left_digest,
        "right_digest": found.right_digest,
        "runs": list(found.runs),
        "notes": [_cause_json(note) for note in found.notes],
    }


def lines(found: Diff) -> list[str]:
    """Return a diff as lines for people."""
    out: list[str] = []
    for difference in found.differences:
        out.append(f"{difference.what:8} {alerts.line(difference.alert)}")
        out += [f"         because {_sentence(cause)}" for cause in difference.causes]
    counts = (("same", found.same), ("missing", found.missing), ("extra", found.extra), ("changed", found.changed))
    out.append(", ".join(f"{units.count(len(rows))} {name}" for name, rows in counts))
    out += [output.printable(f"left   {found.left_digest}  {found.left}")]
    out += [output.printable(f"right  {found.right_digest}  {found.right}")]
    told = {cause for difference in found.differences for cause in difference.causes}
    return out + [f"note   {_sentence(note)}" for note in found.notes if note not in told]


def _sentence(cause: Cause) -> str:
    standing = "proved" if cause.proved else "not proved"
    return output.printable(f"{cause.kind.value}: {cause.text} ({standing})")


def _cause_json(cause: Cause) -> dict[str, Any]:
    return {"kind": cause.kind.value, "text": cause.text, "proved": cause.proved}
