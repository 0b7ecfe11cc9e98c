"""What goes wrong around a recorder: nothing that was committed is lost, and every gap is a row with its cause."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.capture import epochs as building
from kestrel_lab.recording import Recording, open_recording, verify
from kestrel_lab.recording.files import Appender
from kestrel_lab.schema.errors import ExitCode
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session.record_report import RecordOptions
from kestrel_lab.session.recording import record_from

from .support import joining, kept_program, own_cgroup

OPEN = BUILTIN.action_code("file", "open")
#: opens a file for writing, N times for each line that it reads, and says when it is done
STORM = """
import os, sys
open("file", "w").close()
for line in sys.stdin:
    for _ in range(int(line)):
        os.close(os.open("file", os.O_WRONLY))
    print("done", flush=True)
"""


class Storm:
    """A program in a cgroup that opens files when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.opens = 0

    def __call__(self, opens: int) -> None:
        """Open a file so many times, and come back when that is done."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{opens}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"
        self.opens += opens


@contextmanager
def storm_in(cgroup: Path, folder: Path) -> Iterator[Storm]:
    command = joining(cgroup, sys.executable, "-c", STORM)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True) as process:
        yield Storm(process)
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0


@contextmanager
def recorder(out: Path, cgroup: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(out), "--cgroup", str(cgroup),
               "--no-rules", *more]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        while b"recording into" not in (line := process.stderr.readline()):
            assert line, "the recorder ended"
        yield process
        process.send_signal(signal.SIGINT)
        process.stderr.read()


def opens_in(recording: Recording) -> int:
    tables = [epoch.tables["file"] for epoch in recording.epochs() if "file" in epoch.tables]
    return sum(int((rows.column("action") == OPEN).sum()) for rows in tables)


def lost_by_gaps(recording: Recording) -> int:
    return sum(gap.count for gap in recording.gaps if gap.cause == "lost_ring")


def settled(recording: Path, opens: int) -> None:
    """Wait until so many opens are committed."""
    until = time.monotonic() + 60
    while opens_in(open_recording(recording)) < opens:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_recorder_that_stands_still_for_ten_seconds(tmp_path: Path) -> None:
    out = tmp_path / "a.krec"
    with own_cgroup() as cgroup:
        with recorder(out, cgroup) as process, storm_in(cgroup, tmp_path) as storm:
            storm(1_000)
            settled(out, 1_000)
            process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            storm(300_000)
            time.sleep(max(0.0, 10 - (time.monotonic() - began)))
            process.send_signal(signal.SIGCONT)
            settled(out, 2_000)  # it has taken up what the ring held
            storm(1_000)
        assert process.returncode == ExitCode.OK
    found = open_recording(out)
    ledger = found.ledger
    assert ledger is not None
    assert ledger.closes
    assert verify(out).ok
    assert ledger.lost_ring > 0, "the ring cannot hold 300,000"
    assert opens_in(found) + ledger.lost_ring == storm.opens
    assert lost_by_gaps(found) == ledger.lost_ring
    (gap,) = [gap for gap in found.gaps if gap.cause == "lost_ring"]
    assert gap.source == "file0"


def in_process(out: Path, folder: Path, storms: list[int], **more: Any) -> tuple[Recording, int]:
    """Record a storm in this process."""
    with own_cgroup() as cgroup, storm_in(cgroup, folder) as storm:
        source = _Storming(CaptureConfig(cgroup=cgroup, **more), storm, storms)
        report = record_from(source, out, None, RecordOptions(duration_s=3))
        assert report.failure is None
        assert report.ledger.closes
        return open_recording(out), storm.opens


class _Storming(LiveSource):
    """A source that lets a storm go before each of its first polls."""

    def __init__(self, config: CaptureConfig, storm: Storm, storms: list[int]) -> None:
        super().__init__(config, kept_program)
        self._storm, self._storms = storm, storms

    def poll(self, timeout_s: float) -> list[Any]:
        if self._storms:
            self._storm(self._storms.pop(0))
        return super().poll(timeout_s)


def test_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Appender.append

    def slowly(self: Appender, data: bytes) -> None:
        time.sleep(0.03)
        append(self, data)

    monkeypatch.setattr(Appender, "append", slowly)
    found, opens = in_process(tmp_path / "a.krec", tmp_path, [5_000] * 20)
    assert verify(found.path).ok
    assert opens_in(found) + lost_by_gaps(found) == opens == 100_000


def test_the_wall_clock_is_set_while_it_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the recorder's reading of the clock is changed here: the machine's stays."""
    real, began, step = time.time_ns, time.monotonic(), 3_600 * 10**9

    class Clock:
        CLOCK_BOOTTIME = time.CLOCK_BOOTTIME
        clock_gettime_ns = staticmethod(time.clock_gettime_ns)

        @staticmethod
        def time_ns() -> int:
            return real() + (step if time.monotonic() - began > 1 else 0)

    monkeypatch.setattr(building, "time", Clock)
    found, opens = in_process(tmp_path / "a.krec", tmp_path, [100] * 100)
    assert opens_in(found) == opens
    offsets = [epoch.clock_wall_ns - epoch.clock_boot_ns for epoch in found.epochs()]
    jumps = [b - a for a, b in pairwise(offsets) if abs(b - a) > 10**9]
    assert len(jumps) == 1, "each epoch has the clock of its time"
    assert abs(jumps[0] - step) < 10**9
    stamps = [epoch.ts_min_ns for epoch in found.epochs()]
    assert stamps == sorted(stamps), "order and event time rest on the boot clock"
    assert verify(found.path).ok


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(disk)], check=True)
    try:
        with own_cgroup() as cgroup, storm_in(cgroup, tmp_path) as storm:
            command = [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(disk / "a.krec"), "--cgroup",
                       str(cgroup), "--no-rules", "--format", "ndjson"]  # fmt: skip
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                assert process.stderr
                while b"recording into" not in process.stderr.readline():
                    pass
                while process.poll() is None:
                    storm(20_000)
                error = process.stderr.read()
        assert process.returncode == ExitCode.LIMIT
        assert b"the disk is full" in error
        found = open_recording(disk / "a.krec")
        assert verify(found.path).ok
        kept = opens_in(found)
        assert 0 < kept < storm.opens
        ledger = found.ledger
        if ledger is not None:  # there may be no room for it
            assert ledger.closes
            assert ledger.lost_user > 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
