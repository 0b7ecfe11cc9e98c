"""What a trace says of each way that a partial match can end, and that it says what the engine does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kestrel_lab.engine import Limits
from kestrel_lab.engine.explaining.trace import Step, trace
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session import epoch_of
from tests.engine.support import QUERIES, pack_of, random_events, run
from tests.support.epochs import INFO, source

MS = 1_000_000

THREE = (
    'sequence by file.path with maxspan=20ms [file where event.action == "creation"] '
    '[file where event.action == "open"] ![file where event.action == "rename"] '
    '[file where event.action == "deletion"]'
)


def file(action: str, ms: int, path: str = "/a") -> dict[str, object]:
    return {"table": "file", "action": action, "pid": 2, "file.path": path, "ts": ms * MS}


def steps(
    query: str, events: Sequence[Any], event_id: int = 1, limits: Limits | None = None, rows: int = 2
) -> list[Step]:
    (rule,) = pack_of({"r": query}).rules
    world = source(events, epoch_rows=rows)
    return trace(rule, world.epochs(), INFO, epoch_of(world, event_id), event_id, limits)


def told(*args: Any, **more: Any) -> list[tuple[Any, ...]]:
    return [(s.kind, s.event_id, s.item, s.event_ids) for s in steps(*args, **more)]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_a_sequence_that_is_whole(rows: int) -> None:
    events = [file("creation", 1), file("creation", 2, "/b"), file("open", 3), file("deletion", 4)]
    assert told(THREE, events, rows=rows) == [
        ("started", 1, 0, (1,)),
        ("advanced", 3, 1, (1, 3)),
        ("advanced", 4, 3, (1, 3, 4)),
        ("completed", 4, 3, (1, 3, 4)),
    ]
    assert {s.key for s in steps(THREE, events)} == {(b"/a",)}


@pytest.mark.parametrize("rows", [1, 100])
def test_overwritten_and_alone(rows: int) -> None:
    events = [file("deletion", 0), file("creation", 1), file("creation", 2), file("open", 3), file("open", 4)]
    assert told(THREE, events, rows=rows) == [
        ("alone", 1, 3, ()),
        ("started", 2, 0, (2,)),
        ("overwritten", 3, 0, (2,)),
        ("started", 3, 0, (3,)),
        ("advanced", 4, 1, (3, 4)),
        ("alone", 5, 1, ()),
        ("open", None, 1, (3, 4)),
    ]


def test_too_late() -> None:
    (started, late) = steps(THREE, [file("creation", 1), file("open", 22)])
    assert (started.kind, late.kind, late.event_id, late.event_ids) == ("started", "too_late", 2, (1,))
    assert (late.first_ns, late.last_ns, late.limit_ns) == (1 * MS, 22 * MS, 21 * MS)


def test_rejected_by_a_missing_event() -> None:
    events = [file("creation", 1), file("open", 2), file("rename", 3), file("deletion", 4)]
    assert told(THREE, events)[-1] == ("missing", 3, 3, (1, 2, 4))


def test_until() -> None:
    query = (
        'sequence by file.path [file where event.action == "creation"] [file where event.action == "open"] '
        'until [file where event.action == "deletion"]'
    )
    events = [file("creation", 1), file("deletion", 2), file("open", 3)]
    assert told(query, events, rows=100) == [("started", 1, 0, (1,)), ("until", 2, 0, (1,)), ("alone", 3, 1, ())]


def test_waiting_closed_and_open() -> None:
    query = (
        'sequence by file.path with maxspan=20ms [file where event.action == "creation"] '
        '![file where event.action == "open"]'
    )
    closed = told(query, [file("creation", 1), file("open", 5)])
    assert closed == [("started", 1, 0, (1,)), ("waiting", 1, 0, (1,)), ("missing", 2, 0, (1,))]
    waiting = steps(query, [file("creation", 1)])
    assert [s.kind for s in waiting] == ["started", "waiting", "open"]
    assert waiting[1].limit_ns == 21 * MS


def test_evicted_and_expired() -> None:
    events = [file("creation", n, f"/{n}") for n in range(1, 400)]
    last = told(THREE, events, limits=Limits(pending=1, tick=50))[-1]
    assert last in [("evicted", None, 0, (1,)), ("expired", None, 0, (1,))]
    fast = [{**event, "ts": 5} for event in events]
    assert told(THREE, fast, limits=Limits(pending=1, tick=50))[-1][0] == "evicted"
    assert told(THREE, [file("creation", 1), file("creation", 90, "/b")])[-1] == ("expired", None, 0, (1,))


@pytest.mark.parametrize("rule_id", ["by-entity", "by-pid", "by-args", "same", "plain"])
def test_every_alert_of_the_engine_is_told(rule_id: str) -> None:
    events = source(random_events(5), epoch_rows=16)
    pack = pack_of({rule_id: QUERIES[rule_id]})
    alerts = run(pack, events)
    assert alerts
    for alert in alerts:
        found = trace(pack.rules[0], events.epochs(), INFO, epoch_of(events, alert.last_event_id), alert.last_event_id)
        own = [s for s in found if s.kind == "completed" and s.key == alert.join_keys]
        assert alert.event_ids in [s.event_ids for s in own]


def test_an_event_without_a_part_in_the_rule_has_no_trace() -> None:
    events = [{"table": "process", "action": "exec", "pid": 2}, file("creation", 2, "/b")]
    assert steps(THREE, events, event_id=1) == []
    with pytest.raises(UsageError, match="no sequence"):
        steps("file where true", events)
