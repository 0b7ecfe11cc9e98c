"""The sequence machine: quotas, eviction, time to live, keys."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.engine import Engine, Limits, Matcher, Scanner
from kestrel_lab.engine.hits.keys import decode, encode, shard_of
from kestrel_lab.engine.limits import MAX_KEYS
from kestrel_lab.schema.types import EqlType
from tests.engine.machines import Run
from tests.engine.reference import Event, Items
from tests.engine.support import found, pack_of, run
from tests.support.epochs import INFO, source

MS = 1_000_000
SECOND = 1000 * MS


def file(action: str, path: str, ts: int, **more: object) -> dict[str, object]:
    return {"table": "file", "action": action, "pid": 2, "file.path": path, "ts": ts, **more}


PAIR = (
    "sequence by file.path with maxspan=1s "
    '[file where event.action == "creation"] [file where event.action == "deletion"]'
)


@pytest.mark.parametrize(("gap", "alerts"), [(SECOND, 1), (SECOND + 1, 0)])
def test_maxspan_is_inclusive_to_the_nanosecond(gap: int, alerts: int) -> None:
    events = [file("creation", "/a", 5), file("deletion", "/a", 5 + gap)]
    assert len(run(pack_of({"r": PAIR}), source(events))) == alerts


def test_maxspan_counts_event_time_so_a_late_event_is_no_younger() -> None:
    events = [file("creation", "/a", 0), file("open", "/b", 2 * SECOND), file("deletion", "/a", SECOND, flags=1)]
    assert run(pack_of({"r": PAIR}), source(events, epoch_rows=3)) == []
    assert run(pack_of({"r": PAIR}), source(events, epoch_rows=1)) == []


def test_events_of_one_time_join_in_the_order_of_their_ids() -> None:
    events = [file("deletion", "/a", 7), file("creation", "/a", 7), file("deletion", "/a", 7)]
    assert [a.event_ids for a in run(pack_of({"r": PAIR}), source(events))] == [(2, 3)]


def test_one_event_may_close_and_open_but_never_fill_two_stages() -> None:
    query = "sequence by process.pid [file where true] [file where true]"
    events = [file("open", "/a", t) for t in range(1, 5)]
    assert [a.event_ids for a in run(pack_of({"r": query}), source(events))] == [(1, 2), (2, 3), (3, 4)]


def test_until_takes_what_began_with_it_but_not_what_it_closes() -> None:
    query = (
        'sequence by process.pid [file where true] [file where event.action == "deletion"] '
        'until [file where file.name == "stop"]'
    )
    events = [file("open", "/a", 1), file("deletion", "/stop", 2), file("deletion", "/b", 3)]
    assert [a.event_ids for a in run(pack_of({"r": query}), source(events))] == [(1, 2)]


def test_arrays_join_on_every_distinct_element() -> None:
    query = 'sequence by process.args [process where event.action == "exec"] [process where event.action == "fork"]'
    events = [
        {"table": "process", "action": "exec", "pid": 2, "args": ["x", "y", "x"]},
        {"table": "process", "action": "fork", "pid": 3, "args": ["y", "x", "z"]},
    ]
    alerts = run(pack_of({"r": query}), source(events))
    assert [(a.event_ids, a.join_keys) for a in alerts] == [((1, 2), (b"x",)), ((1, 2), (b"y",))]


def test_an_event_joins_under_so_many_keys_and_no_more() -> None:
    query = 'sequence by process.args [process where event.action == "exec"] [process where event.action == "fork"]'
    args = [f"{n:03}" for n in range(MAX_KEYS + 20)]
    events: list[dict[str, object]] = [
        {"table": "process", "action": action, "pid": 2, "args": args} for action in ("exec", "fork")
    ]
    found_keys = [a.join_keys for a in run(pack_of({"r": query}), source(events))]
    assert found_keys == [(arg.encode(),) for arg in args[:MAX_KEYS]]


def test_the_alert_is_that_of_its_last_event_and_shows_each() -> None:
    events = [file("creation", "/a", 10, name="sh"), file("deletion", "/a", 20)]
    (alert,) = run(pack_of({"r": PAIR}), source(events, epoch_rows=1))
    assert (alert.ts_boot_ns, alert.ts_wall_ns) == (20, 1_700_000_000_000_000_020)
    assert [c["event.action"] for c in alert.captures] == [b"creation", b"deletion"]
    assert alert.captures[0]["process.name"] == b"sh"
    assert "destination.ip" not in alert.captures[0]


def test_too_many_pending_sequences_evict_the_oldest_at_a_tick_and_count() -> None:
    paths = [f"/p{n}" for n in range(399)]
    events = [file("creation", p, n) for n, p in enumerate(paths, 1)]
    events += [file("deletion", p, 1000 + n) for n, p in enumerate(paths)]
    limits = Limits(pending=3, tick=400)
    engine = Engine(pack_of({"r": PAIR}), INFO, "live", limits)
    alerts = [a for e in source(events, epoch_rows=100).epochs() for a in engine.process(e).alerts]
    kept: dict[int, list[str]] = {}
    for path in paths:
        kept.setdefault(shard_of(encode(path.encode(), EqlType.STRING)), []).append(path)
    survivors = {p.encode() for of_shard in kept.values() for p in of_shard[-3:]}
    assert {a.join_keys[0] for a in alerts} == survivors
    assert engine.evicted == {"r": 399 - len(survivors)}
    assert found(alerts) == found(run(pack_of({"r": PAIR}), source(events, epoch_rows=7), "deterministic", limits))


def test_without_maxspan_sequences_live_as_long_as_the_limits_say() -> None:
    query = PAIR.replace(" with maxspan=1s", "")
    events = [file("creation", p, t) for p, t in [("/a", 1), ("/b", 1)]]
    events += [file("deletion", "/a", SECOND + 1), file("deletion", "/b", SECOND + 2)]
    engine = Engine(pack_of({"r": query}), INFO, "live", Limits(ttl_ns=SECOND))
    (epoch,) = source(events).stored
    assert [a.join_keys for a in engine.process(epoch).alerts] == [(b"/a",)]
    assert engine.evicted == {}


@pytest.mark.slow
def test_memory_of_a_machine_is_bounded() -> None:
    whole = Run(Items(((0, False), (1, False)), None, 10**6), Limits(pending=50, tick=256))
    rng, ids = random.Random(1), 0
    for _ in range(300):
        whole.feed([Event(ids := ids + 1, ids, {0: (rng.randbytes(8),)}) for _ in range(500)])
        (machine,) = whole.machines
        assert machine.held <= 50 * 64 + 500
    assert sum(whole.evicted()) > 100_000
    assert machine.keys.held < 20_000
    assert len(machine.keys) < 20_000
    assert len(machine.slots[0].rows) < 20_000


def test_evictions_do_not_depend_on_how_epochs_are_cut() -> None:
    rng = random.Random(3)
    events = [file(rng.choice(["creation", "deletion"]), f"/{rng.randrange(900)}", n * 40 * MS) for n in range(900)]
    pack, limits = pack_of({"r": PAIR, "s": PAIR.replace(" with maxspan=1s", "")}), Limits(pending=2, tick=8)

    def outcome(rows: int) -> tuple[bytes, dict[str, int], object]:
        scanner, matcher = Scanner(pack, INFO, "live", limits), Matcher(pack, limits=limits)
        alerts = [a for e in source(events, epoch_rows=rows).epochs() for a in matcher.feed(scanner.scan(e))]
        return matcher.dump(), matcher.evicted, alerts

    assert outcome(10) == outcome(333) == outcome(900)
    assert set(outcome(10)[1]) == {"r", "s"}


def test_a_sealed_end_forgets_what_is_pending() -> None:
    events = source([file("creation", "/a", 1)])
    for end, left in (("sealed", False), ("cut", True)):
        matcher = Matcher(pack_of({"r": PAIR}))
        matcher.feed(Scanner(pack_of({"r": PAIR}), INFO, "live").scan(events.stored[0]))
        assert matcher.finish(end) == []  # type: ignore[arg-type]
        assert (b"/a".hex().encode() in matcher.dump()) == left


SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary()


@given(st.lists(SCALAR, max_size=4))
def test_keys_say_what_they_were_made_of(values: list[bytes | int | float | bool | None]) -> None:
    key = b"".join(encode(v, EqlType.STRING) for v in values)
    assert [(type(v), v) for v in decode(key)] == [(type(v), v) for v in values]


def test_keys_are_typed_and_stable() -> None:
    assert encode(1, EqlType.INT) == encode(1, EqlType.UINT)
    assert encode(-0.0, EqlType.FLOAT) == encode(0.0, EqlType.FLOAT)
    assert len({encode(v, EqlType.STRING) for v in (1, 1.0, True, b"1", None)}) == 5
    assert encode(b"::1", EqlType.IP) != encode(b"::1", EqlType.STRING)
    assert encode(-2, EqlType.INT) == b"i" + b"\xff" * 8 + b"\xfe"
    assert [shard_of(k) for k in (b"", b"i\x00", b"s\x00\x00\x00\x01a")] == SHARDS_OF_OLD


#: Stored states depend on these.
SHARDS_OF_OLD = [0, 17, 3]


def test_captures_of_pending_events_outlive_their_epoch_and_segment() -> None:
    events = [file("creation", f"/{n}", n, name=f"p{n}") for n in range(1, 9)]
    events += [file("deletion", f"/{n}", 100 + n) for n in range(1, 9)]
    expected = run(pack_of({"r": PAIR}), source(events, epoch_rows=16))
    assert [a.captures[0]["file.path"] for a in expected] == [b"/%d" % n for n in range(1, 9)]
    assert run(pack_of({"r": PAIR}), source(events, epoch_rows=3, segment_epochs=1)) == expected


def test_blocks_of_captures_are_dropped_with_their_sequences() -> None:
    pack = pack_of({"r": PAIR})
    scanner, matcher = Scanner(pack, INFO, "live"), Matcher(pack)
    events = [
        file(action, f"/{which}", n) for n in range(9_000) for action, which in (("creation", n), ("deletion", n - 200))
    ]
    events[0] = file("creation", "/stays", 0)
    for epoch in source(events, epoch_rows=50).epochs():
        matcher.feed(scanner.scan(epoch))
    assert matcher._evidence.rows < 6_000
    assert b"/stays".hex().encode() in matcher.dump()
