"""How a rule is compiled and what it costs, for `rules explain`: every stage of the compiler, the index, the fuel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.lua.rule import LuaRuleModule
from kestrel_lab.engine.packs.gates import Clause
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.shape import numbered_stages
from kestrel_lab.engine.scanning.plan import StagePlan, plan_tables
from kestrel_lab.eql import show
from kestrel_lab.eql.ir import TRUE, Stage, fields_of, leaves
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What is known of one stage before any event.

    Attributes:
        title: its category and join key in words.
        actions: events it looks at, as `table/action`.
        index: by table, the tests that the index finds its rows by; None where it sees every row of its actions.
        left: what is evaluated of those rows, on one line; None where the index decides it all.
        fields: those it reads, its join key included.
        fuel_per_row, fuel_per_call: the most that a row, and a call beside its rows, can use.
    """

    number: int
    title: str
    actions: tuple[str, ...]
    index: Mapping[str, str | None]
    left: str | None
    fields: tuple[str, ...]
    fuel_per_row: int
    fuel_per_call: int


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """A rule through the compiler. The texts are lines; those of the language are empty for what is no EQL.

    Attributes:
        syntax, types, rewrites, program: syntax tree, typed tree, what was done to it and where, intermediate form.
        code: what it runs as: WebAssembly text, and the rewritten Lua of a rule in Lua. A user's module is not shown.
        worst_fuel, fuel_limit: the most fuel an epoch can cost, and what it may.
    """

    rule: Rule
    syntax: tuple[str, ...]
    types: tuple[str, ...]
    rewrites: tuple[str, ...]
    program: tuple[str, ...]
    stages: tuple[StageFacts, ...]
    fields: tuple[str, ...]
    code: str
    worst_fuel: int
    fuel_limit: int


def explain_rule(rule: Rule, schema: Schema, limits: Limits) -> RuleExplanation:
    """Return how a rule was compiled.

    Args:
        schema, limits: what it was compiled with.
    """
    eql = rule.language == "eql"
    module, program = rule.module, rule.program
    plans = plan_tables([rule], schema)
    keys: dict[int, dict[str, str | None]] = {}
    for table, plan in plans.items():
        for stage in plan.stages:
            keys.setdefault(stage.number, {})[table] = _key(stage)
    first = {id(stage): number for number, stage in numbered_stages(program)}
    stages = tuple(
        StageFacts(
            number=number,
            title=show.stage_title(program, stage),
            actions=tuple(f"{a.table}/{a.name}" for a in schema.actions if a.code in stage.actions),
            index=keys.get(first[id(stage)], {}),
            left=_left(rule, number),
            fields=_fields(stage) if rule.user is None else tuple(sorted(program.fields)),
            fuel_per_row=0 if _is_decided(rule, number) else module.cost_per_row[number],
            fuel_per_call=0 if _is_decided(rule, number) else module.cost_per_call[number],
        )
        for number, stage in enumerate(program.all_stages)
    )
    return RuleExplanation(
        rule=rule,
        syntax=tuple(show.show_syntax(rule.query)) if eql else (),
        types=tuple(show.show_types(rule.query, schema)) if eql else (),
        rewrites=tuple(show.show_rewrites(rule.query, program)) if eql else (),
        program=tuple(show.show_program(program)),
        stages=stages,
        fields=tuple(sorted(program.fields)),
        code=module.wat + (rule.user.script.source if isinstance(rule.user, LuaRuleModule) else ""),
        worst_fuel=limits.worst(sum(s.fuel_per_row for s in stages), sum(s.fuel_per_call for s in stages)),
        fuel_limit=limits.fuel,
    )


def _is_decided(rule: Rule, number: int) -> bool:
    code = rule.module.program
    return code is not None and code.all_stages[number].expr == TRUE


def _left(rule: Rule, number: int) -> str | None:
    expr = (rule.module.program or rule.program).all_stages[number].expr
    parts = [] if _is_decided(rule, number) else [show.show_expr(expr)]
    return ", then ".join([*parts, *(["the code of the rule"] if rule.user is not None else [])]) or None


def _key(stage: StagePlan) -> str | None:
    return " and ".join(map(_clause, stage.gates)) or None


def _clause(clause: Clause) -> str:
    tests = (("" if literal.holds else "not ") + show.show_test(literal.test.field, literal.test) for literal in clause)
    text = " or ".join(tests)
    return f"({text})" if len(clause) > 1 else text


def _fields(stage: Stage) -> tuple[str, ...]:
    read = (name for leaf in leaves(stage.expr) for name in fields_of(leaf))
    return tuple(dict.fromkeys([*read, *(name for name in stage.by if name is not None)]))
