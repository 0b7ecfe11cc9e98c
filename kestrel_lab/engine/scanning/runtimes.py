"""Which runtime a rule runs in. All of them read the one column memory."""

from __future__ import annotations

from kestrel_lab.engine.lua import LuaRuntime
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.predicate import Backend, Predicate
from kestrel_lab.engine.wasm import Runtime
from kestrel_lab.engine.wasm.values import Memory
from kestrel_lab.eql import lower_lua
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.schema import Schema


class Runtimes:
    """The runtimes of one scanner.

    Args:
        schema: what the rules are compiled against.
        backend: what EQL rules are lowered to.
    """

    def __init__(self, mode: Mode, schema: Schema, backend: Backend = "wasm") -> None:
        self._wasm = Runtime(mode)
        self._schema = schema
        self._lua = LuaRuntime(mode, self._wasm.memory) if backend == "lua" else None

    @property
    def memory(self) -> Memory:
        """The column memory as bytes; writable, and never moves."""
        return self._wasm.memory

    def load(self, rule: Rule) -> Predicate:
        """Return the predicate of a rule.

        Raises:
            RuleError: if its module is refused.
        """
        if self._lua is not None:
            return self._lua.load(lower_lua(rule.module.program or rule.program, self._schema.fields))
        return self._wasm.load(rule.module.wat, rule.path)
