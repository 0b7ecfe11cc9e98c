"""The whole way from a rule's Lua to a program and a script."""

from __future__ import annotations

from difflib import get_close_matches

from kestrel_lab.eql.errors import QueryError, Source
from kestrel_lab.eql.interest import actions_of
from kestrel_lab.eql.ir import TRUE, Program, Stage
from kestrel_lab.eql.lua import ast
from kestrel_lab.eql.lua.captures import capture_names
from kestrel_lab.eql.lua.names import ACTIONS, CATEGORY, MATCH, Names, check_free, global_names
from kestrel_lab.eql.lua.parse import parse
from kestrel_lab.eql.lua.reads import Reads
from kestrel_lab.eql.lua.rewrite import Rewriter
from kestrel_lab.eql.lua.script import LuaScript
from kestrel_lab.eql.slots import Slot, column_slot
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.schema import BUILTIN, Schema

#: event.category of ECS: a rule for one that no event has here never fires, and `rules check` says so.
_CATEGORIES = ("api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
               "intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session",
               "threat", "vulnerability", "web")  # fmt: skip


def compile_lua(
    text: str, *, path: str = "<rule>", first_line: int = 1, schema: Schema = BUILTIN
) -> tuple[Program, LuaScript]:
    """Return the program of a Lua rule (one stage, whose condition only the script knows) and its script.

    Args:
        text: its code.
        path, first_line: the file it stands in and the line of that file on which it begins, for messages.
        schema: the fields it may read, and the actions there are.

    Raises:
        RuleError: with path:line:column, the source line, a caret and, where there is one, a suggestion.
    """
    try:
        return _compile(parse(text), schema)
    except QueryError as fault:
        raise Source(text, path, first_line).error(fault) from None


def _compile(block: ast.Block, schema: Schema) -> tuple[Program, LuaScript]:
    declared = {name: _declaration(block, name) for name in (CATEGORY, ACTIONS)}
    rest = ast.Block(tuple(i for i in block.items if i not in declared.values()), block.depth)
    names = global_names(rest)
    if MATCH not in names:
        raise QueryError(0, "the rule defines no match", "write function match(event) ... end")
    for name in (n for item in rest.items if isinstance(item, ast.Assignment) for n in item.targets):
        if isinstance(name, ast.Name):
            check_free(name)
    stage = _stage(declared[CATEGORY], declared[ACTIONS], schema)
    reads = Reads(schema.fields)
    source = Rewriter(Names(names), reads).chunk(rest)
    script = LuaScript(
        source=source,
        fields=tuple(reads.fields),
        tests=tuple(reads.tests),
        patterns=tuple(reads.patterns),
        slots=tuple(
            s for t in reads.tests for s in (column_slot(t.field, schema.fields), Slot(SlotKind.TEST, t.field, t))
        ),
        captures=capture_names(rest, schema.fields),
    )
    read = frozenset([*reads.fields, *(test.field for test in reads.tests)])
    return Program("event", (stage,), None, None, read), script


def _declaration(block: ast.Block, name: str) -> ast.Assignment | None:
    """Return the statement `name = value`; it must stand outside everything, and once."""
    found = [
        item
        for item in block.items
        if isinstance(item, ast.Assignment) and any(isinstance(t, ast.Name) and t.name == name for t in item.targets)
    ]
    if len(found) > 1:
        raise QueryError(found[1].pos, f"{name} is given twice")
    if found and len(found[0].targets) > 1:
        raise QueryError(found[0].pos, f"{name} must be given by itself", f"write {name} = ...")
    return found[0] if found else None


def _stage(category: ast.Assignment | None, words: ast.Assignment | None, schema: Schema) -> Stage:
    if category is None:
        do = 'write category = "process", or "any"'
        raise QueryError(0, "the rule does not say the category of its events", do)
    value = category.values[0]
    wanted = _text(value, "category is one text")
    known = dict.fromkeys(["any", *_CATEGORIES, *(c for a in schema.actions for c in a.event_categories)])
    if wanted not in known:
        raise _no_such(value.pos, "category", wanted, tuple(known))
    codes = actions_of(None if wanted == "any" else wanted, TRUE, schema)
    if words is not None:
        codes &= _codes(words.values[0], wanted, schema)
    return Stage(None if wanted == "any" else wanted, TRUE, (), codes, ())


def _codes(value: ast.Expr, category: str, schema: Schema) -> frozenset[int]:
    what = "actions is a list of texts"
    if not isinstance(value, ast.Table) or not value.entries or any(key is not None for key, _ in value.entries):
        raise QueryError(value.pos, what, 'write actions = { "exec" }')
    out: set[int] = set()
    possible = [a for s in (schema, BUILTIN) for a in s.actions if category in ("any", *a.event_categories)]
    known = {a.name for a in possible}
    for _, item in value.entries:
        name = _text(item, what)
        if name not in known:
            raise _no_such(item.pos, f"action of {category} events", name, tuple(sorted(known)))
        out |= {a.code for a in schema.actions if a.name == name}
    return frozenset(out)


def _text(value: ast.Expr, what: str) -> str:
    if not isinstance(value, ast.Constant) or not isinstance(value.value, bytes):
        raise QueryError(value.pos, what, "it must be known before the rule runs")
    return value.value.decode(errors="replace")


def _no_such(pos: int, kind: str, name: str, known: tuple[str, ...]) -> QueryError:
    near = get_close_matches(name, known, n=1)
    do = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
    return QueryError(pos, f'there is no {kind} "{name}"', do)
