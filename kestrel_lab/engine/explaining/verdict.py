"""What one event makes of a rule: every leaf of every stage, and what it read. For `rules explain`.

No leaf is evaluated anew here: each becomes a predicate of its own and runs like any other, in the engine that raises
the alerts, on the one row. What the tree above the leaves says must then be what the rule itself says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.shape import numbered_stages
from kestrel_lab.engine.scanning.scanner import Scanner
from kestrel_lab.eql import Program, Stage, lower_wasm, show
from kestrel_lab.eql.ir import And, Const, Expr, Leaf, Not, Or, fields_of, leaves
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Array, Epoch, Rows, SourceInfo
from kestrel_lab.schema.errors import DivergedError
from kestrel_lab.schema.values import Value


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a condition: whether it holds at the event, and the values that a leaf read.

    Attributes:
        text: how it reads.
        values: by field; None where missing. Empty for what is no leaf.
    """

    kind: Literal["leaf", "not", "and", "or"]
    text: str
    holds: bool
    values: Mapping[str, Value]
    parts: tuple[Part, ...] = ()

    def walk(self) -> Iterator[tuple[int, Part]]:
        """Yield every part of it with its depth, each before its own parts."""
        work = [(0, self)]
        while work:
            depth, part = work.pop()
            yield depth, part
            work.extend((depth + 1, p) for p in reversed(part.parts))


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """One stage of a rule at one event.

    Attributes:
        number: the stage's; that of `until` comes last. `title`: what it is, in words.
        concerned: whether the stage looks at events of this category and action at all.
        holds: whether the event passes it.
        condition: its condition, None for a rule that is not EQL.
        keys: values of its join fields by name; a field that does not exist is left out.
    """

    number: int
    title: str
    concerned: bool
    holds: bool
    condition: Part | None
    keys: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """What an event makes of every stage of a rule."""

    event_id: int
    table: str
    action: str
    stages: tuple[StageVerdict, ...]


def verdict(rule: Rule, pack: Pack, info: SourceInfo, epoch: Epoch, event_id: int, mode: Mode) -> EventVerdict:
    """Return what one event makes of a rule of a pack.

    Args:
        epoch: one that holds the event.

    Raises:
        KeyError: if the epoch does not hold the event.
        DivergedError: if the leaves, put together, say something else than the rule.
    """
    table, single = alone(epoch, event_id)
    action = info.schema.action(int(single.tables[table].column("action")[0]))
    stages = rule.program.all_stages
    looked_for = {id(stage): number for number, stage in numbered_stages(rule.program)}
    whole = _passed(rule, pack, info, single, mode)
    conditions = _conditions(rule, pack, info, single, table, mode) if rule.language == "eql" else [None] * len(stages)
    found = []
    for number, (stage, condition) in enumerate(zip(stages, conditions, strict=True)):
        concerned = action.code in stage.actions
        holds = looked_for[id(stage)] in whole
        if condition is not None and holds != (concerned and condition.holds):
            what = f"stage {number} of rule {rule.id} {'passes' if holds else 'fails'} at event {event_id}, its leaves "
            raise DivergedError(what + "say otherwise", do="This is a defect of the engine: please report it.")
        keys = _values([name for name in stage.by if name is not None], info, single, table)
        found.append(StageVerdict(number, show.stage_title(rule.program, stage), concerned, holds, condition, keys))
    return EventVerdict(event_id, table, action.name, tuple(found))


class OneRow:
    """One row of a table. Satisfies `Rows`."""

    def __init__(self, rows: Rows, at: int) -> None:
        self._rows, self._at = rows, at

    def __len__(self) -> int:
        return 1

    def column(self, name: str) -> Array:
        """Return a physical column.

        Raises:
            KeyError: if the table has no such column.
        """
        return self._rows.column(name)[self._at : self._at + 1]

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return whether the row has a value, None if all have."""
        mask = self._rows.valid(name)
        return None if mask is None else mask[self._at : self._at + 1]

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Raise KeyError: event tables hold no lists; entities do."""
        raise KeyError(name)


