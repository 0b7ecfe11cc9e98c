"""What is captured is said in the recording: never more than it holds, and what that hides is named."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.engine import Pack
from kestrel_lab.recording import Recording, RecordingWriter, open_recording, repair
from kestrel_lab.schema.captured import CaptureUse, captured_throughout
from kestrel_lab.schema.epoch import Epoch, Ledger
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session import recorder
from kestrel_lab.session.captured import actions_of, blind_rules
from kestrel_lab.session.capturing import Capturing
from kestrel_lab.session.causes import CauseKind
from kestrel_lab.session.diff_recordings import diff_recordings
from kestrel_lab.session.engine_process import NewPack
from kestrel_lab.session.record_report import RecordOptions
from kestrel_lab.session.recording import record_from
from kestrel_lab.session.replay import replay
from kestrel_lab.session.signals import Stop
from tests.session.scenario import CONNECT, FakeCapture, capturing, memory, now_world, pack, record_world, rule

ALL = frozenset(action.code for action in BUILTIN.actions)


def code(name: str) -> int:
    return next(action.code for action in BUILTIN.actions if action.name == name)


class Log:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[CaptureUse] = []

    def add_capture(self, use: CaptureUse) -> None:
        self.said.append(use)


@dataclass
class Told:
    """A source whose captured actions change when it is told."""

    fake: FakeCapture
    log: Log
    capturing: Capturing


@pytest.fixture
def told() -> Told:
    fake, log = FakeCapture(memory(20)), Log()
    return Told(fake, log, Capturing(fake, log))


def epoch(first_id: int, ts_ns: int) -> Epoch:
    return replace(memory(20).stored[0], first_event_id=first_id, ts_min_ns=ts_ns)


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_what_is_given_up_is_said_at_once_and_what_is_new_once_it_holds(told: Told) -> None:
    told.fake.set_actions(frozenset({1, 2}))
    told.fake.filters = ("comm!=x",)
    told.capturing.begin()
    before = now()
    told.capturing.change(frozenset({2, 3}), 50)
    told.capturing.committing(epoch(50, before - 1))  # events from before the kernel was told
    told.capturing.committing(epoch(60, now()))
    told.capturing.committing(epoch(70, now()))
    filters = ("comm!=x",)
    assert told.log.said == [
        CaptureUse(1, frozenset({1, 2}), filters), CaptureUse(50, frozenset({2}), filters),
        CaptureUse(60, frozenset({2, 3}), filters),
    ]  # fmt: skip
    assert told.fake.captured == {2, 3}


def test_a_change_that_is_none_says_nothing(told: Told) -> None:
    told.capturing.change(told.fake.captured, 5)
    told.capturing.committing(epoch(5, now()))
    assert told.log.said == []


class Edited(FakeCapture):
    """A world during which the rules are edited, at the first poll."""

    def __init__(self, edited: Pack, recorders: list[Any], stop: Stop) -> None:
        super().__init__(now_world(300, epoch_rows=20))
        self._edited, self._recorders, self._stop, self._polls = edited, recorders, stop, 0

    def poll(self, timeout_s: float) -> list[Epoch]:
        self._polls += 1
        if self._polls == 3:
            self._stop.request()
        if self._recorders:
            edited = self._edited
            self._recorders.pop().offer_pack(NewPack(edited.hash, dict(edited.files), edited.actions()))
        return super().poll(timeout_s)


@pytest.mark.parametrize("only_needed", [True, False])
def test_a_new_pack_changes_what_is_captured_if_only_what_it_needs_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_needed: bool
) -> None:
    first, edited, recorders, stop = pack(), pack(deleted=None), list[Any](), Stop()
    run = recorder.Recorder.run
    monkeypatch.setattr(recorder.Recorder, "run", lambda self, options: (recorders.append(self), run(self, options))[1])
    source = Edited(edited, recorders, stop)
    source.set_actions(first.actions())
    options = RecordOptions(only_needed=only_needed)
    record_from(capturing(source), tmp_path / "a.krec", first, options, stop=stop, actions=first.actions())
    found = open_recording(tmp_path / "a.krec")
    assert [use.pack_hash for use, _ in found.packs] == [first.hash, edited.hash]
    actions = [first.actions(), edited.actions()] if only_needed else [first.actions()]
    assert [use.actions for use in found.captures] == actions


def recording(path: Path, *, world_name: str = "test") -> Recording:
    """A recording of everything, with rules."""
    report = record_world(path, now_world(400, name=world_name), pack())
    assert report.failure is None
    return open_recording(path)


def test_a_recording_says_what_was_captured_and_copies_say_it_too(tmp_path: Path) -> None:
    found = recording(tmp_path / "a.krec")
    assert list(found.captures) == [CaptureUse(1, ALL)]
    repair(found.path, tmp_path / "b.krec")
    assert list(open_recording(tmp_path / "b.krec").captures) == [CaptureUse(1, ALL)]
    assert captured_throughout(found.captures) == ALL


def test_captured_throughout_is_what_was_captured_all_the_time() -> None:
    uses = [CaptureUse(1, frozenset({1, 2})), CaptureUse(9, frozenset({2, 3}))]
    assert captured_throughout(uses) == {2}
    assert captured_throughout([]) is None, "nobody said"


def written(path: Path, *uses: CaptureUse) -> Recording:
    world = memory(200)
    writer = RecordingWriter(path, world.info)
    for use in uses:
        writer.add_capture(use)
    for one in world.stored:
        writer.commit(one)
    writer.close(Ledger())
    return open_recording(path)


def test_rules_that_look_for_what_was_not_captured_are_named(tmp_path: Path) -> None:
    attempt, exec_ = code("connection_attempted"), code("exec")
    partly = rule("partly", 'file where event.action in ("open", "deletion")')
    rules = pack(partly=partly)
    assert blind_rules(written(tmp_path / "old.krec"), rules) == {}, "nobody said what was captured"
    assert blind_rules(written(tmp_path / "all.krec", CaptureUse(1, ALL)), rules) == {}
    some = written(tmp_path / "some.krec", CaptureUse(1, ALL - {attempt, code("open")}))
    assert blind_rules(some, rules) == {
        "connect-4444": ("connection_attempted",), "drop-and-run": ("connection_attempted",),
    }  # fmt: skip
    for_a_while = written(tmp_path / "while.krec", CaptureUse(1, ALL), CaptureUse(50, ALL - {exec_}))
    assert set(blind_rules(for_a_while, rules)) == {"drop-and-run", "interactive-shell"}


@pytest.mark.slow
def test_a_difference_between_recordings_names_what_one_did_not_capture(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.krec", world_name="a")
    assert any(alert.rule_id == "connect-4444" for alert in a.live_alerts)
    attempt = code("connection_attempted")
    stop = Stop()
    fewer = _Fewer(now_world(400, name="b"), stop.request)
    fewer.set_actions(ALL - {attempt})
    record_from(capturing(fewer), tmp_path / "b.krec", pack(), RecordOptions(), stop=stop)
    b = open_recording(tmp_path / "b.krec")
    diff = diff_recordings(a, b)
    causes = {d.alert.rule_id: {cause.kind for cause in d.causes} for d in diff.missing}
    assert causes["connect-4444"] == causes["drop-and-run"] == {CauseKind.NOT_CAPTURED}
    text = next(d.causes[0].text for d in diff.missing if d.alert.rule_id == "connect-4444")
    assert "connection_attempted" in text
    assert str(b.path) in text


class _Fewer(FakeCapture):
    """The same world without its network."""

    def __init__(self, world, over) -> None:
        super().__init__(world, over)
        self._epochs = type(self._epochs)(
            replace(e, tables={n: t for n, t in e.tables.items() if n != "network"}) for e in self._epochs
        )


@pytest.mark.slow
def test_a_filter_of_one_of_them_is_named(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.krec", world_name="a")
    stop = Stop()
    fewer = _Fewer(now_world(400, name="b"), stop.request)
    fewer.filters = ("port!=4444",)
    record_from(capturing(fewer), tmp_path / "b.krec", pack(), RecordOptions(), stop=stop)
    diff = diff_recordings(a, open_recording(tmp_path / "b.krec"))
    (cause,) = next(d.causes for d in diff.missing if d.alert.rule_id == "connect-4444")
    assert cause.kind is CauseKind.FILTERED
    assert "port!=4444" in cause.text
    assert not cause.proved


def test_the_actions_of_an_alert(tmp_path: Path) -> None:
    found = written(tmp_path / "a.krec")
    alerts = replay(found, pack(connect=rule("connect-4444", CONNECT))).alerts
    names = {alert.rule_id: actions_of(found, alert) for alert in alerts}
    assert names["connect-4444"] == {code("connection_attempted")}
    assert names["drop-and-run"] == {code("creation"), code("exec"), code("connection_attempted")}
