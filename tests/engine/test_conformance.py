"""Elasticsearch's EQL suite, case by case: the definition in `naive`, and the engine on every backend in every mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from kestrel_lab.engine import PATIENT, Engine, Pack, pack_from_files
from kestrel_lab.engine.predicate import Backend
from kestrel_lab.schema.alert import Mode
from tests.engine.support import toml
from tests.eql import naive, suite
from tests.eql.suite import Case, Ids

RUNS: Sequence[tuple[Backend, Mode]] = [
    ("wasm", "live"), ("wasm", "deterministic"), ("lua", "live"), ("lua", "deterministic")
]  # fmt: skip
PARTS = tuple(dict.fromkeys(case.name.partition(":")[0] for case in suite.cases()))
#: What a result is: the join key it is found under, and its events.
Result = tuple[Sequence[Any], Ids]


def test_the_suite_is_whole() -> None:
    if not suite.FOLDER.exists():
        pytest.skip("the suite of Elasticsearch is not part of the project and not at ../shared/corpora")
    assert len(suite.cases()) == 314
    assert {c.name for c in suite.cases()} >= set(suite.exceptions())


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_the_definition(part: str) -> None:
    def find(case: Case) -> Sequence[Result]:
        fields = suite.source(case.data).info.schema.fields
        return [(m.key, m.event_ids) for m in naive.run(case.query, _events(case.data), fields)]

    _check(part, find)


@pytest.mark.slow
@pytest.mark.parametrize("epoch_rows", [65_536, 7])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: "-".join(run))
@pytest.mark.parametrize("part", PARTS)
def test_the_engine(part: str, run: tuple[Backend, Mode], epoch_rows: int) -> None:
    _check(part, lambda case: _alerts(case.data, *run, epoch_rows).get(_rule_id(case), []))


def _check(part: str, find: Callable[[Case], Sequence[Result]]) -> None:
    """Check all cases of a part: those that are excepted must not give the expected answer."""
    wrong = {}
    for case in suite.cases():
        if case.name.startswith(f"{part}: "):
            found = _answer(case, find(case))
            if (found in case.expected) is (case.name in suite.exceptions()):
                wrong[case.name] = found, case.expected
    assert not wrong


def _answer(case: Case, found: Sequence[Result]) -> Ids:
    """Return the suite's ids of the results one after the other.

    A sample has no order: Elasticsearch gives them in that of their keys, and here they are put into it.
    """
    if case.data == "sample":
        found = sorted(found, key=lambda r: [(v is not None, v) for v in r[0]])[: case.size]
    ids = {e["event.sequence"]: e[suite.id_field(case.data)] for e in _events(case.data)}
    return tuple(None if i is None else ids[i] for _, event_ids in found for i in event_ids)


@cache
def _events(data: str) -> list[dict[str, Any]]:
    return naive.events_of(suite.source(data))


@cache
def _pack(data: str) -> Pack:
    queries = {_rule_id(c): c.query for c in suite.cases() if c.data == data}
    files = {f"{rule_id}.toml": toml(rule_id, query) for rule_id, query in queries.items()}
    return pack_from_files(files, schema=suite.source(data).info.schema)


@cache
def _alerts(data: str, backend: Backend, mode: Mode, epoch_rows: int) -> Mapping[str, list[Result]]:
    """Return the results of every rule of a data set, in the order the engine gives them."""
    source = suite.source(data, epoch_rows)
    engine = Engine(_pack(data), source.info, mode, PATIENT, backend)
    alerts = [a for epoch in source.epochs() for a in engine.process(epoch).alerts]
    out: dict[str, list[Result]] = {}
    for alert in [*alerts, *engine.finish("sealed")]:
        out.setdefault(alert.rule_id, []).append((alert.join_keys, alert.event_ids))
    return out


def _rule_id(case: Case) -> str:
    return case.name.replace(": ", "-").replace("_", "-")
