"""Lowered modules against the naive evaluator: WebAssembly on Cranelift and Pulley, Lua with and without the JIT."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from kestrel_lab.eql import compile_query, lower_lua, lower_wasm
from kestrel_lab.eql.compute import passes_value
from kestrel_lab.eql.parse import parse
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN
from tests.eql import naive
from tests.eql.host import evaluate, evaluate_lua
from tests.eql.strategies import FIELDS, events, filters


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(filters, st.lists(events(), min_size=1, max_size=12))
def test_a_module_agrees_with_the_definition(text: str, found: list[dict[str, Any]]) -> None:
    try:
        program = compile_query(text, schema=replace(BUILTIN, fields=FIELDS))
    except RuleError as error:
        if "reads arrays" not in error.what:  # more often than is allowed in one computed condition
            raise
        reject()
    (stage,) = program.stages
    module = lower_wasm(program, FIELDS)
    query = parse(text).body
    want = [n for n, event in enumerate(found) if naive.passes(query, event)]  # type: ignore[arg-type]
    rows = [n for n, event in enumerate(found) if event["action"] in stage.actions]
    assert set(want) <= set(rows)
    fast, slow = (evaluate(module, 0, found, rows, pulley=pulley) for pulley in (False, True))
    assert fast.hits == want
    assert fast == slow
    in_lua = lower_lua(program, FIELDS)
    assert in_lua.slots == module.slots
    compiled, interpreted = (evaluate_lua(in_lua, 0, found, rows, jit=jit) for jit in (True, False))
    assert compiled.hits == want
    assert compiled == interpreted
    assert fast.fuel <= module.cost_per_call[0] + len(rows) * module.cost_per_row[0]
    for test in stage.required:
        values = [found[n].get(test.field) for n in want]
        assert all(passes_value(test, value) for value in values)


def test_rows_come_back_in_the_order_given() -> None:
    module = lower_wasm(compile_query("any where process.pid != 2"))
    found = [{"process.pid": n} for n in range(5)]
    assert evaluate(module, 0, found, [4, 2, 0, 0, 3]).hits == [4, 0, 0, 3]
    assert evaluate(module, 0, found, []).hits == []


def test_each_stage_has_its_number_and_until_is_last() -> None:
    module = lower_wasm(
        compile_query(
            'sequence [any where process.pid == 1] [any where process.name == "a"] until [any where process.pid > 2]'
        )
    )
    found = [{"process.pid": 1}, {"process.pid": 2, "process.name": b"a"}, {"process.pid": 3}]
    assert [evaluate(module, n, found, range(3)).hits for n in range(3)] == [[0], [1], [2]]
    assert len(module.cost_per_row) == len(module.cost_per_call) == 3


def test_an_item_with_runs_is_one_function_and_many_stages() -> None:
    query = "sequence [any where process.pid == 1] with runs=3 [any where process.pid == 2]"
    program = compile_query(query)
    module = lower_wasm(program)
    found = [{"process.pid": 1}, {"process.pid": 2}]
    assert [evaluate(module, n, found, range(2)).hits for n in range(4)] == [[0], [0], [0], [1]]
    assert module.wat.count("(func $stage") == 2
    assert len(module.cost_per_row) == len(program.stages) == 4


def test_fuel_stays_under_the_static_cost_with_many_rows() -> None:
    text = 'any where process.name in ("a", "b") and (process.pid > 3 or not process.args : "x*") and process.pid < 9'
    module = lower_wasm(compile_query(text))
    found = [{"process.name": b"a", "process.pid": n % 11, "process.args": (b"xy",)} for n in range(500)]
    fuel = evaluate(module, 0, found, range(500)).fuel
    bound = module.cost_per_call[0] + 500 * module.cost_per_row[0]
    assert bound * 0.6 < fuel <= bound


SAME = """
import hashlib
from kestrel_lab.eql import compile_query, lower_lua, lower_wasm
text = '''sequence by host.id, process.entity_id with maxspan=1m
  [process where process.name : ("b*", "a?", "c") and event.type != "end" and user.id in ("1", "0", "2")]
  [file where file.path like~ ("/x/*", "/Y") or process.args == "q" or process.pid in (3, 1, 2)]
  until [any where event.action == "end"]'''
program = compile_query(text)
module = lower_wasm(program)
found = module.wat + repr(module.slots) + repr([s.required for s in program.stages])
print(hashlib.sha256(found.encode()).hexdigest())
"""


def test_the_text_is_the_same_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", SAME],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert len(seen) == 1
