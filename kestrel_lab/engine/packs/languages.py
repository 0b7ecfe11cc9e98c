"""The languages that rules are written in: what compiles a file of each, and what other files it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.lua.rule import LuaRuleModule, load_lua
from kestrel_lab.engine.packs.narrowing import left_of
from kestrel_lab.engine.packs.rulefile import RuleFile
from kestrel_lab.engine.user import UserModule, load_user_module
from kestrel_lab.eql import Program, Slot, WasmModule, compile_query, lower_wasm
from kestrel_lab.eql.lua import compile_lua
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a language makes of a rule file: what the matcher needs, and what a runtime loads.

    Attributes:
        user: what a user wrote to refine the hits of `module`.
    """

    program: Program
    module: WasmModule
    user: UserModule | LuaRuleModule | None = None


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
    if found is _WASM_TEXT and "module" in file.table:
        found = _WASM_FILE
    return found if file.table.get("type", name) == name else None


def _compile_eql(file: RuleFile, limits: Limits, schema: Schema) -> Compiled:
    return _compile_text(file, "query", file.table["query"], limits, schema)


def _compile_text(file: RuleFile, key: str, text: str, limits: Limits, schema: Schema) -> Compiled:
    program = compile_query(text, path=file.path, first_line=file.query_line(key), schema=schema)
    if len(program.stages) > limits.pending_per_key + 1:
        raise RuleError(
            f"the sequence has {len(program.stages)} items, more than {limits.pending_per_key + 1}",
            where=file.where(key),
        )
    module = lower_wasm(left_of(program, schema), schema.fields)
    worst = limits.worst(sum(module.cost_per_row), sum(module.cost_per_call))
    if worst > limits.fuel:
        raise RuleError(
            f"the query can cost {worst} fuel an epoch, and {limits.fuel} is the limit",
            where=file.where(key),
            do="Split the rule, or shorten it.",
        )
    return Compiled(program, module)


def _compile_wasm(file: RuleFile, limits: Limits, schema: Schema) -> Compiled:
    """Compile `events`, and load the module that refines what it finds."""
    events = file.table.get("events", "any where true")
    if not isinstance(events, str):
        raise RuleError("events must be an EQL query", where=file.where("events"))
    found = _compile_text(file, "events", events, limits, schema)
    data = next(iter(file.attached.values()), None)
    if data is None:
        user = load_user_module(file.table["query"].encode(), file.where("query"), schema)
    else:
        user = load_user_module(data, file.where("module"), schema)
    program = replace(found.program, fields=found.program.fields | set(user.fields))
    tests = (Slot(SlotKind.TEST, test.field, test) for test in user.tests)
    slots = tuple(dict.fromkeys([*found.module.slots, *tests]))
    return Compiled(program, replace(found.module, slots=slots), user)


def _compile_lua(file: RuleFile, limits: Limits, schema: Schema) -> Compiled:
    """Compile the rule's category and actions, and load the code that refines what they leave."""
    program, script = compile_lua(file.table["query"], path=file.path, first_line=file.query_line(), schema=schema)
    module = lower_wasm(left_of(program, schema), schema.fields)
    slots = tuple(Slot(SlotKind.TEST, test.field, test) for test in script.tests)
    return Compiled(program, replace(module, slots=slots), load_lua(script, schema, file.where("query")))


def _module_file(file: RuleFile) -> tuple[str, ...]:
    name = file.table.get("module")
    return (name,) if isinstance(name, str) else ()


_WASM_TEXT = Language("query", _compile_wasm)
_WASM_FILE = Language("module", _compile_wasm, _module_file)

LANGUAGES: Mapping[str, Language] = {
    "eql": Language("query", _compile_eql),
    "lua": Language("query", _compile_lua),
    "wasm": _WASM_TEXT,
}
