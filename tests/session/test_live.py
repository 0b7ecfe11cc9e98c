from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from kestrel_lab.recording import RecordingWriter, open_recording
from kestrel_lab.schema.alert import Alert, PackUse
from kestrel_lab.schema.epoch import Epoch, Ledger
from kestrel_lab.session.live import run_live
from kestrel_lab.session.recorded import replay_as_live
from kestrel_lab.session.replay import replay
from tests.session.scenario import memory, pack

WORLD = memory(400)
PACK = pack()
WHOLE = replay(WORLD, PACK)


def writer(path: Path) -> RecordingWriter:
    found = RecordingWriter(path, WORLD.info)
    found.add_pack(PackUse(0, PACK.hash), PACK.files)
    return found


def sealed(path: Path) -> Path:
    growing = writer(path)
    for epoch in WORLD.stored:
        growing.commit(epoch)
    growing.close(Ledger())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_recording_that_grows_meanwhile(tmp_path: Path, workers: int):
    growing = writer(tmp_path / "a.krec")

    def grow() -> None:
        for epoch in WORLD.stored:
            growing.commit(epoch)
            time.sleep(0.01)
        growing.close(Ledger())

    thread = threading.Thread(target=grow)
    thread.start()
    told: list[Alert] = []
    report = run_live(
        tmp_path / "a.krec", PACK, workers=workers, on_alerts=told.extend, max_lag_s=1e9, clock_ns=lambda: 0
    )
    thread.join()
    assert report.end == "sealed"
    assert report.digest == WHOLE.digest
    assert sorted(told, key=lambda a: a.sort_key) == WHOLE.alerts
    live = open_recording(tmp_path / "a.krec").live
    assert (live.alerts, live.progress, live.ended, live.digest) == (
        told, WORLD.stored[-1].number, True, WHOLE.digest
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("period", [3, 7])
def test_what_it_skips_the_replay_as_live_skips(tmp_path: Path, period: int, workers: int):
    """The clock jumps an hour ahead every so many epochs."""
    path, ticks = sealed(tmp_path / "a.krec"), iter(range(10_000))

    def clock() -> int:
        return 3_600_000_000_000 if next(ticks) // period % 2 else 0

    report = run_live(path, PACK, workers=workers, max_lag_s=60, clock_ns=clock)
    assert len(report.skips) > 1
    found = replay_as_live(open_recording(path))
    assert found.digest == report.digest != WHOLE.digest
    assert {rule: used for rule, used in found.fuel.items() if used} == report.fuel
    assert found.skipped == sum(s.last_epoch - s.first_epoch + 1 for s in report.skips)


def test_told_to_stop_it_leaves_the_rest(tmp_path: Path):
    path, looks = sealed(tmp_path / "a.krec"), iter(range(10_000))
    report = run_live(path, PACK, wait=lambda seconds, handles: next(looks) < 9, max_lag_s=1e9, clock_ns=lambda: 0)
    assert report.end == "growing"
    assert report.epochs == 10
    recording = open_recording(path)
    assert recording.live.progress == 9
    assert not recording.live.ended
    found = replay_as_live(recording)
    assert found.alerts == recording.live_alerts
    assert found.epochs == 10  # time does not go on where the engine never came to: no window closes there


def test_epochs_are_evaluated_as_they_come_not_at_the_end(tmp_path: Path):
    growing = writer(tmp_path / "a.krec")
    seen: list[int] = []
    thread = threading.Thread(
        target=run_live,
        args=(tmp_path / "a.krec", PACK),
        kwargs={"on_alerts": lambda alerts: seen.append(alerts[-1].last_event_id), "clock_ns": lambda: 0},
    )
    thread.start()
    for epoch in WORLD.stored[:20]:
        growing.commit(epoch)
    _until(lambda: bool(seen) and seen[-1] >= _last_alert(WORLD.stored[:20]))
    growing.close(Ledger())
    thread.join()


def _last_alert(epochs: list[Epoch]) -> int:
    return max(a.last_event_id for a in WHOLE.alerts if a.last_event_id <= epochs[-1].last_event_id)


def _until(true) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.005)