def alone(epoch: Epoch, event_id: int) -> tuple[str, Epoch]:
    """Return the table of an event, and an epoch that holds it alone.

    Raises:
        KeyError: if the epoch does not hold it.
    """
    for table, rows in epoch.tables.items():
        ids = rows.column("event_id")
        at = int(np.searchsorted(ids, event_id))
        if at < len(ids) and int(ids[at]) == event_id:
            stamp = int(rows.column("ts_boot_ns")[at])
            return table, replace(epoch, first_event_id=event_id, rows=1, tables={table: OneRow(rows, at)}, gaps=(),
                                  ts_min_ns=stamp, ts_max_ns=stamp)  # fmt: skip
    raise KeyError(event_id)


def _passed(rule: Rule, pack: Pack, info: SourceInfo, epoch: Epoch, mode: Mode) -> set[int]:
    """Return the numbers of the stages that the one event of an epoch passes."""
    one = replace(pack, rules=(rule,))
    scan = Scanner(one, info, mode, pack.limits, every=True).scan(epoch)
    return {hits.stage for hits in scan.hits.get(rule.id, ())}


def _conditions(
    rule: Rule, pack: Pack, info: SourceInfo, epoch: Epoch, table: str, mode: Mode
) -> list[Part | None]:  # fmt: skip
    stages = rule.program.all_stages
    every = list(dict.fromkeys(leaf for stage in stages for leaf in leaves(stage.expr)))
    true = _true_leaves(every, rule, pack, info, epoch, mode)
    values = _values([name for leaf in every for name in fields_of(leaf)], info, epoch, table)
    return [_tree(stage.expr, true, values) for stage in stages]


def _true_leaves(
    every: Sequence[Leaf], rule: Rule, pack: Pack, info: SourceInfo, epoch: Epoch, mode: Mode
) -> set[Leaf]:
    """Run each leaf as a stage of its own over the one row, whatever its action."""
    tested = [leaf for leaf in every if not isinstance(leaf, Const)]
    true: set[Leaf] = {leaf for leaf in every if isinstance(leaf, Const) and leaf.value}
    if not tested:
        return true
    actions = frozenset(action.code for action in info.schema.actions)
    stages = tuple(Stage(None, leaf, (), actions, ()) for leaf in tested)
    program = Program("sequence", stages, None, None, rule.program.fields)
    probe = replace(rule, program=program, module=lower_wasm(program, pack.schema.fields))
    return true | {tested[number] for number in _passed(probe, pack, info, epoch, mode)}


def _tree(root: Expr, true: set[Leaf], values: Mapping[str, Value]) -> Part:
    work: list[tuple[Expr, bool]] = [(root, False)]
    done: list[Part] = []
    while work:
        node, ready = work.pop()
        if not isinstance(node, And | Or | Not):
            read = {name: values[name] for name in fields_of(node)}
            done.append(Part("leaf", show.show_leaf(node), node in true, read))
            continue
        items = (node.item,) if isinstance(node, Not) else node.items
        if not ready:
            work.append((node, True))
            work.extend((item, False) for item in reversed(items))
            continue
        parts = tuple(done[-len(items) :])
        del done[-len(items) :]
        done.append(_joined(node, parts))
    return done.pop()


def _joined(node: And | Or | Not, parts: tuple[Part, ...]) -> Part:
    if isinstance(node, Not):
        return Part("not", "not", not parts[0].holds, {}, parts)
    if isinstance(node, And):
        return Part("and", "and", all(p.holds for p in parts), {}, parts)
    return Part("or", "or", any(p.holds for p in parts), {}, parts)


def _values(names: Sequence[str], info: SourceInfo, epoch: Epoch, table: str) -> dict[str, Value]:
    return {name: python_values(resolve(info, epoch, table, name))[0] for name in dict.fromkeys(names)}
