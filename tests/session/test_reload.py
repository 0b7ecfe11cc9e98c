"""Rules edited while they run: a real recorder and engine, a capture whose epochs the test lets go one by one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kestrel_lab.engine import load_pack
from kestrel_lab.recording import open_recording
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.session.engine_process import LiveOptions
from kestrel_lab.session.record_report import RecordOptions, RecordReport
from kestrel_lab.session.recorded import live_run, recorded_rules, replay_as_live
from kestrel_lab.session.recording import record_from
from kestrel_lab.session.replay import replay
from kestrel_lab.session.signals import Stop
from kestrel_lab.session.watch import RulePaths
from tests.session.scenario import CONNECT, FILES, FakeCapture, capturing, memory, rule

WORLD = memory(400)
HALF = len(WORLD.stored) // 2
EDITED = rule("connect-4444", CONNECT, ("process.pid",), name="Connection, second edition")


class Gate(FakeCapture):
    """A capture that gives as many epochs as the test has let through."""

    def __init__(self) -> None:
        super().__init__(WORLD)
        self.open = 0
        self.given = 0

    def poll(self, timeout_s: float) -> list[Epoch]:
        time.sleep(0.005)
        found = [self._epochs.popleft() for _ in range(self.open - self.given)]
        self.given += len(found)
        self.received += sum(e.rows for e in found)
        return found


class Session:
    """A recording under way, on a thread of its own."""

    def __init__(self, tmp_path: Path, workers: int = 1) -> None:
        self.rules = tmp_path / "rules"
        self.rules.mkdir()
        for name, data in FILES.items():
            (self.rules / name).write_bytes(data)
        self.path, self.gate, self.stop = tmp_path / "a.krec", Gate(), Stop()
        self.notices: list[str] = []
        self.report: RecordReport | None = None
        where, pack = RulePaths.of([self.rules]), load_pack([self.rules])
        live = LiveOptions(workers=workers, max_lag_s=1e9, watch=where, look_s=0.05)
        self._thread = threading.Thread(target=self._record, args=(pack, RecordOptions(live=live)))
        self._thread.start()

    def _record(self, pack, options: RecordOptions) -> None:
        self.report = record_from(
            capturing(self.gate), self.path, pack, options, stop=self.stop, on_notice=self.notices.append
        )

    def edit(self, name: str, data: bytes) -> None:
        """Put another file in the place of one."""
        (self.rules / f"{name}.new").write_bytes(data)
        os.replace(self.rules / f"{name}.new", self.rules / name)

    def until(self, true: Callable[[], bool]) -> None:
        ends = time.monotonic() + 120
        while not true():
            assert time.monotonic() < ends, self.notices
            assert self._thread.is_alive()
            time.sleep(0.02)

    def packs(self) -> int:
        """Return how many rows the schedule has."""
        return len(open_recording(self.path).journal.packs) if (self.path / "journal").exists() else 0

    def finish(self) -> RecordReport:
        self.gate.open = len(WORLD.stored)
        self.until(lambda: self.gate.given == len(WORLD.stored))
        self.stop.request()
        self._thread.join()
        assert self.report is not None
        assert self.report.engine_error is None
        return self.report


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_edited_rule_takes_over_and_replay_gives_the_same(tmp_path: Path, workers: int) -> None:
    session = Session(tmp_path, workers)
    session.gate.open = HALF
    session.until(lambda: session.gate.given == HALF and session.packs() == 1)
    session.edit("connect.toml", EDITED)
    session.until(lambda: session.packs() == 2)
    report = session.finish()
    recording = open_recording(session.path)
    run = live_run(recording)
    assert run is not None
    assert [use.from_event_id for use in run.schedule.uses] == [0, WORLD.stored[HALF].first_event_id]
    names = {a.rule_name: a.last_event_id for a in recording.live_alerts if a.rule_id == "connect-4444"}
    assert set(names) == {"connect-4444", "Connection, second edition"}
    assert names["connect-4444"] < WORLD.stored[HALF].first_event_id
    as_live, default = replay_as_live(recording), replay(recording, recorded_rules(recording))
    assert as_live.digest == default.digest == report.digest
    assert report.engine is not None
    assert list(report.engine.switches) == list(as_live.switches)
    assert as_live.switches[0].changed == ("connect-4444",)
    assert any("1 changed (connect-4444)" in notice for notice in session.notices)


def test_a_wrong_edit_is_told_and_the_former_pack_can_come_back(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.gate.open = 4
    session.until(lambda: session.gate.given == 4 and session.packs() == 1)
    session.edit("connect.toml", rule("connect-4444", "network where"))
    session.until(lambda: any("connect.toml" in notice for notice in session.notices))
    assert session.packs() == 1
    session.edit("connect.toml", EDITED)
    session.until(lambda: session.packs() == 2)
    session.gate.open = HALF
    session.until(lambda: session.gate.given == HALF)
    session.edit("connect.toml", FILES["connect.toml"])
    session.until(lambda: session.packs() == 3)
    report = session.finish()
    recording = open_recording(session.path)
    uses = recorded_rules(recording).uses
    assert uses[0].pack_hash == uses[2].pack_hash != uses[1].pack_hash
    assert replay_as_live(recording).digest == report.digest
    assert sum("are not taken" in notice for notice in session.notices) == 1
