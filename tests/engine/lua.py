"""Lua rules over a few events, without an engine: both modes, which must agree on everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kestrel_lab.engine.lua.script import Script, ScriptError
from kestrel_lab.eql.lua import LuaScript, compile_lua
from kestrel_lab.eql.texttest import passes
from kestrel_lab.schema.access import Coded, Dictionary, Numbers
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import EqlType
from tests.engine.support import MODES

FUEL = 1 << 22
Event = Mapping[str, Any]
_DTYPES = {EqlType.INT: "i8", EqlType.UINT: "u8", EqlType.FLOAT: "f8", EqlType.BOOL: "?"}


@dataclass(frozen=True)
class Outcome:
    """Rows that passed, what was captured, fuel; or what went wrong."""

    hits: tuple[int, ...] = ()
    captured: tuple[dict[str, Any], ...] = ()
    fuel: int = 0
    error: str = ""


def lua_file(rule_id: str, code: str, extra: str = "") -> bytes:
    """Return the file of a Lua rule."""
    return (
        f'[rule]\nrule_id = "{rule_id}"\nname = "Rule {rule_id}"\nseverity = "low"\nlanguage = "lua"\n{extra}\n'
        f"query = '''\n{code}\n'''\n"
    ).encode()


def rule(body: str, *, before: str = "") -> str:
    """Return the code of a rule whose match has this body."""
    return f'category = "any"\n{before}\nfunction match(event)\n{body}\nend\n'


def evaluate(code: str, events: Sequence[Event] = ({},), fuel: int = FUEL) -> Outcome:
    """Run a rule over events in both modes, and return what both say."""
    _, script = compile_lua(code)
    live, deterministic = (_evaluate(script, mode, events, fuel) for mode in MODES)
    assert live == deterministic
    return live


def value_of(expression: str, event: Event | None = None, *, before: str = "") -> Any:
    """Return the value of an expression at an event."""
    code = rule("return true", before=before) + f"function capture(event)\nreturn {{ value = {expression} }}\nend"
    found = evaluate(code, [event or {}])
    assert not found.error, found.error
    return found.captured[0].get("value")


def _evaluate(script: LuaScript, mode: Any, events: Sequence[Event], fuel: int) -> Outcome:
    try:
        loaded = Script(script, mode, BUILTIN.fields)
        loaded.enter(0)
        columns = [_column(name, [e.get(name) for e in events]) for name in script.fields]
        tests = [np.array([_passes(test, e.get(test.field)) for e in events], np.bool_) for test in script.tests]
        hits, captured, left = loaded.run(len(events), columns, tests, fuel)
    except ScriptError as error:
        return Outcome(error=str(error))
    return Outcome(tuple(hits.tolist()), tuple(captured), fuel - left)


def _passes(test: Any, value: Any) -> bool:
    return any(passes(test, v) for v in (value if isinstance(value, tuple) else (value,)) if v is not None)


def _column(name: str, values: Sequence[Any]) -> Coded | Numbers:
    field = BUILTIN.fields[name]
    if field.type in _DTYPES and not field.many:
        valid = np.array([v is not None for v in values], np.bool_)
        numbers = np.array([v or 0 for v in values], _DTYPES[field.type])
        return Numbers(numbers, None if valid.all() else valid)
    distinct = [None, *dict.fromkeys(v for v in values if v is not None)]
    codes = np.array([distinct.index(v) for v in values], "i4")
    return Coded(codes, Dictionary(name, lambda: len(distinct), lambda a, b: distinct[a:b]))
