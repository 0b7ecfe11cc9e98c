"""Bad input: one clear message, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kestrel_lab.schema.errors import ExitCode
from tests.cli.support import make_recording, objects, rule, run, write_rules


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("made") / "case.krec")


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "case.krec"))


READERS = (["info"], ["verify"], ["replay"], ["diff"], ["dump"])


@pytest.mark.parametrize("command", [*READERS, ["pack"]])
def test_what_is_no_recording_is_said_so(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    for name, words in (("none.krec", "does not exist"), ("folder", "is no recording")):
        result = run(*command, tmp_path / name)
        assert result.exit_code == ExitCode.USAGE
        assert words in result.stderr
        assert name in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("command", READERS)
def test_a_newer_major_version_is_refused_with_both_named(case: Path, command: list[str]) -> None:
    manifest = json.loads((case / "manifest.json").read_text())
    manifest["format"]["major"] = 9
    (case / "manifest.json").write_text(json.dumps(manifest))
    result = run(*command, case)
    assert result.exit_code == ExitCode.DAMAGED
    assert "9.1" in result.stderr
    assert "1.x" in result.stderr


@pytest.mark.parametrize("command", READERS)
def test_a_cut_manifest_is_damage(case: Path, command: list[str]) -> None:
    data = (case / "manifest.json").read_bytes()
    (case / "manifest.json").write_bytes(data[: len(data) // 2])
    result = run(*command, case)
    assert result.exit_code == ExitCode.DAMAGED
    assert "manifest.json" in result.stderr


def test_a_missing_segment_costs_only_its_own_events(case: Path, tmp_path: Path) -> None:
    shutil.rmtree(case / "segments" / "000000")
    verified = run("verify", case)
    assert verified.exit_code == ExitCode.DAMAGED
    assert "segment 0, events 1-4, epochs 0-1" in verified.stdout
    dumped = run("dump", case)
    assert dumped.exit_code == ExitCode.DAMAGED
    assert [event["event.sequence"] for event in objects(dumped)] == [5, 6, 7, 8]
    assert "events 1-4" in dumped.stderr
    replayed = run("replay", case, "--format", "ndjson")
    assert replayed.exit_code == ExitCode.DAMAGED
    assert "events 1-4" in replayed.stderr
    assert [alert["event_ids"] for alert in objects(replayed)[:-1]] == [[5]]
    assert run("replay", case, "--as-live").exit_code == ExitCode.DAMAGED
    differing = run("diff", case)
    assert differing.exit_code == ExitCode.FINDINGS
    assert "damaged range" in differing.stdout
    mended = run("repair", case, tmp_path / "mended.krec")
    assert mended.exit_code == ExitCode.OK
    assert "events 1-4" in mended.stderr
    assert [e["event.sequence"] for e in objects(run("dump", tmp_path / "mended.krec"))] == [5, 6, 7, 8]


@pytest.mark.slow
def test_a_flipped_byte_names_segment_and_range(case: Path) -> None:
    target = case / "segments" / "000001" / "network.arrow"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    result = run("verify", case)
    assert result.exit_code == ExitCode.DAMAGED
    assert "segment 1" in result.stdout
    assert "network.arrow" in result.stdout
    for command in (["replay"], ["replay", "--prove"], ["diff"]):
        told = run(*command, case)
        assert told.exit_code in (ExitCode.DAMAGED, ExitCode.FINDINGS), told.output
        assert "segment 1, events" in told.output


def test_a_damaged_packed_file_is_refused_and_leaves_nothing(case: Path, tmp_path: Path) -> None:
    packed = tmp_path / "case.krec.tar.zst"
    run("pack", case, packed)
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    for command in (["info"], ["verify"], ["replay"]):
        assert run(*command, packed).exit_code == ExitCode.DAMAGED
    result = run("unpack", packed, tmp_path / "out.krec")
    assert result.exit_code == ExitCode.DAMAGED
    assert packed.name in result.stderr
    assert not (tmp_path / "out.krec").exists()


def test_a_recording_without_rules_asks_for_some(tmp_path: Path) -> None:
    bare = make_recording(tmp_path / "bare.krec", {})
    for command in (["replay"], ["diff"], ["replay", "--prove"], ["replay", "--as-live"]):
        result = run(*command, bare)
        assert result.exit_code == ExitCode.USAGE
        assert "--rules" in result.stderr


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("process where process.name ==", ["bad.toml:9:30", "process where process.name ==\n", "^"]),
        ("process where process.nam == 1", ["bad.toml:9:15", "process.name"]),
        ('process where process.pid == "x"', ["bad.toml:9:", "^"]),
    ],
)
def test_a_wrong_rule_is_shown_with_its_place(case: Path, tmp_path: Path, query: str, words: list[str]) -> None:
    rules = write_rules(tmp_path / "rules", {"bad.toml": rule("bad", query)})
    for command in (["rules", "check", rules], ["replay", case, "--rules", rules], ["diff", case, "--rules", rules]):
        result = run(*command)
        assert result.exit_code == ExitCode.USAGE
        for word in words:
            assert word in result.stderr
    caret = next(i for i, line in enumerate(result.stderr.splitlines()) if line.strip() == "^")
    assert query in result.stderr.splitlines()[caret - 1]


def test_every_wrong_rule_is_named_at_once(tmp_path: Path) -> None:
    rules = write_rules(
        tmp_path / "rules",
        {
            "a.toml": rule("a", "process where"),
            "b.toml": '[rule]\nlanguage = "eql"\n',
            "c.toml": "not toml",
            "d.toml": rule("d", "any where true"),
        },
    )
    result = run("rules", "check", rules, "--format", "ndjson")
    assert result.exit_code == ExitCode.USAGE
    found = objects(result)
    assert [rule["ok"] for rule in found] == [False, False, False, True]
    assert all(rule["error"] for rule in found[:3])


def test_no_rules_at_all_is_usage(case: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("replay", case, "--rules", tmp_path / "empty")
    assert result.exit_code == ExitCode.USAGE
    assert "*.toml" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "case.krec", "--prove", "--workers", "2"],
        ["replay", "case.krec", "--as-live", "--from", "3"],
        ["replay", "case.krec", "--from", "soon"],
        ["replay", "case.krec", "--workers", "0"],
        ["replay", "case.krec", "--mode", "turbo"],
        ["record", "--no-rules", "--only-needed"],
        ["record", "--duration", "soon"],
        ["info", "case.krec", "--format", "xml"],
        ["rules", "check"],
        ["rules"],
    ],
)
def test_requests_that_make_no_sense(case: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(case.parent)
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def unprivileged(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without any capability."""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-m", "kestrel_lab.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environment}
    )


