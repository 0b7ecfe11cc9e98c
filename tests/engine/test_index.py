"""The index against the definition: a stage sees exactly the rows that pass a test of every clause it has."""

from __future__ import annotations

import numpy as np
import pytest

from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.scanning.columns import ColumnMemory
from kestrel_lab.engine.scanning.index import TableIndex
from kestrel_lab.engine.scanning.plan import StagePlan, TablePlan, plan_tables
from kestrel_lab.engine.scanning.runtimes import Runtimes
from kestrel_lab.engine.scanning.window import Window
from kestrel_lab.engine.text.classes import TooManyClassesError
from kestrel_lab.eql.compute import passes_value
from kestrel_lab.eql.ir import TextTest
from kestrel_lab.eql.texttest import passes
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.epoch import Array, Epoch, EpochSource, SourceInfo
from tests.differential.compare import batch
from tests.engine.support import QUERIES, pack_of, random_events
from tests.support.epochs import source

Found = dict[StagePlan, list[int]]

#: What asks one field twice, several fields at once, and things that are only known after a closer look.
_MORE = {
    "barred": 'process where not process.name == "bash" and not process.args : "/tmp/a.sh" and process.pid > 0',
    "barred-file": 'file where file.path like "/*" and not file.extension in ("sh", "txt") and not user.id == "0"',
    "branches": 'any where (process.name == "sh" and process.args == "-c" and user.id == "0") or '
    '(process.executable like "/t*.sh" and user.id == "1000")',
    "two-fields": 'process where process.name == "bash" or process.args like "*-c*tmp*" or user.id == "0"',
    "late": 'process where process.args regex "/tm.*" and (process.executable like "*/b*c" or process.name == "sh")',
    "both-doubtful": 'process where process.executable like "/t*p/a*" or process.command_line like "b*-c*sh"',
    "folded": 'any where process.executable like~ "*OPT*R*N*" and process.name : ("b?sh", "P*n?")',
    "paths": 'file where file.path like ("/tmp/?.sh", "/h*/.b*") and file.name regex "[.a]+.*"',
}  # fmt: skip


def candidates(index: TableIndex, window: Window) -> Found:
    try:
        return {stage: rows.tolist() for stage, rows in index.candidates(window)}
    except TooManyClassesError:
        out: Found = {}
        for part in window.halves():
            for stage, rows in candidates(index, part).items():
                out.setdefault(stage, []).extend(row + part.start - window.start for row in rows)
        return out


def holds(test: TextTest, value: object) -> bool:
    if value is None:
        return False
    if test.op == "computed":
        return passes_value(test, value)  # type: ignore[arg-type]
    return any(passes(test, v) for v in (value if isinstance(value, tuple) else (value,)))  # type: ignore[arg-type]


def by_definition(info: SourceInfo, epoch: Epoch, plan: TablePlan) -> Found:
    fields = {test.field for stage in plan.stages for clause in stage.gates for test, _ in clause}
    values = {field: python_values(resolve(info, epoch, plan.table, field)) for field in fields}
    actions: Array = epoch.tables[plan.table].column("action")
    out: Found = {}
    for stage in plan.stages:
        passing = stage.actions[actions]
        for clause in stage.gates:
            passing &= [
                any(holds(t, values[t.field][row]) == wanted for t, wanted in clause) for row in range(len(actions))
            ]
        if passing.any():
            out[stage] = np.flatnonzero(passing).tolist()
    return out


def check(pack: Pack, events: EpochSource) -> int:
    runtimes = Runtimes("live", pack.schema, "wasm")
    plans = plan_tables(pack.rules, pack.schema)
    columns = ColumnMemory(runtimes.memory, pack.rules, plans, pack.schema)
    indexes = {table: TableIndex(plan, columns, pack.schema) for table, plan in plans.items()}
    seen = 0
    for epoch in events.epochs():
        for classes in columns.classes.values():
            classes.enter(epoch.segment.index)
        for table, index in indexes.items():
            if table in epoch.tables:
                window = Window(events.info, epoch, table, 0, len(epoch.tables[table]))
                wanted = by_definition(events.info, epoch, plans[table])
                assert candidates(index, window) == wanted
                seen += sum(map(len, wanted.values()))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("cells", [1 << 20, 40, 1])
@pytest.mark.parametrize("bits", [32 << 20, 20_000, 1])
def test_a_stage_sees_what_passes_its_clauses(monkeypatch: pytest.MonkeyPatch, cells: int, bits: int) -> None:
    monkeypatch.setattr(
        "kestrel_lab.engine.scanning.index.step._CELLS", cells
    )  # tables that are outgrown, and none at all
    monkeypatch.setattr("kestrel_lab.engine.scanning.index.states._MAX_BITS", bits)  # states that are forgotten
    pack = pack_of({**QUERIES, **_MORE})
    for seed in range(3):
        assert check(pack, source(random_events(seed), epoch_rows=23, segment_epochs=2)) > 500


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_stage_of_a_generated_rule_sees_what_passes_its_clauses(seed: int) -> None:
    found = batch(2_000_000 + seed, rules=250, streams=12, public=seed == 0)
    assert check(found.pack, found.source) > 500


def test_stages_of_the_same_clauses_share_their_rows() -> None:
    pack = pack_of({"a": 'process where process.name == "bash" and process.pid > 3', "b": QUERIES["exec-name"],
                    "c": 'process where process.name == "bash" and process.pid < 3'})  # fmt: skip
    plan = plan_tables(pack.rules, pack.schema)["process"]
    runtimes = Runtimes("live", pack.schema, "wasm")
    columns = ColumnMemory(runtimes.memory, pack.rules, {"process": plan}, pack.schema)
    events = source(random_events(1), epoch_rows=120)
    (epoch,) = events.epochs()
    window = Window(events.info, epoch, "process", 0, len(epoch.tables["process"]))
    (_, one), (_, other), (_, third) = TableIndex(plan, columns, pack.schema).candidates(window)
    assert one is third
    assert one is not other
