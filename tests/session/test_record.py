from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.recording import RecordingWriter, open_recording
from kestrel_lab.schema.alert import Alert, alert_digest
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.errors import LimitError, UsageError
from kestrel_lab.session.child import Child, ProcessDiedError
from kestrel_lab.session.engine_process import EngineProcess, LiveOptions
from kestrel_lab.session.record_report import RecordOptions, RecordReport
from kestrel_lab.session.recorded import live_run, replay_as_live
from kestrel_lab.session.replay import replay
from kestrel_lab.session.signals import Stop
from tests.session.scenario import now_world, pack, record_world
from tests.support.epochs import MemorySource

PACK = pack()


def record(path: Path, world: MemorySource, **more: Any) -> RecordReport:
    return record_world(path, world, PACK, **more)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_records_raises_and_replays_to_the_same(tmp_path: Path, workers: int):
    told, shown = [], []
    options = RecordOptions(live=LiveOptions(workers=workers))
    report = record(
        tmp_path / "a.krec", now_world(3000), options=options, on_alert=told.append, on_progress=shown.append
    )
    assert report.engine_error is None
    assert report.failure is None
    assert report.alerts == len(told) > 0
    assert report.ledger.closes
    assert report.events == report.ledger.written
    assert report.engine is not None
    assert report.engine.end == "sealed"
    assert shown[-1].bytes > 0
    recording = open_recording(tmp_path / "a.krec")
    assert recording.complete
    offline = replay(recording, PACK)
    assert offline.digest == report.digest == alert_digest(told) == alert_digest(recording.live_alerts)
    assert offline.events == report.events
    assert report.engine.fuel == {rule: used for rule, used in offline.fuel.items() if used}


def test_the_recording_says_what_ran(tmp_path: Path):
    record(tmp_path / "a.krec", now_world(100))
    run = live_run(open_recording(tmp_path / "a.krec"))
    assert run is not None
    assert (run.schedule.last.hash, run.end, run.skips, run.unreached) == (PACK.hash, "sealed", [], None)


@pytest.mark.slow
def test_a_slow_engine_skips_and_the_replay_as_live_agrees(tmp_path: Path):
    options = RecordOptions(live=LiveOptions(max_lag_s=0.15, delay_per_epoch_s=0.03))
    report = record(tmp_path / "a.krec", now_world(1200, in_s=6.0, step_ns=1_000_000), options=options)
    assert report.alerts > 0
    assert report.skips
    recording = open_recording(tmp_path / "a.krec")
    as_live = replay_as_live(recording)
    assert as_live.alerts == sorted(recording.live_alerts, key=lambda a: a.sort_key)
    assert as_live.digest == report.digest
    assert replay_as_live(recording, workers=2).digest == report.digest
    assert replay(recording, PACK).digest != report.digest


def test_a_killed_engine_does_not_stop_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kestrel_lab.session.engine_process.EngineProcess.start", _start_and_kill)
    report = record(tmp_path / "a.krec", now_world(300))
    assert isinstance(report.engine_error, ProcessDiedError)
    assert "SIGKILL" in str(report.engine_error)
    assert report.engine is None
    recording = open_recording(tmp_path / "a.krec")
    assert recording.complete
    assert replay(recording, PACK).events == report.events
    assert replay_as_live(recording).alerts == recording.live_alerts
    run = live_run(recording)
    assert run is not None
    assert "SIGKILL" in run.stopped


def _start_and_kill(self: EngineProcess, *_: object) -> None:
    os.kill(self.pid, signal.SIGKILL)


@pytest.mark.slow
def test_the_engine_dies_with_its_worker(tmp_path: Path):
    killer = threading.Timer(1.2, _kill_a_grandchild)
    killer.start()
    world = now_world(2000, step_ns=1_000_000)
    live = LiveOptions(workers=2, delay_per_epoch_s=0.05)  # it is still at work when its worker dies
    report = record(tmp_path / "a.krec", world, options=RecordOptions(live=live))
    killer.join()
    assert "engine worker" in str(report.engine_error)
    assert open_recording(tmp_path / "a.krec").complete


def _kill_a_grandchild() -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        for engine in _children(os.getpid()):
            for worker in _children(engine):
                os.kill(worker, signal.SIGKILL)
                return
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def test_no_rules_no_engine(tmp_path: Path):
    report = record_world(tmp_path / "a.krec", now_world(100), None)
    assert (report.alerts, report.digest, report.engine, report.engine_error) == (0, "", None, None)
    assert live_run(open_recording(report.path)) is None