needs_setpriv = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root, and no setpriv to drop capabilities with"
)


@needs_setpriv
def test_recording_without_permission_says_so_and_makes_nothing(tmp_path: Path) -> None:
    result = unprivileged("record", "-o", tmp_path / "x.krec")
    assert result.returncode == ExitCode.NO_PERMISSION
    assert result.stdout == ""
    assert "sudo" in result.stderr
    assert not (tmp_path / "x.krec").exists()


@needs_setpriv
def test_doctor_without_permission_names_the_capabilities() -> None:
    result = unprivileged("doctor", "--format", "ndjson")
    assert result.returncode == ExitCode.FINDINGS
    permission = next(c for c in map(json.loads, result.stdout.splitlines()) if c["name"] == "permission")
    assert "CAP_BPF" in permission["found"]
    assert permission["mend"]


def test_doctor_knows_the_impostor_by_name(tmp_path: Path) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text('"""Body-centred cubic lattices."""\n')
    result = subprocess.run(
        [sys.executable, "-m", "kestrel_lab.cli.main", "doctor", "--format", "ndjson"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == ExitCode.FINDINGS
    bcc = next(c for c in map(json.loads, result.stdout.splitlines()) if c["name"] == "bcc")
    assert not bcc["ok"]
    assert str(tmp_path) in bcc["found"]
    assert bcc["mend"]


def test_doctor_without_bcc_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['bcc'] = None\n")
    result = subprocess.run(
        [sys.executable, "-m", "kestrel_lab.cli.main", "doctor"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == ExitCode.FINDINGS
    assert "python3-bpfcc" in result.stdout
