"""Several packs in one recording: each runs in its time, unchanged rules remember across, and nothing else matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.engine import Pack, pack_from_files
from kestrel_lab.recording import RecordingWriter, open_recording
from kestrel_lab.schema.alert import Alert, PackUse, Skip
from kestrel_lab.schema.epoch import Ledger
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session.causes import CauseKind
from kestrel_lab.session.diff import diff_rules
from kestrel_lab.session.live import run_live
from kestrel_lab.session.prove import CONFIGURATIONS, prove
from kestrel_lab.session.recorded import live_run, recorded_rules, replay_as_live
from kestrel_lab.session.replay import Replay, replay
from kestrel_lab.session.schedule import PackSchedule, use_at
from tests.session.scenario import CONNECT, DROPPED_AND_RUN, FILES, memory, pack, rule

WORLD = memory(400)
FIRST = [epoch.first_event_id for epoch in WORLD.stored]
OLD = pack()
#: one rule changed, one gone, one new, two as they were
NEW = pack(
    connect=rule("connect-4444", "network where destination.port == 443 and process.pid == 7", ("process.pid",)),
    deleted=None,
    named=rule("named", 'process where process.name == "ls" and process.pid < 10', ()),
)
#: the sequence rule changed in name alone
RENAMED = pack(drop=rule("drop-and-run", DROPPED_AND_RUN, ("process.pid", "file.path", "destination.ip"), name="other"))


def schedule(*rows: tuple[int, Pack]) -> PackSchedule:
    return PackSchedule(tuple(PackUse(at, p.hash) for at, p in rows), {p.hash: p for _, p in rows})


def said(found: Replay, *rules: str) -> list[tuple[str, tuple[int | None, ...]]]:
    return [(a.rule_id, a.event_ids) for a in found.alerts if not rules or a.rule_id in rules]


def within(found: Replay, first: int, last: int, rule_id: str) -> list[tuple[str, tuple[int | None, ...]]]:
    return [s for s in said(found, rule_id) if first <= (s[1][-1] or 0) <= last]


ALWAYS_OLD, ALWAYS_NEW = replay(WORLD, OLD), replay(WORLD, NEW)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", [1, 7, 13])
def test_each_pack_runs_in_its_time(place: int, workers: int) -> None:
    at = FIRST[place]
    found = replay(WORLD, schedule((0, OLD), (at, NEW)), workers=workers)
    last = WORLD.stored[-1].last_event_id
    for rule_id in ("connect-4444", "script-deleted", "named"):
        old, new = within(ALWAYS_OLD, 0, at - 1, rule_id), within(ALWAYS_NEW, at, last, rule_id)
        assert said(found, rule_id) == old + new
    for rule_id in ("drop-and-run", "interactive-shell"):
        assert said(found, rule_id) == said(ALWAYS_OLD, rule_id)  # as if nothing had happened
    (switch,) = found.switches
    assert (switch.added, switch.removed, switch.changed, switch.dropped) == (
        ("named",), ("script-deleted",), ("connect-4444",), 0
    )  # fmt: skip
    assert switch.from_event_id == at
    assert {a.pack_hash for a in found.alerts if a.last_event_id >= at} == {NEW.hash}
    assert found.fuel["connect-4444"] < ALWAYS_OLD.fuel["connect-4444"] + ALWAYS_NEW.fuel["connect-4444"]
    assert found.fuel["interactive-shell"] == ALWAYS_OLD.fuel["interactive-shell"]


@pytest.mark.slow
@pytest.mark.parametrize("place", range(1, 14, 3))
def test_a_changed_sequence_starts_empty_and_what_it_gave_up_is_counted(place: int) -> None:
    at = FIRST[place]
    one, two = (replay(WORLD, schedule((0, OLD), (at, RENAMED)), workers=w) for w in (1, 2))
    fresh = replay(WORLD, RENAMED, skips=[Skip(0, place - 1, 0, 0, 0)])
    assert said(one, "drop-and-run") == within(ALWAYS_OLD, 0, at - 1, "drop-and-run") + said(fresh, "drop-and-run")
    assert (one.digest, one.switches, one.fuel) == (two.digest, two.switches, two.fuel)


def test_something_was_given_up_somewhere() -> None:
    dropped = [replay(WORLD, schedule((0, OLD), (at, RENAMED))).switches[0].dropped for at in FIRST[1:]]
    assert any(dropped)


def test_the_former_pack_can_come_back() -> None:
    found = replay(WORLD, schedule((0, OLD), (FIRST[4], NEW), (FIRST[9], OLD)))
    assert [s.pack_hash for s in found.switches] == [NEW.hash, OLD.hash]
    assert said(found, "drop-and-run", "interactive-shell") == said(ALWAYS_OLD, "drop-and-run", "interactive-shell")
    assert within(found, FIRST[9], 10**9, "script-deleted") == within(ALWAYS_OLD, FIRST[9], 10**9, "script-deleted")


def test_a_pack_with_the_same_rules_changes_nothing() -> None:
    found = replay(WORLD, schedule((0, OLD), (FIRST[3], OLD)))
    assert (found.digest, found.switches) == (ALWAYS_OLD.digest, ())


def test_epochs_before_the_first_pack_are_passed_over() -> None:
    found = replay(WORLD, schedule((FIRST[3], OLD)))
    assert (found.skipped, found.switches) == (3, ())


@pytest.mark.slow
@pytest.mark.parametrize("places", [(2, 7, 7, 11), (0, 6, 12)])
def test_mode_workers_and_checkpoints_do_not_matter(places: tuple[int, ...]) -> None:
    packs = [NEW, RENAMED, OLD]
    rows = [(0, OLD), *((FIRST[p], packs[i % 3]) for i, p in enumerate(places))]
    wanted = [c for c in CONFIGURATIONS if c.name in ("deterministic", "seek into the middle", "live, 2 workers")]
    proof = prove(WORLD, schedule(*rows), configurations=wanted)
    assert len(proof.rows) == 3
    assert proof.equal, proof.difference


def test_a_row_counts_from_its_event_on() -> None:
    uses = [PackUse(0, "a"), PackUse(0, "b"), PackUse(7, "c"), PackUse(7, "d")]
    found = [use_at(uses, at) for at in (0, 6, 7, 8)]
    assert [use and use.pack_hash for use in found] == ["b", "b", "d", "d"]
    assert [u.pack_hash if (u := use_at(uses[1:] if at < 0 else uses, at)) else None for at in (0, 6, 7, 8)] == [
        "b", "b", "d", "d"
    ]  # fmt: skip
    assert use_at([PackUse(5, "a")], 4) is None


def test_a_schedule_needs_its_packs() -> None:
    with pytest.raises(UsageError, match="not there"):
        PackSchedule((PackUse(0, "x"),), {})


def record(path: Path, *rows: tuple[int, Pack], workers: int = 1) -> list[Alert]:
    """Write a recording with several packs, each row before its epoch, and let an engine run beside it."""
    writer = RecordingWriter(path, WORLD.info)
    left = list(rows)
    for epoch in WORLD.stored:
        while left and left[0][0] <= epoch.first_event_id:
            at, runs = left.pop(0)
            writer.add_pack(PackUse(at, runs.hash), runs.files)
        writer.commit(epoch)
    writer.close(Ledger())
    report = run_live(path, rows[0][1], workers=workers, max_lag_s=1e9)
    assert [s.pack_hash for s in report.switches] == [p.hash for _, p in rows[1:]]
    return list(open_recording(path).live_alerts)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_replay_follows_the_recorded_schedule(tmp_path: Path, workers: int) -> None:
    raised = record(tmp_path / "a.krec", (0, OLD), (FIRST[5], NEW), (FIRST[10], OLD), workers=workers)
    recording = open_recording(tmp_path / "a.krec")
    found = replay_as_live(recording)
    assert found.alerts == sorted(raised, key=lambda a: a.sort_key)
    assert replay(recording, recorded_rules(recording)).alerts == found.alerts
    assert {a.pack_hash for a in raised} == {OLD.hash, NEW.hash}
    run = live_run(recording)
    assert run is not None
    assert [use.from_event_id for use in run.schedule.uses] == [0, FIRST[5], FIRST[10]]


def test_the_diff_knows_which_packs_ran(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", (0, OLD), (FIRST[7], NEW))
    recording = open_recording(tmp_path / "a.krec")
    assert diff_rules(recording).equal
    found = diff_rules(recording, OLD)
    assert not found.equal
    assert not found.unexplained
    causes = {(d.alert.rule_id, d.what): d.causes[0].kind for d in found.differences}
    assert causes[("named", "missing")] is CauseKind.RULE_REMOVED
    assert causes[("script-deleted", "extra")] is CauseKind.RULE_ADDED
    assert causes[("connect-4444", "extra")] is CauseKind.RULE_EDITED


def test_the_same_rules_in_other_words_can_come_back(tmp_path: Path) -> None:
    """A comment does not change a pack's hash: the recording holds the words it came with first."""
    words = pack(shell=dict(OLD.files)["shell.toml"] + b"# a comment\n")
    assert words.hash == OLD.hash
    record(tmp_path / "a.krec", (0, OLD), (FIRST[5], NEW), (FIRST[10], words))
    assert replay_as_live(open_recording(tmp_path / "a.krec")).alerts


SHAPES = {
    "head.toml": rule("head", f"{CONNECT} | head 5", ()),
    "tail.toml": rule("tail", f"{CONNECT} | tail 3", ()),
    "sample.toml": rule("sample", "sample by process.pid [file where true] [network where destination.port == 4444]"),
    "missing.toml": rule(
        "missing",
        'sequence by process.pid with maxspan=6ms [file where event.action == "creation"] '
        '![network where destination.port == 4444]', (),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_shape_of_rule_remembers_across_packs(workers: int) -> None:
    one = pack_from_files(SHAPES | {"x.toml": FILES["shell.toml"]})
    two = pack_from_files(SHAPES | {"x.toml": FILES["deleted.toml"]})
    whole = replay(WORLD, one)
    found = replay(WORLD, schedule((0, one), (FIRST[5], two), (FIRST[9], one)), workers=workers)
    for rule_id in ("head", "tail", "sample", "missing"):
        assert said(found, rule_id) == said(whole, rule_id)
        assert said(whole, rule_id)
