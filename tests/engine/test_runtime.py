"""WebAssembly in both modes: fuel, exhaustion, traps, and modules that are refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kestrel_lab.engine import Engine, Limits
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.wasm import Runtime
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, alert_digest
from kestrel_lab.schema.errors import LimitError, RuleError
from tests.engine.support import MODES, QUERIES, pack_of, random_events, run, unnarrowed, with_module
from tests.support.epochs import INFO, source

HEAD = """(module
 (import "kestrel_lab_v1" "memory" (memory 2048 2048))
 (func (export "pred_init") (result i32) i32.const 1)
 (func (export "pred_eval") (param $stage i32) (param $frame i32) (param $rows i32) (param $count i32) (param $out i32)
  (result i32) (local $i i32)"""

#: Passes every row, and works `turns` turns of a loop for each.
BUSY = (
    HEAD
    + """(local $turn i32)
  block $done loop $next
   local.get $i local.get $count i32.ge_u br_if $done
   i32.const {turns} local.set $turn
   loop $work local.get $turn i32.const 1 i32.sub local.tee $turn br_if $work end
   local.get $out local.get $i i32.const 2 i32.shl i32.add
   local.get $rows local.get $i i32.const 2 i32.shl i32.add i32.load i32.store
   local.get $i i32.const 1 i32.add local.set $i br $next
  end end local.get $count))"""
)


def observed(wat: str, mode: Mode, fuel: int) -> tuple[list[Alert], list[Exhausted], dict[str, int]]:
    """Run a rule that is the given module beside a compiled one."""
    pack = with_module(pack_of({"user": "any where true", "other": QUERIES["file"]}), "user", wat)
    engine = Engine(pack, INFO, mode, Limits(fuel=fuel))
    results = [engine.process(epoch) for epoch in source(random_events(5), epoch_rows=35).epochs()]
    return [a for r in results for a in r.alerts], [e for r in results for e in r.exhausted], dict(engine.fuel)


def test_fuel_is_the_same_in_both_modes() -> None:
    pack, events = unnarrowed(pack_of(QUERIES)), source(random_events(1), epoch_rows=25)
    fuel = []
    for mode in MODES:
        engine = Engine(pack, INFO, mode)
        for epoch in events.epochs():
            assert not engine.process(epoch).exhausted
        fuel.append((dict(engine.fuel), engine.evaluations))
    assert fuel[0] == fuel[1]
    assert [rule_id for rule_id, used in fuel[0][0].items() if not used] == ["optional"]  # all of its stages are open


def test_a_compiled_rule_stays_within_its_static_cost() -> None:
    pack = pack_of(QUERIES)
    for epoch in source(random_events(2), epoch_rows=40).epochs():
        engine = Engine(pack, INFO, "live")
        engine.process(epoch)
        for rule in pack.rules:
            bound = sum(rule.module.cost_per_row) * epoch.rows + 3 * sum(rule.module.cost_per_call)
            assert engine.fuel[rule.id] <= bound


@pytest.mark.parametrize("fuel", [100, 2_000, 2_500, 3_000, 100_000])
def test_exhaustion_is_the_same_in_both_modes(fuel: int) -> None:
    live, deterministic = (observed(BUSY.format(turns=20), mode, fuel) for mode in MODES)
    assert live == deterministic


def test_an_exhausted_rule_loses_its_hits_of_that_epoch_only() -> None:
    everything, none, _ = observed(BUSY.format(turns=20), "live", 10**6)
    some, exhausted, fuel = observed(BUSY.format(turns=20), "live", 3_000)
    assert not none
    assert 0 < len(exhausted) < 4
    lost = {i for e in exhausted for i in range(e.first_event_id, e.last_event_id + 1)}
    assert some == [a for a in everything if a.rule_id != "user" or a.event_ids[0] not in lost]
    assert all(e.rule_id == "user" and e.limit == 3_000 for e in exhausted)
    assert fuel["user"] >= 3_000 * len(exhausted)


@pytest.mark.parametrize(
    "body",
    [
        "loop $forever br $forever end unreachable",
        "unreachable",
        "i32.const -4 i32.load",
        "local.get $count i32.const 1 i32.add",  # more hits than rows
        "local.get $out i32.const 1000000 i32.store i32.const 1",  # a position that is none
        "local.get $out i64.const 1 i64.store i32.const 2",  # positions that do not rise
        "local.get $count i32.const 0 i32.div_u",
    ],
)
def test_what_a_module_does_wrong_ends_the_same_in_both_modes(body: str) -> None:
    live, deterministic = (observed(f"{HEAD} {body}))", mode, 5_000) for mode in MODES)
    assert live == deterministic
    assert [e.rule_id for e in live[1]] == ["user"] * 4
    assert {a.rule_id for a in live[0]} <= {"other"}


@pytest.mark.parametrize(
    ("wat", "words"),
    [
        ("(module", "refused"),
        ("(module)", "lacks the export pred_init"),
        ('(module (import "env" "now" (func)))', "imports"),
        (HEAD.replace("i32.const 1)", "i32.const 2)") + " i32.const 0))", "speaks ABI 2"),
        (HEAD.replace("i32.const 1)", "unreachable)") + " i32.const 0))", "refused"),
        ("(module (memory 1 1 shared))", "refused"),
        (HEAD.replace("$i i32)", "$i i32) (local v128)") + " (i8x16.relaxed_swizzle (local.get 6) (local.get 6))"
         " i8x16.bitmask))", "refused"),
    ],
)  # fmt: skip
def test_modules_that_are_refused(wat: str, words: str) -> None:
    for mode in MODES:
        with pytest.raises(RuleError, match=words):
            Runtime(mode).load(wat, "rule.toml")


def test_every_nan_is_the_same_one() -> None:
    negated = "(f32.add (f32.neg (f32.div (f32.const 0) (f32.const -0))) (f32.const 1))"
    wat = f"{HEAD} (i32.eq (i32.reinterpret_f32 {negated}) (i32.const 0x7fc00000))))"
    for mode in MODES:
        runtime = Runtime(mode)
        predicate = runtime.load(wat, "x")
        runtime.refuel(1000)
        assert predicate.run(0, 0, 0, 1, 64) == 1


def test_a_call_after_a_trap_works() -> None:
    for mode in MODES:
        runtime = Runtime(mode)
        bad = runtime.load(f"{HEAD} unreachable))", "bad")
        good = runtime.load(f"{HEAD} local.get $count))", "good")
        for _ in range(3):
            runtime.refuel(1000)
            with pytest.raises(TrappedError):
                bad.run(0, 0, 0, 1, 64)
            runtime.refuel(1000)
            assert good.run(0, 0, 0, 7, 64) == 7


def test_a_pack_that_needs_too_much_memory_is_refused() -> None:
    names = ", ".join(f'"{n}"' for n in range(3))
    queries = {f"r{n}": f'process where process.name in ({names}, "n{n}")' for n in range(10)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kestrel_lab.engine.scanning.columns._MIN_CAPACITY", 1 << 24)
        with pytest.raises(LimitError, match="too many tests"):
            Engine(pack_of(queries), INFO, "live")


HASHED = """
from tests.engine.support import *
from tests.support.epochs import source
from kestrel_lab.schema.alert import alert_digest
engine = Engine(pack_of(QUERIES), source([]).info, "deterministic")
events = source(random_events(3), epoch_rows=20)
alerts = [a for e in events.epochs() for a in engine.process(e).alerts]
print(alert_digest(alerts), engine.state().hex())
"""


@pytest.mark.slow
def test_neither_hash_seed_nor_locale_nor_time_zone_change_anything() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", HASHED],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": lang},
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout
        for seed, zone, lang in [("0", "UTC", "C"), ("1", "Asia/Kathmandu", "C.UTF-8"), ("77", "America/New_York", "C")]
    }  # fmt: skip
    assert len(outputs) == 1
    assert alert_digest(run(pack_of(QUERIES), source(random_events(3), epoch_rows=20))) in next(iter(outputs))
