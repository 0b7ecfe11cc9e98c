from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine import Limits, pack_from_files
from kestrel_lab.recording import open_recording
from kestrel_lab.schema.alert import PackUse, Skip, alert_digest
from kestrel_lab.schema.flat import source_of
from kestrel_lab.session.replay import replay
from kestrel_lab.session.schedule import PackSchedule
from tests.session.scenario import memory, pack, rule, write_recording

WORLD = memory()
PACK = pack()
WHOLE = replay(WORLD, PACK)


def test_finds_what_was_planted():
    assert {a.rule_id for a in WHOLE.alerts} == {"drop-and-run", "connect-4444", "interactive-shell", "script-deleted"}
    assert WHOLE.digest == alert_digest(WHOLE.alerts)
    assert WHOLE.events == sum(e.rows for e in WORLD.stored)
    assert WHOLE.epochs == len(WORLD.stored)
    assert WHOLE.fuel_total > 0
    assert WHOLE.evaluations > 0
    assert [a.sort_key for a in WHOLE.alerts] == sorted(a.sort_key for a in WHOLE.alerts)


def test_modes_agree_on_alerts_and_fuel():
    live = replay(WORLD, PACK, mode="live")
    assert (live.digest, live.fuel, live.evaluations) == (WHOLE.digest, WHOLE.fuel, WHOLE.evaluations)


@settings(max_examples=20, deadline=None)
@given(first=st.integers(1, 420), length=st.integers(0, 200))
def test_a_window_filters_output_and_nothing_else(first: int, length: int):
    part = replay(WORLD, PACK, first_id=first, last_id=first + length)
    assert part.alerts == [a for a in WHOLE.alerts if first <= a.last_event_id <= first + length]
    assert (part.fuel, part.events) == (WHOLE.fuel, WHOLE.events)


def test_a_window_in_time_is_wall_time():
    middle = WHOLE.alerts[len(WHOLE.alerts) // 2].ts_wall_ns
    before = replay(WORLD, PACK, to_ns=middle)
    after = replay(WORLD, PACK, from_ns=middle + 1)
    assert [*before.alerts, *after.alerts] == WHOLE.alerts
    assert before.alerts[-1].ts_wall_ns == middle


def test_alerts_are_told_as_they_come():
    told = []
    found = replay(WORLD, PACK, on_alert=told.append)
    assert sorted(told, key=lambda a: a.sort_key) == found.alerts


def test_skipped_epochs_raise_nothing_and_leave_later_ones_whole():
    skip = Skip(3, 5, 49, 96, 0)
    found = replay(WORLD, PACK, skips=[skip])
    assert found.skipped == 3
    events = [a for a in WHOLE.alerts if len(a.event_ids) == 1]
    assert [a for a in found.alerts if len(a.event_ids) == 1] == [a for a in events if not 49 <= a.last_event_id <= 96]
    assert not any(i is not None and 49 <= i <= 96 for a in found.alerts for i in a.event_ids)


def test_a_schedule_says_from_where_the_pack_ran():
    found = replay(WORLD, PackSchedule((PackUse(49, PACK.hash),), {PACK.hash: PACK}))
    assert found.skipped == 3
    assert all(i is None or i >= 49 for a in found.alerts for i in a.event_ids)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(skipped=st.sets(st.integers(0, 99), max_size=60))
def test_any_skips_leave_every_other_epoch_whole(skipped: set[int]):
    """Dictionaries and entities of skipped epochs stay usable, across segments too."""
    world = memory(400, epoch_rows=4, segment_epochs=3)
    alone = pack(drop=None)
    whole = replay(world, alone)
    found = replay(world, alone, skips=[Skip(n, n, 0, 0, 0) for n in skipped])
    assert found.alerts == [a for a in whole.alerts if (a.last_event_id - 1) // 4 not in skipped]
    assert found.skipped == len([n for n in skipped if n < len(world.stored)])


@pytest.mark.slow
def test_damage_is_passed_over_and_named_the_same_by_any_number_of_workers(tmp_path: Path):
    write_recording(tmp_path / "a.krec", memory(400, segment_epochs=5))
    for file in sorted((tmp_path / "a.krec" / "segments").glob("*1/*.arrow")):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(bytes(data))
    one = replay(open_recording(tmp_path / "a.krec"), PACK)
    two = replay(open_recording(tmp_path / "a.krec"), PACK, workers=2)
    assert {d.segment for d in one.damage} == {1}
    assert (one.damage, one.alerts, one.fuel, one.events) == (two.damage, two.alerts, two.fuel, two.events)
    assert 0 < one.events < WHOLE.events


def test_sequences_over_imported_events_wait_for_years():
    events = [
        {"@timestamp": "2019-01-01T00:00:00Z", "event.category": "process", "user": {"name": "a"}},
        {"@timestamp": "2024-01-01T00:00:00Z", "event.category": "process", "user": {"name": "a"}},
    ]
    rules = pack_from_files({"r.toml": rule("r", "sequence by user.name [any where true] [any where true]", ())})
    found = replay(source_of(events), rules)
    assert [alert.event_ids for alert in found.alerts] == [(1, 2)]
    day = Limits()
    assert not replay(source_of(events), rules, limits=day).alerts
