"""The engine against EQL by definition, and everything that must not change its answers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from kestrel_lab.engine import Engine, Limits, Matcher, Scanner, merge_states, ready
from kestrel_lab.engine.predicate import Backend
from kestrel_lab.engine.scanning import columns
from kestrel_lab.engine.scanning.plan import StagePlan
from kestrel_lab.schema.alert import Mode, alert_digest
from tests.engine.support import MODES, QUERIES, found, pack_of, random_events, run, unnarrowed
from tests.eql import naive
from tests.support.epochs import INFO, source

SEEDS = range(12)
PACK = pack_of(QUERIES)


def expected(seed: int) -> dict[str, list[tuple[object, ...]]]:
    events = naive.events_of(source(random_events(seed), epoch_rows=50))
    out = {}
    for rule_id, query in QUERIES.items():
        matches = sorted(((m.event_ids, m.key) for m in naive.run(query, events)), key=repr)
        if matches:
            out[rule_id] = matches
    return out


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_are_those_of_the_definition(seed: int) -> None:
    assert found(run(PACK, source(random_events(seed), epoch_rows=17))) == expected(seed)


def test_every_query_finds_something() -> None:
    assert {rule for seed in SEEDS for rule in expected(seed)} == set(QUERIES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_neither_mode_nor_cuts_change_an_alert(seed: int) -> None:
    events = random_events(seed)
    runs = [
        run(PACK, source(events, epoch_rows=rows, segment_epochs=segment), mode)
        for mode in MODES
        for rows, segment in [(1, 9), (7, 3), (120, 1)]
    ]
    assert len(runs[0]) > 50
    assert all(r == runs[0] for r in runs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_index_decides_need_not_be_evaluated(seed: int) -> None:
    events = source(random_events(seed), epoch_rows=17)
    assert run(unnarrowed(PACK), events) == run(PACK, events)


@pytest.mark.parametrize("rule_id", ["by-entity", "by-args", "file", "exec-name"])
def test_other_rules_change_neither_alerts_nor_fuel(rule_id: str) -> None:
    epochs = source(random_events(5), epoch_rows=40).stored
    alone, together = Engine(pack_of({rule_id: QUERIES[rule_id]}), INFO, "live"), Engine(PACK, INFO, "live")
    apart = [a.event_ids for e in epochs for a in alone.process(e).alerts]
    assert apart == [a.event_ids for e in epochs for a in together.process(e).alerts if a.rule_id == rule_id]
    assert apart
    assert together.fuel[rule_id] == alone.fuel[rule_id]


@pytest.mark.parametrize(
    ("backend", "fuel"), [("wasm", None), ("lua", None), *(("wasm", fuel) for fuel in range(200, 1_600, 100))]
)
def test_rules_that_share_conditions_answer_and_burn_as_they_do_alone(backend: Backend, fuel: int | None) -> None:
    limits = Limits() if fuel is None else Limits(fuel=fuel)
    start, end = (
        f'process where event.type == "{kind}" and process.pid > 0 and process.parent.pid > 0'
        for kind in ("start", "end")
    )
    shared = {
        "first": start,
        "again": start,
        "sequence": f"sequence by process.pid [{start}] [{end}] until [file where true]",
        "swapped": f"sequence by process.pid [{end}] [process where process.pid > 2] [{start}]",
        "with-another": f"sequence by user.id [file where true] [{start}] [{start}]",
    }
    pack, alone = pack_of(shared), {rule_id: pack_of({rule_id: query}) for rule_id, query in shared.items()}
    engine = Engine(pack, INFO, "live", limits, backend)
    apart = {rule_id: Engine(p, INFO, "live", limits, backend) for rule_id, p in alone.items()}
    stopped = 0
    for epoch in source(random_events(8, 400), epoch_rows=80).stored:
        together, one_by_one = engine.process(epoch), {rule_id: e.process(epoch) for rule_id, e in apart.items()}
        for rule_id, result in one_by_one.items():
            assert [a.event_ids for a in together.alerts if a.rule_id == rule_id] == [
                a.event_ids for a in result.alerts
            ]
            assert [x for x in together.exhausted if x.rule_id == rule_id] == list(result.exhausted)
            stopped += len(result.exhausted)
    assert dict(engine.fuel) == {rule_id: e.fuel[rule_id] for rule_id, e in apart.items()}
    assert bool(stopped) == (fuel is not None)


def test_the_order_of_the_files_changes_nothing() -> None:
    backwards = pack_of(dict(reversed(QUERIES.items())))
    assert backwards.hash == PACK.hash
    events = source(random_events(4))
    assert alert_digest(run(backwards, events)) == alert_digest(run(PACK, events))


def test_alerts_of_an_epoch_are_in_order() -> None:
    alerts = run(PACK, source(random_events(5), epoch_rows=120))
    assert [a.sort_key for a in alerts] == sorted(a.sort_key for a in alerts)


@pytest.mark.parametrize("cut", [1, 6, 11])
def test_state_carries_an_engine_over_a_cut(cut: int) -> None:
    epochs = list(source(random_events(6), epoch_rows=10, segment_epochs=4).epochs())
    whole, first, second = (Engine(PACK, INFO, "live") for _ in range(3))
    expected_alerts = [a for e in epochs for a in whole.process(e).alerts]
    got = [a for e in epochs[:cut] for a in first.process(e).alerts]
    state = first.state()
    assert second.restore(state) == 0
    assert second.state() == state
    got += [a for e in epochs[cut:] for a in second.process(e).alerts]
    assert got == expected_alerts
    assert second.state() == whole.state()
    assert (second.fuel, second.evaluations) == (whole.fuel, whole.evaluations)


def test_cuts_do_not_change_what_is_pending() -> None:
    def pending(rows: int) -> bytes:
        events = source(random_events(7), epoch_rows=rows, segment_epochs=2)
        scanner, matcher = Scanner(PACK, INFO, "live"), Matcher(PACK)
        for epoch in events.epochs():
            matcher.feed(scanner.scan(epoch))
        return matcher.dump()

    assert pending(3) == pending(40) == pending(120)


def test_changed_rules_start_empty_and_are_counted() -> None:
    events = source([{"table": "file", "action": "creation", "pid": 2, "file.path": "/a"}])
    query = 'sequence by file.path [file where true] [file where file.name == "b"]'
    before, after = Engine(pack_of({"a": query}), INFO, "live"), Engine(pack_of({"a": query + " "}), INFO, "live")
    before.process(events.stored[0])
    assert after.restore(before.state()) == 1
    assert b"pending" not in after.state()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_shards_split_over_matchers_give_the_same_alerts(workers: int) -> None:
    epochs = list(source(random_events(8), epoch_rows=16).epochs())
    scanners = [Scanner(PACK, INFO, "live") for _ in range(workers)]
    matchers = [Matcher(PACK, frozenset(range(n, 64, workers))) for n in range(workers)]
    whole = Engine(PACK, INFO, "live")
    for number, epoch in enumerate(epochs):
        scan = pickle.loads(pickle.dumps(ready(scanners[number % workers].scan(epoch))))
        alerts = [a for m in matchers for a in m.feed(scan)]
        assert sorted(alerts, key=lambda a: a.sort_key) == whole.process(epoch).alerts
    merged, again = merge_states([m.dump() for m in matchers]), Matcher(PACK)
    assert again.restore(merged) == 0
    assert again.dump() == merged


def test_windows_and_crowded_tables_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    events = source(random_events(9), epoch_rows=120)
    normal = run(PACK, events)
    monkeypatch.setattr(columns, "WINDOW_ROWS", 16)
    assert run(PACK, events) == normal
    monkeypatch.setattr(columns, "_MIN_CAPACITY", 4)
    monkeypatch.setattr(columns, "_MAX_CAPACITY", 4)
    assert run(PACK, events) == normal


def test_skipped_epochs_are_not_seen() -> None:
    epochs = list(source(random_events(10), epoch_rows=20).epochs())
    engine = Engine(PACK, INFO, "live")
    ids: set[int | None] = set()
    for epoch in epochs:
        result = engine.skip(epoch) if epoch.number == 2 else engine.process(epoch)
        ids |= {i for a in result.alerts for i in a.event_ids}
    assert ids
    assert not ids & set(range(41, 61))


def test_a_pack_without_rules_finds_nothing() -> None:
    assert run(pack_of({}), source(random_events(11))) == []


@pytest.mark.parametrize("backend", ["wasm", "lua"])
@pytest.mark.parametrize("mode", MODES)
def test_rows_split_or_reversed_before_a_predicate_pass_all_the_same(mode: Mode, backend: Backend) -> None:
    """Predicates are pure: what a row's answer is depends on no other row of the call, nor on its place in it."""
    scanner, evaluate, calls = Scanner(unnarrowed(PACK), INFO, mode, backend=backend), Scanner._evaluate, 0

    def checked(self: Scanner, table: str, stage: StagePlan, rows: Any, *others: Any) -> None:
        nonlocal calls

        def passed(part: Any) -> list[int]:
            self._columns.put_rows(part)
            predicate = self._predicates[stage.rule]
            predicate.refuel(1 << 28)
            memory = self._columns
            frame = memory.frame(table, stage.rule)
            return memory.hits(predicate.run(stage.number, frame, memory.rows_at, len(part), memory.out_at)).tolist()

        whole = passed(rows)
        assert passed(rows[::-1]) == whole[::-1]
        cut = len(rows) // 3
        assert passed(rows[:cut]) + passed(rows[cut:]) == whole
        assert [row for one in rows.tolist() for row in passed(np.array([one], rows.dtype))] == whole
        calls += 1
        evaluate(self, table, stage, rows, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scanner, "_evaluate", checked)
        for epoch in source(random_events(12), epoch_rows=60).epochs():
            scanner.scan(epoch)
    assert calls > 20
