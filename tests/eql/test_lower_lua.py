"""EQL as Lua: what its fuel is, hot loops that the JIT compiles, and queries as large as they may be."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from kestrel_lab.engine.lua import LuaRuntime
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.eql import compile_query, lower_lua, lower_wasm
from kestrel_lab.eql.limits import MAX_DEPTH
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN
from tests.eql.corpora import corpus
from tests.eql.host import Event, evaluate, evaluate_lua
from tests.eql.strategies import FIELDS

JIT = (True, False)


def agree(query: str, events: list[Event]) -> list[int]:
    """Return the rows that pass the only stage, after all backends have said the same."""
    program = compile_query(query, schema=replace(BUILTIN, fields=FIELDS))
    rows = range(len(events))
    want = evaluate(lower_wasm(program, FIELDS), 0, events, rows).hits
    for jit in JIT:
        assert evaluate_lua(lower_lua(program, FIELDS), 0, events, rows, jit=jit).hits == want
    return want


def test_each_stage_has_its_number_and_until_is_last() -> None:
    module = lower_lua(
        compile_query(
            "sequence [any where process.pid == 1] with runs=2 [any where process.pid == 2] "
            "until [any where process.pid > 2]"
        )
    )
    found = [{"process.pid": 1}, {"process.pid": 2}, {"process.pid": 3}]
    assert [evaluate_lua(module, n, found, range(3)).hits for n in range(4)] == [[0], [0], [1], [2]]
    assert len(module.cost_per_row) == len(module.cost_per_call) == 4


def test_many_rows_of_extreme_numbers() -> None:
    rng = random.Random(1)
    ints = [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), None]
    uints = [0, 2**53 + 1, 2**63, 2**64 - 1, None]
    floats = [0.0, -0.0, 5.5, float("nan"), float("inf"), -1e300, None]
    events = [
        {"process.exit_code": rng.choice(ints), "file.inode": rng.choice(uints), "t.float": rng.choice(floats)}
        for _ in range(3000)
    ]
    hits = 0
    for value in (0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 5.5):
        for op in ("==", "<", ">=", "!="):
            query = f"any where process.exit_code {op} {value} or (file.inode {op} {value} and t.float {op} {value})"
            hits += len(agree(query, events))
    assert hits


def test_fuel_is_static_and_charged_before_the_call() -> None:
    module = lower_lua(compile_query('any where process.pid == 1 or process.name == "a"'))
    events = [{"process.pid": 1, "process.name": b"b"}] * 10
    assert [evaluate_lua(module, 0, events, range(10), jit=jit).fuel for jit in JIT] == [31, 31]
    runtime = LuaRuntime("live", np.zeros(4096, np.uint8))
    predicate = runtime.load(module)
    predicate.refuel(30)
    with pytest.raises(TrappedError):
        predicate.run(0, 0, 0, 10, 0)


def test_a_list_longer_than_any_function_of_luajit() -> None:
    tests = " or ".join(f'(process.pid == {n} and process.name == "n{n}")' for n in range(1000))
    events = [{"process.pid": n, "process.name": f"n{n - n % 2}".encode()} for n in range(0, 1000, 37)]
    assert agree(f"any where {tests}", events) == list(range(0, len(events), 2))


def test_conditions_as_deep_as_they_may_be() -> None:
    query = "process.pid == 1"
    for depth in range(MAX_DEPTH - 3):
        query = f"(process.pid {'!= {0} and' if depth % 2 else '== {0} or'} {query})".format(depth)
    events = [{"process.pid": pid} for pid in range(MAX_DEPTH)]
    assert agree(f"any where not ({query})", events) == [n for n in range(MAX_DEPTH) if n % 2 or n >= MAX_DEPTH - 3]


def test_every_rule_of_the_sample_is_loaded() -> None:
    runtime, loaded = LuaRuntime("deterministic", np.zeros(4096, np.uint8)), 0
    for rule in json.loads(corpus("elastic_linux_eql_sample.json").read_text()):
        try:
            program = compile_query(rule["query"])
        except RuleError:
            continue  # test_corpus counts those
        loaded += 1
        assert lower_lua(program).slots == lower_wasm(program).slots
        runtime.load(lower_lua(program))
    assert loaded
