import os
import signal
import sys

import pytest

from kestrel_lab.engine import Limits
from kestrel_lab.schema.alert import Skip
from kestrel_lab.session.child import ProcessDiedError
from kestrel_lab.session.drive import EngineSpec
from kestrel_lab.session.replay import replay
from kestrel_lab.session.sources import opener
from kestrel_lab.session.workers import WorkersDriver
from tests.session.scenario import memory, pack
from tests.support.epochs import source

pytestmark = pytest.mark.slow

replay_module = sys.modules["kestrel_lab.session.replay"]  # the package exports the function of that name
WORLD = memory()
PACK = pack()
WHOLE = replay(WORLD, PACK)


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same(workers: int):
    found = replay(WORLD, PACK, workers=workers)
    assert found.alerts == WHOLE.alerts
    assert (found.digest, found.fuel, found.evaluations, found.exhausted) == (
        WHOLE.digest, WHOLE.fuel, WHOLE.evaluations, WHOLE.exhausted
    )  # fmt: skip


@pytest.mark.parametrize("rows", [0, 20, 50, 10_000])
@pytest.mark.parametrize("workers", [1, 2])
def test_how_epochs_are_gathered_changes_nothing(rows: int, workers: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay_module, "SPAN_ROWS", rows)
    skips = [Skip(2, 4, 33, 80, 0), Skip(9, 9, 145, 160, 0)]
    found, skipped = replay(WORLD, PACK, workers=workers), replay(WORLD, PACK, workers=workers, skips=skips)
    assert (found.alerts, found.fuel, found.evaluations) == (WHOLE.alerts, WHOLE.fuel, WHOLE.evaluations)
    assert skipped.alerts == replay(WORLD, PACK, skips=skips).alerts
    assert skipped.skipped == 4


def test_workers_skip_the_same():
    skips = [Skip(2, 4, 33, 80, 0), Skip(9, 9, 145, 160, 0)]
    assert replay(WORLD, PACK, workers=2, skips=skips).alerts == replay(WORLD, PACK, skips=skips).alerts


def test_evictions_are_counted_the_same():
    crowd = source(
        [{"table": "file", "action": "creation", "pid": pid, "file.path": "/tmp/x"} for pid in range(1, 301)], 16
    )
    tight = Limits(pending=1, tick=16)
    one, two = replay(crowd, PACK, limits=tight), replay(crowd, PACK, limits=tight, workers=2)
    assert one.evicted["drop-and-run"] > 200
    assert one.evicted == two.evicted
    assert not replay(crowd, PACK).evicted


def test_alerts_are_told_in_epoch_order():
    one, two = [], []
    replay(WORLD, PACK, on_alert=one.append)
    replay(WORLD, PACK, workers=2, on_alert=two.append)
    assert one == two


def test_a_killed_worker_is_an_error_and_no_hang():
    driver = WorkersDriver(EngineSpec.of(PACK, "deterministic"), opener(WORLD), 2)
    try:
        for epoch in WORLD.stored[:3]:
            driver.feed(epoch)
        driver.flush()
        os.kill(driver.pids[1], signal.SIGKILL)
        with pytest.raises(ProcessDiedError, match=r"engine worker 2 of 2 .* SIGKILL"):
            feed_all(driver)
    finally:
        driver.close()


def feed_all(driver: WorkersDriver) -> None:
    for epoch in WORLD.stored[3:]:
        driver.feed(epoch)
    driver.finish("sealed")
