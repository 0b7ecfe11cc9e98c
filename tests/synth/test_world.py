"""The synthetic machine: what its events refer to exists, lives, and is as many as was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kestrel_lab.capture import CaptureConfig
from kestrel_lab.schema import build
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.epoch import MAX_BYTES, Epoch
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Column, Physical
from kestrel_lab.synth import SynthOptions, acts, entities, jobs, maker, options, texts, world
from kestrel_lab.synth import programs as p
from kestrel_lab.synth.images import LINKS
from kestrel_lab.synth.stories import STORIES
from tests.synth.told import Told, all_strings, entity_args, epochs, image, told, values


@contextmanager
def small(window: int = 512, segment_rows: int = 1_500) -> Iterator[None]:
    """Many windows and segments of few events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "WINDOW", window)
        patch.setattr(maker, "SEGMENT_ROWS", segment_rows)
        yield


MIXES = st.tuples(
    st.integers(1, 4_000), st.integers(0, 2**63 - 1), st.floats(0, 1), st.floats(0, 0.25), st.integers(0, 8),
    st.sampled_from((60.0, 3_600.0, 86_400.0, 366 * 86_400.0)),
)  # fmt: skip


def asked(mix: tuple[int, int, float, float, int, float]) -> dict[str, Any]:
    events, seed, dense, fresh, alerts, duration = mix
    alerts = min(alerts, events // options.EVENTS_PER_STORY)
    room = (events - alerts * options.EVENTS_PER_STORY) // options.EVENTS_PER_PROCESS
    return {"events": events, "seed": seed, "processes": int(dense * room), "fresh": fresh, "alerts": alerts,
            "duration_s": duration, "epoch_rows": 300}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(MIXES)
@example((513, 0, 1.0, 0.0, 1, 60.0))  # a story after processes that leave no room for acts
def test_there_are_as_many_as_were_asked_for_and_all_of_them_fit_together(mix: Any) -> None:
    wanted = asked(mix)
    with small():
        found = epochs(**wanted)
    events = [*told(found)]
    assert [event.event_id for event in events] == [*range(1, wanted["events"] + 1)]
    assert all(a.ts <= b.ts for a, b in pairwise(events))
    of_stories = sum(len(STORIES[number % len(STORIES)].rows) for number in range(wanted["alerts"]))
    counts = Counter(event.action for event in events)
    assert counts["fork"] == counts["end"] == wanted["processes"] + of_stories
    check_epochs(found)
    check_lives(events)
    for epoch in found:
        check_entities(epoch)
    check_frozen(found)


def check_epochs(found: Sequence[Epoch]) -> None:
    time = 0
    for number, epoch in enumerate(found):
        assert epoch.number == number
        assert epoch.event_time_ns == time
        assert 0 < epoch.rows <= 300
        stamps = [ts for rows in epoch.tables.values() for ts in rows.column("ts_boot_ns").tolist()]
        assert (min(stamps), max(stamps), len(stamps)) == (epoch.ts_min_ns, epoch.ts_max_ns, epoch.rows)
        time = epoch.event_time_after_ns
        for table, rows in epoch.tables.items():
            for column in BUILTIN.columns_of(table):
                values(epoch, table, column.name)  # every code and every ref is there
                assert len(rows.column(column.name)) == len(rows)
    for before, after in pairwise(found):
        assert after.segment.index - before.segment.index in (0, 1)
        if after.segment is before.segment:
            assert after.entity_count >= before.entity_count


def check_lives(events: Sequence[Told]) -> None:
    """No act before a process begins or after it ends; an image acts until the next replaces it; parents live."""
    lives = {number: 1 if program.executable else 0 for number, (program, *_) in enumerate(p.STANDING)}
    for event in events:
        number, seq = event.who
        if event.action == "fork":
            assert number not in lives
            assert event.parent == (event.parent[0], lives[event.parent[0]])  # alive, in its image of now
            lives[number] = seq
        elif event.action == "exec":
            lives[number] += 1
        assert lives[number] == seq, event
        if event.action == "end":
            lives[number] = -1
    assert {number for number, seq in lives.items() if seq >= 0} == set(range(len(p.STANDING)))


def check_entities(epoch: Epoch) -> None:
    """Parents and leaders come before; an image is of the process that its identity says."""
    entities = epoch.segment.entities
    for link in ("parent", "real_parent", "previous"):
        assert all(of < ref for ref, of in enumerate(entities.column(link).tolist()) if ref)
    for link in ("group_leader", "session_leader", "entry_leader"):
        found = entities.column(link).tolist()
        assert all(0 < of <= ref for ref, of in enumerate(found) if ref)
        # Who leads leads itself, in its image of now.
        assert all(found[of] == of for of in found)
        assert all(
            of == ref for ref, of in enumerate(found) if image(entities, of)[0] == image(entities, ref)[0] and ref
        )
    assert entities.column("real_parent").tolist() == entities.column("parent").tolist()
    assert len({image(entities, ref) for ref in range(1, len(entities))}) == len(entities) - 1
    began = entities.column("first_event_id").tolist()
    assert began == sorted(began)
    assert all(0 < b <= epoch.last_event_id for b in began[1 + len(p.STANDING) : epoch.entity_count])


def check_frozen(found: Sequence[Epoch]) -> None:
    """Whatever an image is linked to stays so in every segment that it goes on in."""
    links: dict[tuple[int, int], list[Any]] = {}
    for epoch in {epoch.segment.index: epoch for epoch in found}.values():
        entities = epoch.segment.entities
        columns = [entities.column(name).tolist() for name in LINKS]
        for ref in range(1, len(entities)):
            own = [image(entities, column[ref]) if column[ref] else None for column in columns]
            assert links.setdefault(image(entities, ref), own) == own


@settings(max_examples=20, deadline=None)
@given(MIXES)
def test_fresh_strings_are_the_share_that_was_asked_for(mix: Any) -> None:
    wanted = asked(mix)
    with small():
        strings = all_strings(epochs(**wanted))
    pools = {v for pool in vars(texts).values() if isinstance(pool, texts.Pool) for v in pool.values}
    fresh = {
        s for s in strings if b"file-0000" in s or b"-0000" in s or b"/cc0000" in s or s.startswith((b"h0", b"2001:"))
    }
    fresh -= pools | {b"2001:db8::ffff"}
    assert len(fresh) <= int(wanted["fresh"] * wanted["events"])
    # Only where hardly anything in the last window can bring one are there fewer.
    assert len(fresh) >= int(wanted["fresh"] * wanted["events"]) - 512 * 0.25


def test_the_share_of_fresh_strings_is_exact_where_there_is_room() -> None:
    pools = len(all_strings(epochs(events=130_000, fresh=0.0)))
    for fresh in (0.03, 0.1, 0.25):
        found = len(all_strings(epochs(events=130_000, fresh=fresh)))
        assert 0 <= found - int(fresh * 130_000) <= pools


def test_connections_and_files_come_in_order() -> None:
    """A connection has its result and end after its attempt, of the same process, to the same peer."""
    attempts: dict[tuple[Any, ...], list[str]] = {}
    for epoch in epochs(events=80_000):
        rows = {name: values(epoch, "network", name) for name in ("action", "entity", "destination.ip", "source.ip",
                                                                  "destination.port", "network.direction")}  # fmt: skip
        for action, who, to, of, port, way in zip(*rows.values(), strict=True):
            if way == b"egress" and port != 53:
                attempts.setdefault((who, of, to, port), []).append(texts_of(action))
    assert len(attempts) > 1_000
    for story in attempts.values():
        counts: Counter[str] = Counter()
        for action in story:
            counts[action] += 1
            assert counts["connection_result"] <= counts["connection_attempted"]
            assert counts["disconnect_received"] <= counts["connection_result"]
    assert sum("disconnect_received" in story for story in attempts.values()) > 0.5 * len(attempts)


def test_a_connection_keeps_its_ports() -> None:
    begun, over = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for epoch in epochs(events=80_000):
        ends = [
            values(epoch, "network", f"{end}.{what}") for end in ("source", "destination") for what in ("ip", "port")
        ]
        rows = zip(values(epoch, "network", "action"), values(epoch, "network", "entity"), *ends, strict=True)
        for action, *rest in rows:
            if texts_of(action) in ("connection_result", "connection_accepted"):
                begun[tuple(rest)] += 1
            elif texts_of(action) == "disconnect_received":
                over[tuple(rest)] += 1
                assert over[tuple(rest)] <= begun[tuple(rest)]
    assert over.total() > 10_000


def texts_of(code: int) -> str:
    return BUILTIN.action(code).name


def test_choice_is_a_power_law_and_the_day_has_bursts_and_lulls() -> None:
    found = epochs(events=200_000)
    paths = Counter(path for epoch in found for path in values(epoch, "file", "file.path"))
    arguments = Counter(words[-1] for epoch in found for words in entity_args(epoch) if words and b"file-" in words[-1])
    peers = Counter(peer for epoch in found for peer in values(epoch, "network", "destination.ip") if peer)
    for counts in (paths, arguments, peers):
        ranked = [count for _, count in counts.most_common()]
        assert ranked[0] > 10 * ranked[50] > 10 * ranked[-1]
    stamps = [ts for epoch in found for rows in epoch.tables.values() for ts in rows.column("ts_boot_ns").tolist()]
    minutes = Counter(ts // 60_000_000_000 for ts in stamps)
    mean = len(stamps) / (24 * 60)
    assert max(minutes.values()) > 5 * mean
    assert sum(minutes.get(60 + minute, 0) < mean / 5 for minute in range(24 * 60)) > 24 * 6


@pytest.mark.parametrize("duration", [1.0, 60.0, 86_400.0, 366 * 86_400.0])
def test_time_never_goes_back_and_ends_with_the_duration(duration: float) -> None:
    """Also where a float cannot hold a ns any more."""
    with small(1_000, 100_000):
        found = epochs(events=40_000, duration_s=duration, processes=8_000)
    for before, after in pairwise(found):
        assert before.ts_max_ns <= after.ts_min_ns
    seconds = (found[-1].ts_max_ns - 3_600_000_000_000) / 1e9
    assert 0.99 * duration <= seconds <= duration + 0.01


def test_segments_end_where_the_live_recorder_ends_them() -> None:
    config = CaptureConfig()
    assert (
        config.segment_rows, config.segment_strings, config.segment_bytes, config.segment_entities,
    ) == (maker.SEGMENT_ROWS, maker.SEGMENT_STRINGS, maker.SEGMENT_STRING_BYTES, maker.SEGMENT_ENTITIES)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("SEGMENT_ROWS", 1_000), ("SEGMENT_STRINGS", 600),
                                             ("SEGMENT_STRING_BYTES", 9_000), ("SEGMENT_ENTITIES", 200)])  # fmt: skip
