"""`kestrel-lab record` on the live kernel: how it ends, what it prints, and what is left when it cannot go on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.recording import open_recording
from kestrel_lab.schema.alert import alert_digest
from kestrel_lab.schema.errors import ExitCode

pytestmark = pytest.mark.kernel

KESTREL = [sys.executable, "-m", "kestrel_lab.cli.main"]
INTRUSION = [sys.executable, "-m", "kestrel_lab.cli.demo.intrusion"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KESTREL, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


class Recorder:
    """A recorder in the background, recording when the block is entered."""

    def __init__(self, out: Path, *more: str | Path) -> None:
        self.out = out
        self.process = subprocess.Popen(
            [*KESTREL, "record", "-o", str(out), *map(str, more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == f"recording into {out}; Ctrl-C stops\n"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self, *signals: signal.Signals, within_s: float = 60) -> tuple[int, str, str]:
        """Send signals, wait, and return (exit code, stdout, stderr)."""
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.05)
        out, err = self.process.communicate(timeout=within_s)
        return self.process.returncode, out, err


def ndjson(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_command_is_recorded_with_its_alerts_and_replays_to_the_same(tmp_path: Path) -> None:
    out = tmp_path / "case.krec"
    done = run("record", "-o", out, "--format", "ndjson", "--alerts", tmp_path / "alerts", "--", *INTRUSION)
    assert done.returncode == ExitCode.OK, done.stderr
    # The command shares stdout; the summary is the last line.
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["recording"] == str(out)
    assert summary["command_exit"] == 0
    assert summary["seen"] == summary["filtered"] + summary["lost_ring"] + summary["received"]
    assert summary["received"] == summary["written"] + summary["lost_user"]
    alerts = ndjson((tmp_path / "alerts").read_text())
    assert (tmp_path / "alerts").stat().st_mode & 0o777 == 0o600
    assert {"dropped-file-executed", "shell-dev-tcp"} <= {alert["rule_id"] for alert in alerts}
    assert summary["alerts"] == len(alerts)
    replayed = ndjson(run("replay", out, "--format", "ndjson").stdout)
    assert replayed[-1]["digest"] == summary["digest"] == alert_digest(open_recording(out).live_alerts)
    assert replayed[:-1] == sorted(alerts, key=lambda a: (max(a["event_ids"]), a["rule_id"]))


def test_alerts_on_stdout_come_within_a_second(tmp_path: Path) -> None:
    with Recorder(tmp_path / "case.krec", "--alerts", "-") as recorder:
        time.sleep(0.5)
        subprocess.run(INTRUSION, check=True, stdout=subprocess.DEVNULL)
        assert recorder.process.stdout is not None
        first = json.loads(recorder.process.stdout.readline())
        late = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - first["ts_boot_ns"]
        assert late < 1_000_000_000
        code, out, _ = recorder.stop(signal.SIGINT)
    assert code == ExitCode.OK
    assert json.loads(out.splitlines()[-1])["interrupted"] is True  # what was read ahead of it is not in `out`


def test_one_ctrl_c_seals_and_prints_the_path(tmp_path: Path) -> None:
    with Recorder(tmp_path / "case.krec") as recorder:
        code, out, err = recorder.stop(signal.SIGINT)
    assert code == ExitCode.OK
    assert out == f"{tmp_path / 'case.krec'}\n"
    assert "lost_ring 0" in err
    assert run("verify", tmp_path / "case.krec").returncode == ExitCode.OK
    assert open_recording(tmp_path / "case.krec").complete


def test_two_ctrl_cs_seal_too(tmp_path: Path) -> None:
    with Recorder(tmp_path / "case.krec") as recorder:
        code, out, err = recorder.stop(signal.SIGINT, signal.SIGINT, within_s=20)
    assert code == ExitCode.INTERRUPTED
    assert "Traceback" not in err
    assert out == f"{tmp_path / 'case.krec'}\n"
    assert open_recording(tmp_path / "case.krec").complete


def test_sigterm_is_like_ctrl_c(tmp_path: Path) -> None:
    with Recorder(tmp_path / "case.krec", "--no-rules") as recorder:
        code, out, _ = recorder.stop(signal.SIGTERM)
    assert (code, out) == (ExitCode.OK, f"{tmp_path / 'case.krec'}\n")
    assert open_recording(tmp_path / "case.krec").packs == []


def test_a_duration_ends_it(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = run("record", "-o", tmp_path / "case.krec", "--no-rules", "--duration", "500ms")
    assert done.returncode == ExitCode.OK
    assert time.monotonic() - begin < 30
    assert open_recording(tmp_path / "case.krec").complete


def test_a_second_recorder_in_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with Recorder(tmp_path / "case.krec", "--no-rules") as recorder:
        second = run("record", "-o", tmp_path / "case.krec", "--no-rules", "--duration", "1")
        assert second.returncode == ExitCode.USAGE
        assert str(tmp_path / "case.krec") in second.stderr
        subprocess.run(["true"], check=True)
        code, _, _ = recorder.stop(signal.SIGINT)
    assert code == ExitCode.OK
    assert run("verify", tmp_path / "case.krec").returncode == ExitCode.OK


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "case.krec").mkdir()
    (tmp_path / "case.krec" / "mine").write_text("precious")
    done = run("record", "-o", tmp_path / "case.krec", "--duration", "1")
    assert done.returncode == ExitCode.USAGE
    assert "exists" in done.stderr
    assert [p.name for p in (tmp_path / "case.krec").iterdir()] == ["mine"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_disk_is_said_so(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run("record", "-o", small_disk / "case.krec", "--duration", "1")
    assert done.returncode in (ExitCode.USAGE, ExitCode.NO_PERMISSION)
    assert str(small_disk) in done.stderr
    assert "Read-only" in done.stderr


def test_a_full_disk_keeps_what_fits(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "storm").mkdir()
    storm = 'i=0; while [ $i -lt 200000 ]; do : > "$0/f"; rm -f "$0/f"; i=$((i+1)); done'
    done = run("record", "-o", small_disk / "case.krec", "--no-rules", "--duration", "60", "--format", "ndjson",
               "--", "sh", "-c", storm, tmp_path / "storm")  # fmt: skip
    assert done.returncode == ExitCode.LIMIT, done.stderr
    assert "full" in done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    recording = open_recording(small_disk / "case.krec")
    assert sum(epoch.rows for epoch in recording.epochs()) == summary["written"] > 0
    assert run("verify", small_disk / "case.krec").returncode == ExitCode.OK


def test_the_impostor_bcc_is_named(tmp_path: Path) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text('"""Body-centred cubic lattices."""\n')
    done = run("record", "-o", tmp_path / "case.krec", "--duration", "1", PYTHONPATH=str(tmp_path))
    assert done.returncode == ExitCode.UNAVAILABLE
    assert str(tmp_path / "bcc") in done.stderr
    assert not (tmp_path / "case.krec").exists()


def test_a_missing_bcc_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['bcc'] = None\n")
    done = run("record", "-o", tmp_path / "case.krec", "--duration", "1", PYTHONPATH=str(tmp_path))
    assert done.returncode == ExitCode.UNAVAILABLE
    assert "python3-bpfcc" in done.stderr
    assert not (tmp_path / "case.krec").exists()


def test_a_wrong_rule_is_found_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(
        '[rule]\nrule_id = "b"\nname = "b"\nseverity = "low"\nlanguage = "eql"\nquery = "process where"\n'
    )
    done = run("record", "-o", tmp_path / "case.krec", "--rules", tmp_path / "bad.toml", "--duration", "1")
    assert done.returncode == ExitCode.USAGE
    assert "bad.toml:6" in done.stderr
    assert not (tmp_path / "case.krec").exists()


def test_a_command_that_does_not_exist_is_usage(tmp_path: Path) -> None:
    done = run("record", "-o", tmp_path / "case.krec", "--no-rules", "--", "/none/such")
    assert done.returncode == ExitCode.USAGE
    assert "/none/such" in done.stderr


def test_only_needed_records_only_what_a_rule_could_match(tmp_path: Path) -> None:
    (tmp_path / "rule.toml").write_text(
        '[rule]\nrule_id = "r"\nname = "r"\nseverity = "low"\nlanguage = "eql"\n'
        "query = 'file where event.action == \"rename\"'\n"
    )
    out = tmp_path / "case.krec"
    done = run("record", "-o", out, "--rules", tmp_path / "rule.toml", "--only-needed", "--", *INTRUSION)
    assert done.returncode == ExitCode.OK, done.stderr
    actions = {event["event.action"] for event in ndjson(run("dump", out).stdout)}
    assert "rename" in actions
    assert not actions & {"open", "creation", "deletion", "connection_attempted"}


def test_a_terminal_gets_a_quiet_status_line(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*KESTREL, "record", "-o", str(tmp_path / "case.krec"), "--no-rules", "--duration", "1"],
        stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert process.communicate()[0].decode() == f"{tmp_path / 'case.krec'}\n"
    assert b"\r\x1b[2K" in text
    assert b" events/s   lost 0   alerts 0   " in text
