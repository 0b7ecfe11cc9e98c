"""The languages that rules are written in: what compiles a file of each, and what other files it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.rulefile import RuleFile
from kestrel_lab.eql import Program, WasmModule, compile_query, lower_wasm
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a language makes of a rule file: what the matcher needs, and what a runtime loads."""

    program: Program
    module: WasmModule


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Attributes:
        code: the key of `[rule]` that holds the rule's text; it must be there and not empty.
        compile: makes a rule of a file, against a schema; raises RuleError.
        attached: names of further files that the rule is made of, relative to its own, with forward slashes. The pack
            reads them into `RuleFile.attached` before it compiles the rule.
    """

    code: str
    compile: Callable[[RuleFile, Limits, Schema], Compiled]
    attached: Callable[[RuleFile], tuple[str, ...]] = lambda _: ()


def language_of(file: RuleFile) -> Language | None:
    """Return the language of a rule file; None if the engine does not run it."""
    name = file.table.get("language")
    found = LANGUAGES.get(name) if isinstance(name, str) else None
    return found if file.table.get("type", name) == name else None


def _compile_eql(file: RuleFile, limits: Limits, schema: Schema) -> Compiled:
    program = compile_query(file.table["query"], path=file.path, first_line=file.query_line(), schema=schema)
    if len(program.stages) > limits.pending_per_key + 1:
        raise RuleError(
            f"the sequence has {len(program.stages)} items, more than {limits.pending_per_key + 1}",
            where=file.where("query"),
        )
    module = lower_wasm(program, schema.fields)
    worst = limits.worst(sum(module.cost_per_row), sum(module.cost_per_call))
    if worst > limits.fuel:
        raise RuleError(
            f"the query can cost {worst} fuel an epoch, and {limits.fuel} is the limit",
            where=file.where("query"),
            do="Split the rule, or shorten it.",
        )
    return Compiled(program, module)


LANGUAGES: Mapping[str, Language] = {
    "eql": Language("query", _compile_eql),
}
