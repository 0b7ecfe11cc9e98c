"""What is known before any event: for each table, the stages that look at it and what they read there."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.hits.captures import captured_fields
from kestrel_lab.engine.packs.gates import Clause
from kestrel_lab.engine.packs.narrowing import narrowed
from kestrel_lab.engine.packs.reach import can_fire
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.shape import numbered_stages
from kestrel_lab.engine.text.classes import TestKey, key_of_test
from kestrel_lab.eql import Slot, Stage, TextTest
from kestrel_lab.eql.ir import TRUE, TextLeaf, leaves
from kestrel_lab.eql.slots import slots_of_leaf
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True, eq=False)
class StagePlan:
    """One stage of a rule on one table.

    Attributes:
        rule: position of the rule in the pack; `number`: of the stage in its module.
        actions: for each action code, whether the stage looks at it here.
        gates: the index finds its rows by them: they pass a literal of each.
        decided: whether all those rows satisfy it, so that there is nothing to evaluate.
        columns: column slots it reads, each with the text tests it puts to it.
        by: fields of the join key (None: null for every event), each with whether null joins null.
        twins: the same for stages of the table that are the same code, and different for others.
    """

    rule: int
    rule_id: str
    number: int
    actions: npt.NDArray[np.bool_]
    gates: tuple[Clause, ...]
    decided: bool
    columns: Mapping[Slot, tuple[TextTest, ...]]
    by: tuple[tuple[str | None, bool], ...]
    captures: tuple[str, ...]
    twins: int


@dataclass(frozen=True, slots=True)
class TablePlan:
    """The stages that look at a table, in (rule, stage) order, and the columns that some of them read.

    An item with runs is looked for once, under its first number.
    """

    table: str
    stages: tuple[StagePlan, ...]
    columns: tuple[Slot, ...]


def plan_tables(rules: Sequence[Rule], schema: Schema, *, every: bool = True) -> dict[str, TablePlan]:
    """Return the plan of each table that some rule looks at.

    Args:
        every: also where it can never fire, as a sequence of which one item asks for a field that no event has.
    """
    idle = frozenset(n for n, rule in enumerate(rules) if not every and not can_fire(rule.program, schema))
    plans = (_table_plan(table, rules, schema, idle) for table in schema.tables)
    return {plan.table: plan for plan in plans if plan.stages}


def tests_by_dictionary(
    rules: Sequence[Rule], plans: Sequence[TablePlan], schema: Schema
) -> dict[str, tuple[TextTest, ...]]:
    """Return, by dictionary key, the distinct tests that rules and their gates put to its values."""
    found: dict[str, dict[TestKey, TextTest]] = {}
    for plan in plans:
        used = dict.fromkeys(stage.rule for stage in plan.stages)
        for slot in (s for rule in used for s in rules[rule].module.slots):
            if slot.kind in (SlotKind.CLASS, SlotKind.TEST):
                tests = found.setdefault(schema.dictionary_key(plan.table, slot.field), {})
                if slot.test is not None:
                    tests.setdefault(key_of_test(slot.test), slot.test)
        for test in (literal.test for stage in plan.stages for clause in stage.gates for literal in clause):
            found.setdefault(schema.dictionary_key(plan.table, test.field), {}).setdefault(key_of_test(test), test)
    return {key: tuple(tests.values()) for key, tests in found.items()}


def _table_plan(table: str, rules: Sequence[Rule], schema: Schema, idle: Container[int]) -> TablePlan:
    codes = {a.code for a in schema.actions_of(table)}
    twins: dict[object, int] = {}
    stages = tuple(
        _stage_plan(position, rule, number, stage, table, codes, schema, twins)
        for position, rule in enumerate(rules)
        if position not in idle
        for number, stage in numbered_stages(rule.program)
        if stage.actions & codes
    )
    return TablePlan(table, stages, tuple(dict.fromkeys(c for s in stages for c in s.columns)))


def _stage_plan(
    position: int,
    rule: Rule,
    number: int,
    stage: Stage,
    table: str,
    codes: set[int],
    schema: Schema,
    twins: dict[object, int],
) -> StagePlan:
    actions = np.zeros(256, np.bool_)
    actions[sorted(stage.actions & codes)] = True
    columns: dict[Slot, tuple[TextTest, ...]] = {}
    code = rule.module.program
    expr = stage.expr if code is None else code.all_stages[number].expr
    for leaf in leaves(expr):
        for slot in slots_of_leaf(leaf, schema.fields):
            if slot.kind is SlotKind.TEST:
                continue
            tests = (leaf.test,) if isinstance(leaf, TextLeaf) else ()
            columns[slot] = tuple(dict.fromkeys((*columns.get(slot, ()), *tests)))
    alike = (position, number) if code is None else expr
    found = narrowed(stage, schema)
    optional = stage.by_optional or (False,) * len(stage.by)
    return StagePlan(
        rule=position,
        rule_id=rule.id,
        number=number,
        actions=actions,
        gates=found.gates,
        decided=code is not None and expr == TRUE,
        columns=columns,
        by=tuple(zip(stage.by, optional, strict=True)),
        captures=() if stage is rule.program.until else captured_fields(rule.captures, table, schema),
        twins=twins.setdefault(alike, len(twins)),
    )
