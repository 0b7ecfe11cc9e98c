"""A Lua rule over the rows of one recorded epoch. Its answers on a row depend on that row alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.lua.script import Script, ScriptError
from kestrel_lab.engine.user.columns import Passes
from kestrel_lab.engine.user.evaluate import Passed, StoppedError
from kestrel_lab.engine.user.rows import Which
from kestrel_lab.eql import TextTest
from kestrel_lab.eql.lua import LuaScript
from kestrel_lab.schema.access import Coded, resolve
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.values import Value


@dataclass(frozen=True, slots=True)
class LuaRuleModule:
    """A Lua rule's script, and the schema it is compiled against."""

    script: LuaScript
    schema: Schema


def load_lua(script: LuaScript, schema: Schema, where: str) -> LuaRuleModule:
    """Return the module of a script that loads.

    Raises:
        RuleError: if its code fails while it is loaded, or does not come to an end.
    """
    try:
        Script(script, "live", schema.fields)
    except ScriptError as error:
        what = "does not come to an end" if error.out_of_fuel else f"fails: {error}"
        raise RuleError(f"the code that runs when the rule is loaded {what}", where=where) from error
    return LuaRuleModule(script, schema)


class LuaRule:
    """A Lua rule, loaded for a mode. It answers as `engine.user.UserRule` does."""

    def __init__(self, module: LuaRuleModule, mode: Mode, bounds: Limits) -> None:
        self._module, self._bounds = module.script, bounds
        self._script = Script(module.script, mode, module.schema.fields)

    def evaluate(
        self, info: SourceInfo, epoch: Epoch, asked: Mapping[Which, Array], passes: Passes
    ) -> tuple[dict[Which, Passed], int]:
        """Return what passes of the rows of one epoch, and the fuel used.

        Args:
            asked: rows by (table, stage), rising, at least one.

        Raises:
            StoppedError: if the code failed or ran out of fuel.
        """
        fuel = self._bounds.user_fuel + self._bounds.user_fuel_per_row * sum(map(len, asked.values()))
        self._script.enter(epoch.segment.index)
        out: dict[Which, Passed] = {}
        left = fuel
        for which, rows in asked.items():
            columns = [resolve(info, epoch, which[0], name, rows) for name in self._module.fields]
            tests = [self._test(info, epoch, which[0], test, rows, passes) for test in self._module.tests]
            try:
                hits, captured, left = self._script.run(len(rows), columns, tests, left)
            except ScriptError as error:
                raise StoppedError(fuel, trapped=not error.out_of_fuel) from error
            if len(hits):
                out[which] = Passed(rows[hits], self._by_name(captured))
        return out, fuel - left

    def _test(
        self, info: SourceInfo, epoch: Epoch, table: str, test: TextTest, rows: Array, passes: Passes
    ) -> Array:  # fmt: skip
        found = resolve(info, epoch, table, test.field, rows)
        if not isinstance(found, Coded):
            raise TypeError(f"{test.field} is a number")
        return passes(table, test, found)

    def _by_name(self, captured: list[dict[str, Value]]) -> dict[str, list[Value]]:
        return {name: [values.get(name) for values in captured] for name in self._module.captures}
