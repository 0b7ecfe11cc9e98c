"""The demo where recording is impossible: it says what is missing and tells the story from the shipped recording."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kestrel_lab.capture import Check
from kestrel_lab.cli.demo import story
from kestrel_lab.cli.demo.edit import edited_pack
from kestrel_lab.recording import open_recording
from kestrel_lab.schema.alert import alert_digest
from kestrel_lab.schema.errors import DivergedError, ExitCode, UnavailableError, UsageError
from kestrel_lab.schema.resources import resource
from kestrel_lab.session import replay_as_live
from tests.cli.support import make_recording, run
from tests.cli.test_bad_input import needs_setpriv, unprivileged

PACKED = resource("recordings") / story.SHIPPED
MISSING = [Check("BTF", False, "no /sys/kernel/btf/vmlinux", "no recording", "boot another kernel")]


def test_the_shipped_recording_is_small_whole_and_of_this_schema() -> None:
    assert PACKED.stat().st_size < 2 << 20
    assert run("verify", PACKED).exit_code == ExitCode.OK
    recording = open_recording(PACKED)
    assert recording.complete
    assert recording.ledger is not None
    assert recording.ledger.closes
    assert recording.ledger.lost_ring == 0
    assert len({alert.rule_id for alert in recording.live_alerts}) >= 8
    assert replay_as_live(recording).digest == alert_digest(recording.live_alerts)


def test_the_shipped_recording_tells_nothing_of_where_it_was_made() -> None:
    text = run("dump", PACKED).stdout
    assert "/tmp/kestrel-lab-demo-" in text
    paths = {word for word in text.replace("\\n", '"').split('"') if word.startswith("/")}
    known = (
        "/usr/bin/",
        "/bin/",
        "/usr/sbin/",
        "/dev/",
        "/tmp/kestrel-lab-demo-",
        "/kestrel-lab-demo-",
        "/var/run/nscd/",
    )
    assert {path for path in paths if not path.startswith(known)} <= {"/", "/dev", "/tmp", "/usr/bin"}


def test_the_story_without_ebpf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story.tell(tmp_path, MISSING)
    text = capsys.readouterr().out
    assert "BTF:\n  found  no /sys/kernel/btf/vmlinux\n  costs  no recording\n  mend   boot another kernel\n" in text
    assert "File dropped into a temporary folder and run" in text
    assert "\nequal\n" in text
    assert "because rule edited: " in text
    commands = [shlex.split(line) for line in text.partition("\nTry next\n")[2].splitlines()]
    assert len(commands) == 5
    for command in commands:
        if "--prove" not in command:
            assert run(*command[1:]).exit_code in (ExitCode.OK, ExitCode.FINDINGS)


@needs_setpriv
def test_an_ordinary_user_gets_the_whole_demo(tmp_path: Path) -> None:
    done = unprivileged("demo", "-o", tmp_path / "out")
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stderr == ""
    assert "CAP_BPF" in done.stdout
    assert "\nequal\n" in done.stdout
    assert (tmp_path / "out" / "demo.krec").is_dir()


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    result = run("demo", "-o", tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert str(tmp_path) in result.stderr


def test_a_recorder_that_does_not_start_leads_to_the_shipped_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise UnavailableError("the recorder did not start", detail="bpf(2) says no")

    monkeypatch.setattr(story, "record_intrusion", refuse)
    story.tell(tmp_path, [])
    text = capsys.readouterr().out
    assert "the recorder did not start\nbpf(2) says no\n" in text
    assert "\nequal\n" in text


def test_a_replay_that_differs_ends_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story.take_shipped(tmp_path / "demo.krec")
    shutil.rmtree(tmp_path / "demo.krec" / "live")
    with pytest.raises(DivergedError):
        story.show_replay(open_recording(tmp_path / "demo.krec"))


def test_only_an_alert_of_one_event_is_tuned_away(tmp_path: Path) -> None:
    recording = open_recording(make_recording(tmp_path / "case.krec"))
    files = recording.packs[0][1]
    edit, pack = edited_pack(files, recording.live_alerts, tmp_path / "edited")
    assert edit.rule_name == "Connection to port 4444"
    assert edit.file.read_text().count(edit.added) == 1
    assert {rule.id for rule in pack.rules} == {"connect-4444", "drop-and-run"}
    with pytest.raises(UsageError):
        edited_pack(files, [a for a in recording.live_alerts if len(a.event_ids) > 1], tmp_path / "other")


def test_the_intrusion_runs_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kestrel_lab.cli.demo.intrusion"], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 14