def test_a_command_is_recorded_to_its_end(tmp_path: Path):
    began = time.monotonic()
    command = (sys.executable, "-c", "import time; time.sleep(0.3); raise SystemExit(7)")
    report = record(tmp_path / "a.krec", now_world(100), options=RecordOptions(command))
    assert report.command_exit == 7
    assert 0.3 < time.monotonic() - began < 8
    assert report.events == 100


def test_a_command_that_outlives_the_duration_is_ended(tmp_path: Path):
    options = RecordOptions(("sleep", "60"), duration_s=0.2)
    assert record(tmp_path / "a.krec", now_world(50), options=options).command_exit == -signal.SIGTERM


def test_a_command_that_does_not_exist_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="no-such-command"):
        record(tmp_path / "a.krec", now_world(50), options=RecordOptions(("no-such-command",)))


def kill_once_handled(number: signal.Signals, before: Any) -> None:
    """Send this process a signal a moment after its handler is not the former one any more, or never."""
    for _ in range(1000):
        if signal.getsignal(number) is not before:
            time.sleep(0.2)
            os.kill(os.getpid(), number)
            return
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_seals_and_lets_the_engine_finish(tmp_path: Path, number: signal.Signals):
    before = signal.getsignal(number)
    world = now_world(600, step_ns=10_000_000)
    threading.Thread(target=kill_once_handled, args=(number, before)).start()
    report = record(tmp_path / "a.krec", world)
    assert report.interrupted
    assert report.engine is not None
    assert report.engine.end == "sealed"
    assert report.events == sum(e.rows for e in world.stored)
    assert signal.getsignal(number) is before


@pytest.mark.slow
def test_a_second_signal_does_not_wait_for_the_engine(tmp_path: Path):
    stop = Stop()
    threading.Timer(0.5, stop.request).start()
    threading.Timer(1.0, stop.request).start()
    began = time.monotonic()
    options = RecordOptions(duration_s=60, live=LiveOptions(delay_per_epoch_s=0.5))
    report = record(tmp_path / "a.krec", now_world(1500), options=options, stop=stop)
    assert time.monotonic() - began < 10
    recording = open_recording(tmp_path / "a.krec")
    assert recording.complete
    assert report.engine is None or report.engine.end == "growing"
    run = live_run(recording)
    assert run is not None
    assert run.unreached is not None
    assert replay_as_live(recording).alerts == recording.live_alerts


def test_a_full_disk_ends_the_recording_and_seals_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit = RecordingWriter.commit

    def full_at_ten(self: RecordingWriter, epoch: Epoch) -> None:
        if epoch.number >= 10:
            raise LimitError("the disk is full")
        commit(self, epoch)

    monkeypatch.setattr(RecordingWriter, "commit", full_at_ten)
    report = record(tmp_path / "a.krec", now_world(600))
    assert isinstance(report.failure, LimitError)
    assert report.epochs == 10
    assert report.ledger.lost_user == 600 - report.events
    assert report.ledger.closes
    recording = open_recording(tmp_path / "a.krec")
    assert recording.complete
    assert replay(recording, PACK).digest == report.digest


@pytest.mark.slow
def test_a_broken_reader_of_alerts_ends_the_recording_whole(tmp_path: Path):
    def broken(alert: Alert) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        record(tmp_path / "a.krec", now_world(2000, step_ns=1_000_000), on_alert=broken)
    recording = open_recording(tmp_path / "a.krec")
    assert recording.complete
    assert replay(recording, PACK).digest == alert_digest(recording.live_alerts)


@pytest.mark.slow
def test_a_killed_recorder_leaves_an_engine_that_finishes_by_itself(tmp_path: Path):
    recorder = Child("recorder", _record_forever, tmp_path / "a.krec")
    engine = recorder.recv()
    time.sleep(1.5)
    os.kill(recorder.pid, signal.SIGKILL)
    ended = time.monotonic() + 10
    while Path(f"/proc/{engine}").exists() and time.monotonic() < ended:
        time.sleep(0.02)
    recorder.close()
    recording = open_recording(tmp_path / "a.krec")
    run = live_run(recording)
    assert recording.end == "cut"
    assert run is not None
    assert run.unreached is None
    assert run.alerts
    assert replay(recording, PACK).digest == alert_digest(run.alerts)
    assert replay_as_live(recording).digest == alert_digest(run.alerts)


def _record_forever(connection: Connection[Any, Any], path: Path) -> None:
    start = EngineProcess.start

    def start_and_tell(self: EngineProcess, *arguments: Any) -> None:
        start(self, *arguments)
        connection.send(self.pid)

    EngineProcess.start = start_and_tell  # type: ignore[method-assign]
    record(path, now_world(20_000, step_ns=1_000_000))
