"""The mutants of a rule, compiled: rules that differ from it in one condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kestrel_lab.engine import Rule
from kestrel_lab.engine.packs.rulefile import parse as parse_file
from kestrel_lab.eql import Program, Slot, lower_wasm
from kestrel_lab.eql.errors import QueryError, Source
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.mutate import mutations
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.query import check_query
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one condition changed.

    Attributes:
        pos: offset of the condition in the rule's EQL text; `condition`: its text.
        change: what became of it, as the end of a sentence: `is negated`.
    """

    pos: int
    condition: str
    change: str
    rule: Rule


def conditions_of(rule: Rule) -> Source | None:
    """Return the EQL text of a rule and where it stands; None if it has none: a Lua rule, a module for every event."""
    if rule.language == "lua":
        return None
    file = parse_file(rule.path, Path(rule.path).read_bytes())
    key = "query" if rule.language == "eql" else "events"
    return Source(file.table[key], rule.path, file.query_line(key)) if key in file.table else None


def mutants(rule: Rule, query: str, schema: Schema) -> Iterator[Mutant]:
    """Yield the mutants of a rule that compile against a schema; their rule ids are its own and a number.

    Args:
        query: its EQL text.
    """
    for number, found in enumerate(mutations(parse(query))):
        try:
            program = check_query(found.query, Scope(schema))
        except QueryError:
            continue  # such as an event query with a join key: nobody could write it by mistake
        yield Mutant(found.pos, found.condition, found.change, _changed(rule, number, program, schema))


def _changed(rule: Rule, number: int, program: Program, schema: Schema) -> Rule:
    module = lower_wasm(program, schema.fields)
    if rule.user is not None:  # it may look up tests of its own
        module = replace(module, slots=tuple(dict.fromkeys([*module.slots, *_tests(rule)])))
        program = replace(program, fields=program.fields | rule.program.fields)
    name = f"{number:05}"
    return replace(rule, id=f"{rule.id}#{name}", hash=f"{rule.hash}#{name}", program=program, module=module)


def _tests(rule: Rule) -> Iterator[Slot]:
    return (slot for slot in rule.module.slots if slot.kind is SlotKind.TEST)
