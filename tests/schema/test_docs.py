from __future__ import annotations

from pathlib import Path

from kestrel_lab.schema.docs import fields_markdown
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.limits import LIMITS
from kestrel_lab.schema.schema import BUILTIN

DOC = Path(__file__).parents[2] / "docs" / "fields.md"


def test_fields_md_is_the_field_table() -> None:
    assert DOC.read_text(encoding="utf-8") == fields_markdown(), (
        "regenerate: python -m kestrel_lab.schema.docs docs/fields.md"
    )


def test_every_cell_stays_in_its_cell() -> None:
    rows = [line for line in fields_markdown().splitlines() if line.startswith("| `") and line.count("|") == 8]
    assert len(rows) == len(FIELDS)


def test_every_action_has_its_limits() -> None:
    assert set(LIMITS) == {action.name for action in BUILTIN.actions}
