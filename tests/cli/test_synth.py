"""`kestrel-lab synth`: what a user sees."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from kestrel_lab.cli.main import main
from kestrel_lab.recording import open_recording
from kestrel_lab.schema.errors import ExitCode


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_it_makes_a_recording_and_prints_its_path(tmp_path: Path) -> None:
    out = tmp_path / "a.krec"
    code, stdout, stderr = run("synth", "-o", out, "--events", "2e4", "--alerts", "4", "--gaps", "1")
    assert (code, stdout) == (0, f"{out}\n")
    assert stderr.startswith("20,000 synthetic events, ")
    assert "does not close" not in stderr
    code, stdout, _ = run("info", out)
    assert code == 0
    (line,) = (line for line in stdout.splitlines() if line.split()[0] == "synthetic")
    assert "seed 1, processes 2,000, fresh 0.03, alerts 4, gaps 1" in line
    assert "host                    synthetic".replace(" ", "") in stdout.replace(" ", "")
    code, stdout, _ = run("info", out, "--format", "ndjson")
    assert json.loads(stdout)["synthetic"]["events"] == 20_000


def test_the_other_commands_work_on_it(tmp_path: Path) -> None:
    out = tmp_path / "a.krec"
    assert run("synth", "-o", out, "--events", "20_000", "--alerts", "4")[0] == 0
    assert run("verify", out)[0] == 0
    code, stdout, stderr = run("replay", out, "--format", "ndjson", "--rules", "rules")
    assert code == 0
    assert json.loads(stdout.splitlines()[-1])["alerts"] == 10
    assert "synthetic" in stderr
    code, stdout, _ = run("search", out, 'file where file.path == "/tmp/synthetic-dropper"', "--format", "ndjson")
    assert (code, len([line for line in stdout.splitlines() if "synthetic-dropper" in line])) == (0, 3)
    first = json.loads(run("dump", out, "--from", "1", "--to", "1")[1])
    assert (first["host.name"], first["host.id"]) == ("synthetic", "synthetic-1")
    assert bytes.fromhex(first["process.entity_id"]).startswith(b"synth")
    assert run("pack", out)[0] == 0
    assert "synthetic" in run("info", tmp_path / "a.krec.tar.zst")[1]


def test_replaying_a_real_recording_says_nothing_of_the_kind() -> None:
    code, _, stderr = run("replay", "recordings/demo.krec.tar.zst")
    assert code == 0
    assert "synthetic" not in stderr


def test_as_data_it_is_one_object(tmp_path: Path) -> None:
    code, stdout, _ = run("synth", "-o", tmp_path / "a.krec", "--events", "1000", "--format", "ndjson")
    found = json.loads(stdout)
    assert (code, found["events"], found["written"], found["synthetic"]) == (0, 1000, 1000, True)
    assert found["head"] == open_recording(tmp_path / "a.krec").manifest["head"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--events", "1.5"], "'1.5' is no whole number"),
    (["--events", "many"], "'many' is no whole number"),
    (["--events", "-5"], "'-5' is no whole number"),
    (["--events", "1e99"], "is not from 1 to"),
    (["--events", "100", "--processes", "90"], "ask for at least 270 events"),
    (["--fresh", "0.9"], "fresh: 0.9 is not from 0 to 0.25"),
    (["--fresh", "x"], "'x' is not a valid float"),
    (["--duration", "soon"], "no length of time"),
    (["--events", "1e9", "--duration", "2s"], "do not fit into 2 s"),
])  # fmt: skip
def test_bad_input_gets_one_clear_message_and_makes_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, stdout, stderr = run("synth", "-o", tmp_path / "a.krec", *arguments)
    assert (code, stdout) == (ExitCode.USAGE, "")
    assert words in stderr
    assert "Traceback" not in stderr
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    code, _, stderr = run("synth", "-o", tmp_path)
    assert (code, "the folder exists" in stderr) == (ExitCode.USAGE, True)
    assert not [*tmp_path.iterdir()]


def test_ctrl_c_seals_what_there_is_and_prints_the_path(tmp_path: Path) -> None:
    out = tmp_path / "a.krec"
    command = [sys.executable, "-m", "kestrel_lab.cli.main", "synth", "-o", out, "--events", "1e8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "journal").exists() or (out / "journal").stat().st_size < 2_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (ExitCode.INTERRUPTED, f"{out}\n")
    assert stderr.startswith("stopped: the first ")
    found = open_recording(out)
    assert found.complete
    assert found.ledger is not None
    assert found.ledger.written == sum(epoch.rows for epoch in found.epochs()) > 0
