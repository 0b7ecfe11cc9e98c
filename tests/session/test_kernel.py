"""The whole path on the live kernel: record, alert, replay, prove, diff."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from kestrel_lab.capture import CaptureConfig
from kestrel_lab.engine import Pack, pack_from_files
from kestrel_lab.recording import open_recording
from kestrel_lab.session import Stop, diff_rules, prove, record, replay, replay_as_live
from kestrel_lab.session.prove import Configuration
from tests.session.scenario import rule

pytestmark = pytest.mark.kernel


def rules(folder: Path) -> Pack:
    renamed = f'file where event.action == "rename" and file.path like "{folder}/*.done"'
    run_and_renamed = f"""
    sequence by process.pid with maxspan=10s
      [process where event.action == "exec" and process.args == "{folder}"]
      [file where event.action == "rename" and file.path like "{folder}/*.done"]
    """
    return pack_from_files({
        "renamed.toml": rule("renamed", renamed, ("file.path", "process.pid")),
        "run.toml": rule("run", run_and_renamed, ("process.args", "file.path")),
    })  # fmt: skip


ACT = """
import os, sys, time
for n in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}/{n}"
    open(path, "w").close()
    os.rename(path, path + ".done")
    time.sleep(float(sys.argv[3]))
"""


@pytest.mark.parametrize(("workers", "only_needed"), [(1, False), (2, True)])
def test_record_alert_replay_prove_diff(tmp_path: Path, workers: int, only_needed: bool):
    folder, out, told = tmp_path / "acts", tmp_path / "a.krec", []
    folder.mkdir()
    command = (sys.executable, "-c", ACT, str(folder), "30", "0.01")
    pack = rules(folder)
    report = record(
        CaptureConfig(), out, pack, command=command, workers=workers, only_needed=only_needed, on_alert=told.append
    )
    assert report.engine_error is None
    assert report.command_exit == 0
    assert report.ledger.closes
    assert [a.rule_id for a in told].count("renamed") == 30
    assert [a.rule_id for a in told].count("run") == 1
    recording = open_recording(out)
    assert replay(recording, pack).digest == report.digest == replay_as_live(recording).digest
    assert diff_rules(recording).equal
    some = (Configuration("reference"), Configuration("live", mode="live", workers=2), Configuration("seek", seek=True))
    assert prove(recording, pack, configurations=some).equal


def test_an_alert_is_there_soon_after_its_act(tmp_path: Path):
    folder, ages, stop = tmp_path / "acts", [], Stop()
    folder.mkdir()
    command = (sys.executable, "-c", ACT, str(folder), "60", "0.03")

    def told(alert) -> None:
        ages.append((time.clock_gettime_ns(time.CLOCK_BOOTTIME) - alert.ts_boot_ns) / 1e6)

    record(CaptureConfig(), tmp_path / "a.krec", rules(folder), command=command, on_alert=told, stop=stop)
    ages.sort()
    # The first ones may wait for the engine to compile its rules.
    assert ages[int(len(ages) * 0.8)] < 250
