"""The mutants of a rule, compiled: rules that differ from it in one condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kestrel_lab.engine import Rule
from kestrel_lab.eql import Program, lower_wasm
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.mutate import mutations
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.query import check_query
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one condition changed.

    Attributes:
        pos: offset of the condition in the rule's query; `condition`: its text.
        change: what became of it, as the end of a sentence: `is negated`.
    """

    pos: int
    condition: str
    change: str
    rule: Rule


def mutants(rule: Rule, schema: Schema) -> Iterator[Mutant]:
    """Yield the mutants of an EQL rule that compile against a schema; their rule ids are its own and a number."""
    for number, found in enumerate(mutations(parse(rule.query))):
        try:
            program = check_query(found.query, Scope(schema))
        except QueryError:
            continue  # such as an event query with a join key: nobody could write it by mistake
        yield Mutant(found.pos, found.condition, found.change, _changed(rule, number, program, schema))


def _changed(rule: Rule, number: int, program: Program, schema: Schema) -> Rule:
    name, module = f"{number:05}", lower_wasm(program, schema.fields)
    return replace(rule, id=f"{rule.id}#{name}", hash=f"{rule.hash}#{name}", program=program, module=module)
