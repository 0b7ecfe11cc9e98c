import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from kestrel_lab.engine import Limits, Pack
from kestrel_lab.recording import Recording, RecordingWriter, open_recording
from kestrel_lab.schema.alert import Exhausted, PackUse
from kestrel_lab.schema.epoch import Ledger
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session.causes import CauseKind, rule_changes
from kestrel_lab.session.chain import Diff
from kestrel_lab.session.diff import diff_rules, rule_cause
from kestrel_lab.session.diff_recordings import diff_recordings
from kestrel_lab.session.engine_process import EngineProcess, LiveOptions
from kestrel_lab.session.live import run_live
from kestrel_lab.session.record_report import RecordOptions
from tests.session.scenario import (
    CONNECT,
    DROPPED_AND_RUN,
    memory,
    now_world,
    pack,
    record_world,
    rule,
    write_recording,
)
from tests.support.epochs import MemorySource

PACK = pack()


def recorded(
    path: Path, world: MemorySource | None = None, *, live: LiveOptions | None = None, rules: Pack = PACK
) -> Recording:
    record_world(path, world or now_world(600), rules, RecordOptions(live=live or LiveOptions()))
    return open_recording(path)


def recorded_with_lag(path: Path) -> Recording:
    """Rules ran live, by a clock that is an hour ahead in every other run of five epochs."""
    writer, world = RecordingWriter(path, memory(1200).info), memory(1200)
    writer.add_pack(PackUse(0, PACK.hash), PACK.files)
    for epoch in world.stored:
        writer.commit(epoch)
    writer.close(Ledger())
    looks = iter(range(100_000))
    run_live(path, PACK, clock_ns=lambda: 3_600_000_000_000 if next(looks) // 5 % 2 else 0)
    return open_recording(path)


def kinds(diff: Diff) -> set[CauseKind]:
    return {cause.kind for d in diff.differences for cause in d.causes}


def test_nothing_differs_where_nothing_happened(tmp_path: Path):
    diff = diff_rules(recorded(tmp_path / "a.krec"))
    assert diff.equal
    assert len(diff.same) > 0
    assert diff.left_digest == diff.right_digest
    assert not diff.notes


def test_an_edited_rule_is_the_cause_of_its_own_differences(tmp_path: Path):
    recording = recorded(tmp_path / "a.krec")
    edited = pack(connect=rule("connect-4444", CONNECT.replace("4444", "443"), ("process.pid", "destination.ip")))
    diff = diff_rules(recording, edited)
    assert {d.alert.rule_id for d in diff.differences} == {"connect-4444"}
    assert diff.missing
    assert diff.extra
    assert not diff.changed
    assert kinds(diff) == {CauseKind.RULE_EDITED}
    assert all(c.proved and "connect-4444" in c.text for d in diff.differences for c in d.causes)
    assert {a.rule_id for a in diff.same} == {"drop-and-run", "interactive-shell", "script-deleted"}


@pytest.mark.slow
def test_other_captures_are_a_change_and_another_wording_is_none(tmp_path: Path):
    recording = recorded(tmp_path / "a.krec")
    captures = diff_rules(recording, pack(connect=rule("connect-4444", CONNECT, ("destination.port",))))
    assert captures.changed
    assert not [*captures.missing, *captures.extra]
    assert kinds(captures) == {CauseKind.RULE_EDITED}
    wording = diff_rules(
        recording, pack(connect=rule("connect-4444", f"{CONNECT} and true", ("process.pid", "destination.ip")))
    )
    assert wording.equal
    assert [n.kind for n in wording.notes] == [CauseKind.RULE_EDITED]


@pytest.mark.slow
def test_added_and_removed_rules(tmp_path: Path):
    recording = recorded(tmp_path / "a.krec")
    added = diff_rules(recording, pack(new=rule("new", 'file where event.action == "open"')))
    assert added.extra
    assert kinds(added) == {CauseKind.RULE_ADDED}
    removed = diff_rules(recording, pack(shell=None))
    assert removed.missing
    assert kinds(removed) == {CauseKind.RULE_REMOVED}


def test_engine_lag_is_the_cause_and_the_epochs_are_named(tmp_path: Path):
    recording = recorded_with_lag(tmp_path / "a.krec")
    diff = diff_rules(recording)
    assert diff.extra
    assert kinds(diff) == {CauseKind.LAG}
    assert all(c.proved and "epoch" in c.text for d in diff.differences for c in d.causes)


def test_lag_and_an_edit_are_told_apart(tmp_path: Path):
    recording = recorded_with_lag(tmp_path / "a.krec")
    diff = diff_rules(recording, pack(shell=None))
    by_rule = {d.alert.rule_id: {c.kind for c in d.causes} for d in diff.differences}
    assert by_rule["interactive-shell"] == {CauseKind.RULE_REMOVED}
    assert by_rule["connect-4444"] == {CauseKind.LAG}


def test_no_rules_ran_live(tmp_path: Path):
    recording = write_recording(tmp_path / "a.krec", memory())
    diff = diff_rules(recording, PACK)
    assert diff.extra
    assert not diff.missing
    assert kinds(diff) == {CauseKind.RULE_ADDED}


@pytest.mark.slow
def test_a_damaged_range_is_named(tmp_path: Path):
    recorded(tmp_path / "a.krec", now_world(800, segment_epochs=8))
    flip_a_byte(tmp_path / "a.krec")
    diff = diff_rules(open_recording(tmp_path / "a.krec"))
    assert diff.missing
    assert kinds(diff) == {CauseKind.DAMAGED}
    texts = {c.text for d in diff.differences for c in d.causes}
    assert any("segment 2" in text for text in texts)


def flip_a_byte(path: Path) -> None:
    """Flip a byte in the middle of every file of segment 2."""
    for file in sorted((path / "segments").glob("*2/*.arrow")):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0x10
        file.write_bytes(bytes(data))


@pytest.mark.slow
def test_two_recordings_of_the_same_acts(tmp_path: Path):
    a = recorded(tmp_path / "a.krec", now_world(400, name="a"))
    b = recorded(tmp_path / "b.krec", now_world(600, name="b"))
    diff = diff_recordings(a, b)
    assert len(diff.same) == len(a.live_alerts)
    assert diff.extra
    assert not [*diff.missing, *diff.changed]
    assert kinds(diff) == {CauseKind.EVENTS}


@pytest.mark.slow
def test_two_recordings_with_different_rules(tmp_path: Path):
    a = recorded(tmp_path / "a.krec", now_world(400, name="a"))
    b = recorded(tmp_path / "b.krec", now_world(400, name="b"), rules=pack(shell=None))
    diff = diff_recordings(a, b)
    assert kinds(diff) == {CauseKind.RULE_REMOVED}
    assert {d.alert.rule_id for d in diff.missing} == {"interactive-shell"}


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_cut_recording_is_named(tmp_path: Path, cut: float):
    recorded(tmp_path / "a.krec")
    journal = tmp_path / "a.krec" / "journal"
    data = journal.read_bytes()
    journal.write_bytes(data[: int(len(data) * cut)])
    recording = open_recording(tmp_path / "a.krec")
    diff = diff_rules(recording)
    assert recording.end == "cut"
    assert diff.missing
    assert kinds(diff) == {CauseKind.CUT}


@pytest.mark.slow
def test_other_limits_are_a_cause(tmp_path: Path):
    slow = DROPPED_AND_RUN.replace(" with maxspan=5s", "")
    recording = recorded(tmp_path / "a.krec", rules=pack(slow=rule("slow", slow)))
    diff = diff_rules(recording, limits=Limits(ttl_ns=1))
    assert diff.missing
    assert {d.alert.rule_id for d in diff.differences} == {"slow"}
    assert kinds(diff) == {CauseKind.LIMITS}


def test_an_engine_that_died_is_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(EngineProcess, "start", lambda self, *_: os.kill(self.pid, signal.SIGKILL))
    diff = diff_rules(recorded(tmp_path / "a.krec"))
    assert diff.extra
    assert not diff.same
    assert kinds(diff) == {CauseKind.STOPPED}
    assert all("SIGKILL" in c.text for d in diff.differences for c in d.causes)


def tampered(path: Path) -> Recording:
    """Return a recording whose log of live alerts lacks one that the engine must have raised."""
    recording = recorded(path)
    del recording.live.alerts[3]
    return recording


@pytest.mark.slow
def test_what_nothing_accounts_for_is_unexplained(tmp_path: Path):
    diff = diff_rules(tampered(tmp_path / "a.krec"))
    assert len(diff.extra) == 1
    assert diff.unexplained == list(diff.extra)


def test_another_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = tampered(tmp_path / "a.krec")
    monkeypatch.setattr("kestrel_lab.session.diff.engine_build", lambda: "another")
    diff = diff_rules(recording)
    assert kinds(diff) == {CauseKind.ENGINE}
    assert not diff.unexplained
    assert not any(c.proved for d in diff.differences for c in d.causes)


def test_another_schema_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recording = tampered(tmp_path / "a.krec")
    monkeypatch.setattr("kestrel_lab.session.diff.BUILTIN", replace(BUILTIN, version=99))
    assert kinds(diff_rules(recording)) == {CauseKind.SCHEMA}


def test_exhausted_fuel_is_named_with_its_epoch(tmp_path: Path):
    alert = recorded(tmp_path / "a.krec").live_alerts[0]
    spent = Exhausted(alert.rule_id, 7, alert.last_event_id, alert.last_event_id + 9, 1000)
    cause = rule_cause(alert, None, rule_changes([PACK], PACK), [spent])
    assert cause.kind is CauseKind.FUEL
    assert "epoch 7" in cause.text


def test_a_damaged_log_of_live_alerts_is_named(tmp_path: Path):
    recorded(tmp_path / "a.krec")
    log = tmp_path / "a.krec" / "live" / "alerts.arrows"
    data = bytearray(log.read_bytes())
    data[-40] ^= 1
    log.write_bytes(bytes(data))
    diff = diff_rules(open_recording(tmp_path / "a.krec"))
    assert diff.extra
    assert kinds(diff) == {CauseKind.DAMAGED}
