"""Rules edited while the kernel is recorded: the old one and the new one raise alerts, and replay raises the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from kestrel_lab.recording import open_recording
from kestrel_lab.schema.alert import alert_digest
from kestrel_lab.schema.errors import ExitCode
from tests.kernel.test_cli_record import Recorder, ndjson, run

pytestmark = pytest.mark.kernel


def write_rule(folder: Path, name: str, mark: str) -> None:
    query = f'process where event.action == "exec" and process.args == "{mark}"'
    head = f'[rule]\nrule_id = "marked"\nname = "{name}"\nlanguage = "eql"\nseverity = "low"\n'
    (folder / "marked.new").write_text(f"{head}query = '''{query}'''\n")
    os.replace(folder / "marked.new", folder / "marked.toml")


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_rule_edited_while_recording(tmp_path: Path) -> None:
    rules, out, alerts = tmp_path / "rules", tmp_path / "case.krec", tmp_path / "alerts"
    rules.mkdir()
    one, two = (uuid.uuid4().hex for _ in range(2))
    write_rule(rules, "first", one)

    def raised() -> list[str]:
        return [alert["rule_name"] for alert in ndjson(alerts.read_text())] if alerts.exists() else []

    with Recorder(out, "--rules", rules, "--alerts", alerts) as recorder:
        subprocess.run(["/bin/true", one], check=True)
        until(lambda: raised() == ["first"])
        write_rule(rules, "second", two)
        until(lambda: len(open_recording(out).journal.packs) == 2)
        subprocess.run(["/bin/true", one], check=True)
        subprocess.run(["/bin/true", two], check=True)
        until(lambda: raised() == ["first", "second"])
        code, _, err = recorder.stop(signal.SIGINT)
    assert code == ExitCode.OK
    assert "1 changed (marked)" in err
    recording = open_recording(out)
    replayed = ndjson(run("replay", out, "--format", "ndjson").stdout)
    assert [alert["rule_name"] for alert in replayed[:-1]] == ["first", "second"]
    assert replayed[-1]["digest"] == alert_digest(recording.live_alerts)
    assert run("replay", out, "--as-live").returncode == ExitCode.OK
    assert run("diff", out).returncode == ExitCode.OK
    assert run("verify", out).returncode == ExitCode.OK
