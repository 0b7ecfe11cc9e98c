"""What a rule reads that no event here has, and whether it can fire at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from kestrel_lab.eql import Program, Stage
from kestrel_lab.eql.interest import actions_of
from kestrel_lab.eql.ir import fields_of, leaves
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import Row

#: The values of event.category that ECS defines.
CATEGORIES = (
    "api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
    "intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session", "threat",
    "vulnerability", "web",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a rule the events here can reach.

    Attributes:
        unavailable: fields it reads that no event it looks at can have.
        never: why it can never fire, empty if it might.
        warnings: what is probably a mistake.
    """

    unavailable: tuple[str, ...] = ()
    never: str = ""
    warnings: tuple[str, ...] = ()


def reach_of(program: Program, schema: Schema = BUILTIN) -> Reach:
    """Return what the events of a schema can reach of a program that was compiled against it."""
    stages = program.distinct_stages
    unavailable = {name for stage in stages for name in _unavailable(stage, schema)}
    tables = {table for stage in stages for table in schema.tables_holding(stage.category) or schema.tables}
    unavailable |= {name for name in program.fields if not tables & set(schema.fields[name].tables)}
    required = [stage for stage in program.stages if not stage.missing]
    never = next((why for stage in required if (why := _never(stage, program, schema))), "")
    warnings = dict.fromkeys(w for stage in stages for w in _category_warning(stage.category, schema))
    return Reach(tuple(sorted(unavailable)), never, tuple(warnings))


def can_fire(program: Program, schema: Schema) -> bool:
    """Return whether events of a schema might satisfy a program: the same as `reach_of(...).never`, but cheaper."""
    required = (stage for stage in program.stages if not stage.missing)
    return all(stage.actions and not _missing_keys(stage, schema) for stage in required)


def _reads(stage: Stage) -> set[str]:
    return {name for leaf in leaves(stage.expr) for name in fields_of(leaf)}


def _unavailable(stage: Stage, schema: Schema) -> set[str]:
    """Return the fields of a stage that no event of its category has; of a category without events, that none has."""
    tables = set(schema.tables_holding(stage.category) or schema.tables)
    joined = {name for name in stage.by if name is not None}
    return {name for name in _reads(stage) | joined if not tables & set(schema.fields[name].tables)}


def _never(stage: Stage, program: Program, schema: Schema) -> str:
    """Return why no event can satisfy a stage, empty if one might.

    It holds back: what is said to be impossible is so whatever the values, since a field without a source is missing
    in every event.
    """
    item = "" if program.kind == "event" else f" (item {program.stages.index(stage) + 1})"
    if stage.category is not None and not schema.tables_holding(stage.category):
        return f"no event here is of category `{stage.category}`{item}"
    if not stage.actions:
        return _impossible(stage, schema) + item
    missing = _missing_keys(stage, schema)
    if missing:
        return f"it joins by {_listed(missing)}, which no event here has{item}"
    return ""


def _impossible(stage: Stage, schema: Schema) -> str:
    absent = sorted(_reads(stage) & _unavailable(stage, schema))
    if not _possible(stage, absent, schema):
        return "no event here has the category, action and type it asks for"
    blamed = [name for name in absent if _possible(stage, [name], schema)] or absent
    return f"it needs {_listed(blamed)}, which no event here has"


def _possible(stage: Stage, given: Iterable[str], schema: Schema) -> bool:
    """Return whether an event might satisfy a stage if events had these fields too."""
    there = {name: replace(schema.fields[name], tables=schema.tables, source=Row(name)) for name in given}
    return bool(actions_of(stage.category, stage.expr, replace(schema, fields={**schema.fields, **there})))


def _missing_keys(stage: Stage, schema: Schema) -> list[str]:
    """Return the fields it joins by, null joining nothing, that none of its events can have."""
    optional = stage.by_optional or (False,) * len(stage.by)
    needed = (name for name, null in zip(stage.by, optional, strict=True) if name is not None and not null)
    return [name for name in needed if not _tables(stage, schema) & set(schema.fields[name].tables)]


def _tables(stage: Stage, schema: Schema) -> set[str]:
    return {schema.action(code).table for code in stage.actions}


def _category_warning(category: str | None, schema: Schema) -> list[str]:
    if category is None or category in CATEGORIES or schema.tables_holding(category):
        return []
    near = get_close_matches(category, CATEGORIES, 1)
    return [f"`{category}` is no event category of ECS" + (f"; did you mean `{near[0]}`?" if near else "")]


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
