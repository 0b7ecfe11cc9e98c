"""`kestrel-lab demo` on the live kernel, told to its end, and the commands that it closes with."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kestrel_lab.recording import open_recording
from kestrel_lab.schema.errors import ExitCode

pytestmark = pytest.mark.kernel

KESTREL = [sys.executable, "-m", "kestrel_lab.cli.main"]
#: What the intrusion must raise, act by act, with the starter pack.
EXPECTED = {
    "it is run": ["Program run from a temporary folder", "File dropped into a temporary folder and run"],
    "a shell looks around": ["Discovery commands in a row"],
    "keys are searched for": ["Search for keys and stored passwords"],
    "a closed port": ["Connections refused in a row"],
    "a shell connects": ["Shell opens a network device path", "Shell opens a network connection"],
    "a program passes for a kernel thread": ["Program named as a kernel thread"],
    "the script is made to look old": ["File times set by touch"],
    "a file is packed": ["Archive made in a temporary folder"],
    "a dropped program connects": ["Program in a temporary folder opens a connection"],
    "a file is renamed": ["File renamed to an extension that ransomware uses"],
    "a note is left": ["Ransom note created"],
    "everything is deleted": ["File run from a temporary folder and then deleted"],
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    begin = time.monotonic()
    done = subprocess.run(
        [*KESTREL, "demo", "-o", str(folder)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert time.monotonic() - begin < 120
    return folder, done.stdout


def test_each_act_is_followed_by_its_alerts_within_a_second(told: tuple[Path, str]) -> None:
    _, text = told
    acts = text.partition("\nWhat was recorded")[0].split("\n> ")[1:]
    for act, rules in EXPECTED.items():
        said = next(lines for lines in acts if lines.startswith(act))
        assert [rule for rule in rules if rule not in said] == []
    delays = [float(found) for found in re.findall(r"^    ([0-9.]+) s later:", text, re.MULTILINE)]
    assert delays
    assert max(delays) < 1


def test_at_least_eight_starter_rules_fire(told: tuple[Path, str]) -> None:
    recording = open_recording(told[0] / "demo.krec")
    assert len({alert.rule_id for alert in recording.live_alerts}) >= 8


def test_the_replay_is_equal_and_the_edit_has_its_cause(told: tuple[Path, str]) -> None:
    _, text = told
    live, replay = re.findall(r"^(?:live|replay) +([0-9a-f]{64})  ", text, re.MULTILINE)
    assert live == replay
    assert "\nequal\n" in text
    assert "because rule edited: " in text
    assert ", 0 missing" not in text


def test_it_says_what_was_recorded(told: tuple[Path, str]) -> None:
    folder, text = told
    for action in ("exec", "creation", "rename", "deletion", "connection_attempted"):
        assert re.search(rf"^\w+ +{action} +\d", text, re.MULTILINE)
    recording = open_recording(folder / "demo.krec")
    assert recording.complete
    assert recording.ledger is not None
    assert f"ledger: seen {recording.ledger.seen:,}" in text


def test_the_five_commands_that_it_closes_with_work(told: tuple[Path, str]) -> None:
    _, text = told
    commands = [shlex.split(line) for line in text.partition("\nTry next\n")[2].splitlines()]
    assert len(commands) == 5
    for command in commands:
        assert Path(command[2 if command[1] != "rules" else 3]).exists()
        done = subprocess.run([*KESTREL, *command[1:]], capture_output=True, text=True, check=False, timeout=120)
        expected = ExitCode.FINDINGS if command[1] == "diff" else ExitCode.OK
        assert done.returncode == expected, f"{command}: {done.stderr}"
        assert done.stdout


def test_nothing_of_the_intrusion_stays(told: tuple[Path, str]) -> None:
    stages = set(re.findall(r"/tmp/kestrel-lab-demo-\w+(?=/update.sh)", told[1]))
    assert stages
    assert [stage for stage in stages if Path(stage).exists()] == []


def command_lines() -> Iterator[str]:
    """Yield the command line of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize("after_s", [1.0, 5.0])
def test_ctrl_c_ends_it_and_leaves_nothing_running(tmp_path: Path, after_s: float) -> None:
    process = subprocess.Popen(
        [*KESTREL, "demo", "-o", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert err == ""
    assert [line for line in command_lines() if str(tmp_path) in line] == []
    assert [
        stage for stage in re.findall(r"/tmp/kestrel-lab-demo-\w+(?=/update.sh)", out) if Path(stage).exists()
    ] == []
