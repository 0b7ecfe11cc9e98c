"""A recorder killed in the middle of a storm: what was committed is there, and the recording says what is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kestrel_lab.recording import open_recording

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

STORM = """
import os
for i in range(300):
    open(f"f{i}", "w").close()
while True:
    for i in range(300):
        os.close(os.open(f"f{i}", os.O_WRONLY))
"""


def kestrel(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kestrel_lab.cli.main", *args], capture_output=True, text=True, timeout=120
    )


def wait_for_epochs(recording: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (recording / "manifest.json").exists() and len(open_recording(recording).index) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {count} epochs in {recording} after 30 s")


def record_and_kill(recording: Path, folder: Path, epochs: int) -> None:
    """Record while a storm opens files in `folder`; kill the recorder once it has committed `epochs`."""
    folder.mkdir()
    storm = subprocess.Popen([sys.executable, "-c", STORM], cwd=folder)
    recorder = subprocess.Popen(
        [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(recording)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_epochs(recording, epochs)
        recorder.send_signal(signal.SIGKILL)
    finally:
        recorder.kill()
        recorder.wait()
        storm.kill()
        storm.wait()


@pytest.mark.parametrize("run", range(0, 20, 2))
def test_everything_committed_reads_back(tmp_path: Path, run: int) -> None:
    path = tmp_path / "killed.krec"
    record_and_kill(path, tmp_path / "storm", epochs=3 + run)

    recording = open_recording(path)
    assert recording.end == "cut"
    assert not recording.complete
    read = sum(len(rows) for epoch in recording.epochs() for rows in epoch.tables.values())
    assert len(recording.index) >= 3 + run
    assert read == recording.index[-1].first_event_id + recording.index[-1].rows - recording.index[0].first_event_id

    info = kestrel("info", str(path), "--format", "ndjson")
    told = json.loads(info.stdout)
    assert told["complete"] is False
    assert told["missing"], "it must say what is missing"
    if run % 5 == 0:
        replayed = kestrel("replay", str(path), "--format", "ndjson")
        assert replayed.returncode == 0, replayed.stderr
        difference = kestrel("diff", str(path))
        assert difference.returncode in (0, 1), difference.stderr
