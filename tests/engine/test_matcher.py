"""Missing events, samples, pipes and what makes an alert degraded, through scanner and matcher."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from kestrel_lab.engine import Engine, Limits, Matcher, Pack, Pipes, Scanner, merge_states
from kestrel_lab.schema.alert import Alert, alert_digest
from kestrel_lab.schema.epoch import End, Epoch, Gap
from tests.engine.support import pack_of, run
from tests.support.epochs import INFO, MemorySource, source

MS = 1_000_000

BETWEEN = (
    'sequence by file.path with maxspan=20ms [file where event.action == "creation"] '
    '![file where event.action == "open"] [file where event.action == "deletion"]'
)
AFTER = (
    'sequence by file.path with maxspan=20ms [file where event.action == "creation"] '
    '![file where event.action == "deletion"]'
)
BEFORE = (
    'sequence by file.path with maxspan=20ms ![file where event.action == "creation"] '
    '[file where event.action == "deletion"]'
)
RULES = {
    "between": BETWEEN,
    "after": AFTER,
    "before": BEFORE,
    "around": BEFORE + ' ![file where event.action == "open"]',
    "twice": 'sequence by file.path with maxspan=50ms [file where event.action == "creation"] with runs=2 '
    '![file where event.action == "open"] with runs=2 [file where event.action == "deletion"]',
    "until": BETWEEN + ' until [file where event.action == "rename"]',
    "sample": 'sample by file.path [file where event.action == "creation"] [file where event.action == "open"] '
    '[file where event.action in ("creation", "deletion")]',
    "head": AFTER + " | head 4",
    "tail": BETWEEN + " | tail 3",
    "both": BETWEEN + " | head 9 | tail 2",
    "turned": AFTER + " | tail 5 | head 2",
    "events": 'file where event.action == "open" | head 7 | head 3',
    "last-events": 'file where event.action == "open" | tail 2',
}
PACK = pack_of(RULES)


def file(action: str, path: str, ms: int, **more: object) -> dict[str, object]:
    return {"table": "file", "action": action, "pid": 2, "file.path": path, "ts": (ms + 1000) * MS, **more}


def world(seed: int, count: int = 300) -> list[dict[str, object]]:
    rng, ms, out = random.Random(seed), 0, []
    for _ in range(count):
        ms += rng.choice([0, 0, 1, 2, 9])
        late = rng.random() < 0.05
        action = rng.choice(["creation", "creation", "open", "deletion", "rename"])
        out.append(file(action, f"/{rng.randrange(6)}", ms - 15 * late, flags=int(late)))
    return out


def ids(query: str, events: Sequence[Any], end: End = "sealed") -> list[tuple[int | None, ...]]:
    stored = source(events, epoch_rows=3)
    engine = Engine(pack_of({"r": query}), INFO, "live")
    found = [*(a for epoch in stored.epochs() for a in engine.process(epoch).alerts), *engine.finish(end)]
    return [a.event_ids for a in sorted(found, key=lambda a: a.sort_key)]


def test_a_window_closes_at_the_first_event_past_it_whatever_rule_that_event_is_for() -> None:
    events = [file("creation", "/a", 0), file("open", "/b", 20)]
    assert ids(AFTER, events, "cut") == []
    assert ids(AFTER, [*events, file("open", "/b", 21)], "cut") == [(1, None)]
    assert ids(AFTER, [*events, file("deletion", "/a", 20)]) == []
    late = file("deletion", "/a", 20, flags=1)  # event time is past the window when it comes
    assert ids(AFTER, [*events, file("open", "/b", 21), late]) == [(1, None)]


def test_an_alert_shows_nothing_where_a_missing_event_stands() -> None:
    (alert,) = run(pack_of({"r": BETWEEN}), source([file("creation", "/a", 0, name="sh"), file("deletion", "/a", 9)]))
    assert alert.event_ids == (1, None, 2)
    first, missing, last = alert.captures
    assert first is not None
    assert last is not None
    assert (first["event.action"], missing, last["event.action"]) == (b"creation", None, b"deletion")
    assert Alert.from_json(alert.to_json()) == alert


@pytest.mark.parametrize("end", ["cut", "growing"])
def test_what_is_undecided_at_a_cut_is_listed_as_open(end: End) -> None:
    engine = Engine(pack_of({"w": AFTER, "t": 'file where event.action == "open" | tail 1'}), INFO, "live")
    for epoch in source([file("creation", "/a", 0), file("open", "/b", 5)]).epochs():
        assert engine.process(epoch).alerts == []
    assert engine.finish(end) == []
    waiting, tail = engine.open
    assert (waiting.rule_id, waiting.event_ids, waiting.join_keys) == ("w", (1, None), (b"/a",))
    assert waiting.deadline_ns == 1020 * MS
    assert (tail.rule_id, tail.event_ids, tail.deadline_ns) == ("t", (2,), None)


def outcome(pack: Pack, epochs: Sequence[Epoch], limits: Limits, end: End = "sealed") -> tuple[Any, ...]:
    engine = Engine(pack, INFO, "live", limits)
    found = [*(a for epoch in epochs for a in engine.process(epoch).alerts), *engine.finish(end)]
    return alert_digest(found), engine.evicted, engine.open, {a.rule_id for a in found}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limits", [Limits(), Limits(pending=1, pending_per_key=2, tick=16)])
def test_neither_cuts_nor_order_nor_other_rules_change_an_alert(seed: int, limits: Limits) -> None:
    events = world(seed)
    for end in ("sealed", "cut"):
        expected = outcome(PACK, source(events, epoch_rows=300).stored, limits, end)
        assert end == "cut" or set(RULES) == expected[-1]
        for rows, segment in ((1, 40), (7, 5), (64, 1)):
            assert outcome(PACK, source(events, rows, segment).stored, limits, end) == expected
        other = pack_of({"a-first": "sequence by process.pid [file where true] [file where true]", **RULES})
        engine = Engine(other, INFO, "live", limits)
        found = [a for epoch in source(events, 20).epochs() for a in engine.process(epoch).alerts]
        found += engine.finish(end)
        assert alert_digest(a for a in found if a.rule_id != "a-first") == expected[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_checkpoint_anywhere_changes_nothing(seed: int) -> None:
    limits = Limits(pending=2, tick=32)
    epochs = source(world(seed), epoch_rows=20, segment_epochs=4).stored
    whole = Engine(PACK, INFO, "live", limits)
    expected = [a for e in epochs for a in whole.process(e).alerts]
    for cut in range(1, len(epochs), 3):
        first, second = (Engine(PACK, INFO, "live", limits) for _ in range(2))
        got = [a for e in epochs[:cut] for a in first.process(e).alerts]
        state = first.state()
        assert second.restore(state) == 0
        assert second.state() == state
        got += [a for e in epochs[cut:] for a in second.process(e).alerts]
        assert got == expected
        assert second.state() == whole.state()
    last = second.finish("sealed")
    assert last == whole.finish("sealed")
    assert last


@pytest.mark.parametrize("workers", [2, 5])
def test_shards_split_over_matchers_give_the_same_results_piped_in_one_place(workers: int) -> None:
    limits = Limits(pending=2, tick=32)
    epochs = source(world(4), epoch_rows=16).stored
    scanner, whole = Scanner(PACK, INFO, "live", limits), Engine(PACK, INFO, "live", limits)
    matchers = [Matcher(PACK, frozenset(range(n, 64, workers)), limits) for n in range(workers)]
    pipes = Pipes(PACK.rules)
    for epoch in epochs:
        scan = pickle.loads(pickle.dumps(scanner.scan(epoch)))
        alerts = [a for m in matchers for a in m.feed(scan)]
        lows = [m.low() for m in matchers]
        low = {rule: min(x[rule] for x in lows if rule in x) for x in lows for rule in x}
        assert pipes.take(alerts, low) == whole.process(epoch).alerts
    merged, again = merge_states([m.dump() for m in matchers]), Matcher(PACK, limits=limits)
    assert again.restore(merged) == 0
    assert again.dump() == merged
    assert pipes.finish([a for m in matchers for a in m.finish("sealed")], "sealed") == whole.finish("sealed")


@pytest.mark.parametrize("rule", ["head", "tail", "both", "turned", "events", "last-events"])
def test_pipes_take_the_first_and_the_last_of_all_results(rule: str) -> None:
    query, *pipes = RULES[rule].split(" | ")
    events = source(world(7), epoch_rows=10)
    expected = [a.event_ids for a in sorted(run(pack_of({"r": query}), events), key=lambda a: a.sort_key)]
    assert len(expected) > 5
    for pipe in pipes:
        word, count = pipe.split()
        expected = expected[: int(count)] if word == "head" else expected[-int(count) :]
    assert [a.event_ids for a in run(pack_of({"r": RULES[rule]}), events)] == expected


def with_gap(stored: MemorySource, at: int, event_id: int, from_ms: int, to_ms: int) -> list[Epoch]:
    gap = Gap("lost_ring", "file", 0, 1, event_id, (1000 + from_ms) * MS, (1000 + to_ms) * MS)
    return [replace(e, gaps=(gap,)) if e.number == at else e for e in stored.stored]


def degraded(query: str, epochs: Sequence[Epoch], skip: int = -1) -> list[tuple[str, ...]]:
    engine = Engine(pack_of({"r": query}), INFO, "live")
    found = [a for e in epochs for a in (engine.skip(e) if e.number == skip else engine.process(e)).alerts]
    return [a.degraded for a in [*found, *engine.finish("sealed")]]


def test_a_gap_in_a_window_degrades_the_alert() -> None:
    events = [file("creation", "/a", 0), file("open", "/b", 5), file("deletion", "/a", 10), file("open", "/b", 90)]
    stored = source(events, epoch_rows=1)
    plain = BETWEEN.replace('![file where event.action == "open"]', "")
    assert degraded(BETWEEN, stored.stored) == [()]
    assert degraded(BETWEEN, with_gap(stored, 1, 2, 2, 3)) == [("lost_ring",)]
    assert degraded(plain, with_gap(stored, 1, 2, 2, 3)) == [()]
    assert degraded(BETWEEN, with_gap(stored, 1, 2, -9, -1)) == [()]
    assert degraded(BETWEEN, with_gap(stored, 3, 4, 2, 3)) == [()]  # known only when the alert had been raised


def test_a_gap_that_is_known_before_the_window_closes_degrades_what_waits() -> None:
    events = [file("creation", "/a", 0), file("open", "/b", 9), file("open", "/b", 20), file("open", "/b", 90)]
    stored = source(events, epoch_rows=1)
    assert degraded(AFTER, with_gap(stored, 2, 3, 15, 16)) == [("lost_ring",)]
    assert degraded(AFTER, with_gap(stored, 2, 3, 21, 22)) == [()]
    whole = replace(source(events, epoch_rows=4).stored[0], gaps=with_gap(stored, 2, 3, 15, 16)[2].gaps)
    assert degraded(AFTER, [whole]) == [("lost_ring",)]
    late = replace(whole, gaps=(replace(whole.gaps[0], event_id=5),))
    assert degraded(AFTER, [late]) == [()]  # event 4 had closed the window


def test_skipped_and_lost_epochs_degrade() -> None:
    events = [file("creation", "/a", 0), file("open", "/b", 5), file("deletion", "/a", 10)]
    stored = source(events, epoch_rows=1).stored
    assert degraded(BETWEEN, stored, skip=1) == [("skipped",)]
    assert degraded(BETWEEN, [stored[0], stored[2]]) == [("damaged",)]
    assert degraded(BEFORE, stored[1:]) == [()]


def test_a_sample_is_raised_once_at_the_first_event_that_makes_one_possible() -> None:
    query = 'sample by file.path [file where true] [file where true] [file where event.action != "open"]'
    events = [file(a, "/a", n) for n, a in enumerate(["deletion", "open", "open", "creation", "open", "deletion"])]
    assert ids(query, events) == [(2, 3, 1)]
    assert ids(query, [file("open", "/a", n) for n in range(9)]) == []
