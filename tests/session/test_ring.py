"""What a long recording keeps, and what rests on it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kestrel_lab.cli.units import parse_size
from kestrel_lab.recording import open_recording, verify
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.severity import Severity
from kestrel_lab.session.causes import CauseKind
from kestrel_lab.session.diff import diff_rules
from kestrel_lab.session.record_report import RecordOptions, RecordReport
from kestrel_lab.session.recording import record_from
from kestrel_lab.session.ring import Keeping, Ring
from kestrel_lab.session.signals import Stop, stop_on_signals
from tests.session.scenario import FakeCapture, capturing, memory, now_world, pack

S = 1_000_000_000
ONE = memory(4).stored[0]


class _Segment:
    def __init__(self, index: int) -> None:
        self.index = index


def epoch(segment: int, first_id: int, rows: int, at_s: float) -> Epoch:
    return replace(ONE, segment=_Segment(segment), first_event_id=first_id, rows=rows,  # type: ignore[arg-type]
                   ts_min_ns=int(at_s * S), ts_max_ns=int(at_s * S))  # fmt: skip


def alert(at_s: float, *event_ids: int | None) -> Alert:
    return Alert("r", "r", Severity.LOW, "", "", event_ids, int(at_s * S), 0)


def ring(keeping: Keeping, count: int = 10) -> Ring:
    """Segments of ten events, each ten seconds after the last: 0 s to 90 s."""
    made = Ring(keeping)
    for index in range(count):
        made.committed(epoch(index, 10 * index + 1, 10, 10 * index))
    return made


SEALED = dict.fromkeys(range(9), 100)


def test_what_is_older_than_asked_for_goes() -> None:
    assert ring(Keeping(30)).due(60 * S, SEALED) == [(0, "keep"), (1, "keep"), (2, "keep")]
    assert ring(Keeping(1_000)).due(60 * S, SEALED) == []
    assert ring(Keeping()).due(60 * S, SEALED) == []


def test_what_an_alert_rests_on_stays_and_so_does_what_follows() -> None:
    made = ring(Keeping(10, after_s=15))
    made.alert(alert(40, 15, None, 45))  # segments 1 and 4, and 15 s after 40 s: 5
    due = [index for index, _ in made.due(100 * S, SEALED)]
    assert due == [0, 2, 3, 6, 7, 8]
    made.committed(epoch(10, 101, 10, 50))  # late: still within what follows
    made.committed(epoch(11, 111, 10, 60))
    assert [i for i, _ in made.due(900 * S, {10: 1, 11: 1})] == [11]


def test_a_call_keeps_all_that_is_there() -> None:
    made = ring(Keeping(10, after_s=20))
    made.keep_all(95 * S)
    made.committed(epoch(10, 101, 10, 110))
    made.committed(epoch(11, 111, 10, 120))
    assert [i for i, _ in made.due(900 * S, dict.fromkeys(range(12), 1))] == [11]


def test_a_budget_takes_the_oldest_and_pinned_ones_last() -> None:
    made = ring(Keeping(None, 500))
    assert made.due(0, SEALED) == [(0, "budget"), (1, "budget"), (2, "budget"), (3, "budget")]
    made.alert(alert(1_000, 5, 15))
    assert [i for i, _ in made.due(0, SEALED)] == [2, 3, 4, 5]
    tight = ring(Keeping(None, 0))
    tight.alert(alert(1_000, 5))
    assert [i for i, _ in tight.due(0, {0: 100, 1: 100})] == [1, 0]
    for index in (1, 0):
        tight.went(index)
    assert (tight.gone, tight.gone_pinned) == (2, 1)


def test_age_and_budget_together() -> None:
    made = ring(Keeping(60, 500))
    assert made.due(90 * S, SEALED) == [(0, "keep"), (1, "keep"), (2, "keep"), (3, "budget")]


@pytest.mark.parametrize(
    ("text", "size"),
    [("500M", 500 << 20), ("2G", 2 << 30), ("1.5GiB", 3 << 29), ("64", 64), ("1 kb", 1024), ("1T", 1 << 40),
     ("", None), ("G", None), ("-1G", None), ("1X", None), ("1e9", None), ("٣G", None)],
)  # fmt: skip
def test_sizes_as_people_write_them(text: str, size: int | None) -> None:
    assert parse_size(text) == size


def test_a_signal_asks_to_keep() -> None:
    stop = Stop()
    before = signal.getsignal(signal.SIGUSR1)
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.01)
    assert (stop.keeps, stop.requested) == (1, False)
    assert signal.getsignal(signal.SIGUSR1) == before


class Slow(FakeCapture):
    """A world whose epochs come one at a time, while the recorder looks again and again."""

    def poll(self, timeout_s: float) -> list[Epoch]:
        time.sleep(0.002)
        if not self._epochs and self._over:
            self._over()
            self._over = None
        found = [self._epochs.popleft()] if self._epochs else []
        self.received += sum(e.rows for e in found)
        return found


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kestrel_lab.session.recorder._LOOK_NS", 0)


def record(path: Path, keeping: Keeping) -> RecordReport:
    stop = Stop()
    world = now_world(1200, epoch_rows=20, segment_epochs=6)
    return record_from(capturing(Slow(world, stop.request)), path, pack(), RecordOptions(keeping=keeping), stop=stop)


@pytest.mark.slow
def test_a_recording_that_keeps_little_is_whole_and_its_differences_have_their_cause(tmp_path: Path) -> None:
    report = record(tmp_path / "a.krec", Keeping(None, 1, after_s=0))
    assert report.failure is None
    assert report.engine_error is None
    assert report.expired > 3
    found = open_recording(tmp_path / "a.krec")
    assert verify(found.path).ok
    assert len(found.expired) == report.expired
    assert sum(r.rows for r in found.index) + sum(e.events for e in found.expired) == report.ledger.written
    diff = diff_rules(found)
    assert diff.differences
    assert {cause.kind for d in diff.differences for cause in d.causes} == {CauseKind.EXPIRED}
    gone = max(e.last_event_id for e in found.expired)
    for difference in diff.missing:
        proved = any(i is not None and i <= gone for i in difference.alert.event_ids)
        assert difference.causes[0].proved is proved


@pytest.mark.slow
def test_what_alerts_rest_on_is_kept(tmp_path: Path) -> None:
    report = record(tmp_path / "a.krec", Keeping(0.0, after_s=0))
    assert report.engine_error is None
    found = open_recording(tmp_path / "a.krec")
    pinned = {i for a in found.live_alerts for i in a.event_ids if i is not None}
    assert pinned
    assert not any(e.first_event_id <= i <= e.last_event_id for e in found.expired for i in pinned)
