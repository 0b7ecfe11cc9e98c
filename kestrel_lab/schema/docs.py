"""Writes docs/fields.md from the field table: `python -m kestrel_lab.schema.docs docs/fields.md`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.limits import LIMITS
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import (
    Absent,
    ByAction,
    Column,
    Constant,
    Derived,
    Entity,
    Field,
    Parent,
    Related,
    Row,
    Source,
    Target,
)
from kestrel_lab.schema.vocabulary import NAMES, PLACES, SETS

_HEAD = f"""\
# Fields

Generated from `kestrel_lab/schema/fields.py` by `python -m kestrel_lab.schema.docs docs/fields.md`; a test compares
them. Schema version {BUILTIN.version}, fingerprint `{BUILTIN.fingerprint}`.

A field's *trust* says who could have changed the value before it was read: `kernel` nobody in userspace,
`user_memory` the process itself, `procfs` whoever could write what /proc showed, `derived` a function of others,
`imported` whoever made the import. *Read* says when, relative to the act. A type with `[]` is an array: a test on it
holds if any element passes. A field that a table does not have is missing there, and comparing a missing value is
false.
"""


def fields_markdown() -> str:
    """Return the text of docs/fields.md."""
    parts = [
        _HEAD,
        "## Actions\n",
        _ACTIONS_INTRO,
        _actions(),
        "## Fields\n",
        _fields(),
        "## Physical columns\n",
        _COLUMNS_INTRO,
    ]
    parts += [f"### {table}\n\n{_columns(columns)}" for table, columns in BUILTIN.columns.items()]
    parts += ["## Fields that no event here has\n", _ABSENT_INTRO, _absent()]
    return "\n".join(parts)


_ACTIONS_INTRO = """\
Every act is seen by the 64-bit and by the 32-bit system calls, and through io_uring (raw io_uring_submit_req and
io_uring_complete) where it can be done so. *Limits* says what its row may lack.
"""

_COLUMNS_INTRO = """\
One Arrow table per category, and one table of process images per segment. `code` is an int32 into the column's
dictionary (0 = missing), `codes` a list of them, `ref` a uint32 row of the entity table (0 = unknown). Columns marked
*delta* are stored as differences within each record batch.
"""

_ABSENT_INTRO = """\
A rule may name them without `?`: they have a type, and no value in any event that is recorded here. `rules check` lists
them as unavailable, and says so if the rule can never fire. They are no part of the schema's fingerprint. `[]` stands
after arrays, `:type` after what is no string; names that the table above has are those of the table.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _actions() -> str:
    rows = (
        (str(a.code), a.table, f"`{a.name}`", ", ".join(a.event_categories), ", ".join(a.types), a.hook, LIMITS[a.name])
        for a in BUILTIN.actions
    )
    return _table(("code", "table", "event.action", "event.category", "event.type", "hook", "limits"), rows)


def _fields() -> str:
    return _table(("field", "type", "tables", "from", "trust", "read", "meaning"), map(_field, FIELDS))


def _field(field: Field) -> tuple[str, ...]:
    tables = "all" if field.tables == BUILTIN.tables else ", ".join(field.tables)
    kind = field.type.value + ("[]" if field.many else "")
    return f"`{field.name}`", kind, tables, _source(field.source), field.trust.value, field.read, field.doc


def _source(source: Source) -> str:
    match source:
        case Row(column):
            return f"row `{column}`"
        case Entity(column):
            return f"entity `{column}`"
        case Parent(column):
            return f"parent's `{column}`"
        case Related(link, column):
            return f"{link}'s `{column}`"
        case Target(column):
            return f"target's `{column}`"
        case ByAction(_):
            return "the action"
        case Constant(_):
            return "the recording"
        case Derived(function, of):
            return f"{function} of `{of}`"
        case Absent():
            return "nothing"


def _absent() -> str:
    """Return the names of the vocabulary: a paragraph for each set and its places, one for each other first word."""
    parts = [
        f"**{name}**, beneath {', '.join(f'`{p}`' for p in places)}: {_words(SETS[name].split())}"
        for name, places in PLACES
    ]
    groups: dict[str, list[str]] = {}
    for word in NAMES.split():
        groups.setdefault(word.partition(".")[0], []).append(word)
    parts += [_words(words) for words in groups.values()]
    return (
        "\n\n".join(textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False) for part in parts) + "\n"
    )


def _words(words: Sequence[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def _columns(columns: Sequence[Column]) -> str:
    rows = ((f"`{c.name}`", c.physical.value, "yes" if c.nullable else "", "yes" if c.delta else "") for c in columns)
    return _table(("column", "type", "nullable", "delta"), rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(fields_markdown(), encoding="utf-8")