def test_each_limit_ends_a_segment(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "WINDOW", 500)
    whole = {epoch.segment.index for epoch in epochs(events=6_000)}
    monkeypatch.setattr(maker, name, value)
    assert whole == {0}
    assert max(epoch.segment.index for epoch in epochs(events=6_000)) >= 3


def test_an_epoch_keeps_within_its_bytes() -> None:
    for epoch in epochs(events=140_000, epoch_rows=65_536):
        size = sum(rows.column(c.name).nbytes for t, rows in epoch.tables.items() for c in BUILTIN.columns_of(t))
        assert size < MAX_BYTES


def test_every_kind_of_act_and_of_job_occurs() -> None:
    found = epochs(events=200_000, alerts=4)
    counts = Counter(event.action for event in told(found))
    assert {action for chain in acts.CHAINS for action in chain.actions} | {"fork", "exec", "end"} == set(counts)
    first = {arguments[:1] for epoch in found for arguments in entity_args(epoch)}
    assert {(program.calls[0][0].encode(),) for job in jobs.ALL for row in job.rows
            if isinstance(program := row.program, p.Program)} <= first  # fmt: skip


def test_columns_that_the_generator_does_not_know_stay_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later field table has more of them."""
    more = (*ENTITY_COLUMNS, Column("later", Physical.U32, nullable=True), Column("laters", Physical.CODES))
    monkeypatch.setattr(build, "ENTITY_COLUMNS", more)
    monkeypatch.setattr(entities, "ENTITY_COLUMNS", more)
    before = BUILTIN.columns_by_name("file") | {"later": Column("later", Physical.U32, nullable=True)}
    found = epochs(events=3_000)
    table = found[-1].segment.entities
    assert not table.column("later").any()
    assert not table.lists("laters")[0].any()
    assert len(table.column("later")) == len(table)
    rows = found[-1].tables["file"]
    assert isinstance(rows, build.ArrayRows)
    monkeypatch.setattr(rows, "_kinds", before)
    valid = rows.valid("later")
    assert valid is not None
    assert not valid.any()


def test_processes_may_be_a_third_of_all_events() -> None:
    with small(4_096, 20_000):
        found = epochs(events=30_000, processes=10_000)
    counts = Counter(event.action for event in told(found))
    assert counts["fork"] == counts["end"] == 10_000
    assert SynthOptions(events=30_000, processes=10_000).process_count == 10_000
