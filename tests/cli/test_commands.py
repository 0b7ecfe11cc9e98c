"""Each command over a recording with known contents: what it prints, byte by byte where it is a contract."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kestrel_lab.recording import open_recording
from kestrel_lab.schema.errors import ExitCode
from kestrel_lab.schema.schema import BUILTIN
from tests.cli.support import CONNECT, RULES, make_recording, objects, rule, run, write_rules


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("made") / "case.krec")


@pytest.fixture
def case(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recording as `case.krec` in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "case.krec")
    return Path("case.krec")


def test_info_is_exactly_one_object(case: Path) -> None:
    result = run("info", case, "--format", "ndjson")
    pack = open_recording(case).packs[0][0].pack_hash
    assert result.exit_code == 0
    assert result.stdout == (
        '{"recording":"case.krec","complete":true,"end":"sealed","missing":[],"recording_id":"test","format":"1.1",'
        f'"schema":"{BUILTIN.fingerprint}","host":"box","kernel":"6.18.0","boot_id":"000102030405060708090a0b0c0d0e0f",'
        '"first_event":"2023-11-14T22:13:21.001000000Z","last_event":"2023-11-14T22:13:21.008000000Z",'
        '"seconds":0.007,"epochs":4,"segments":2,"events":8,"seen":12,"filtered":1,"lost_ring":3,"received":8,'
        '"written":8,"lost_user":0,"recursion":0,"gaps":{"lost_ring":3},'
        f'"packs":[{{"from_event_id":0,"pack":"{pack}","files":2}}],'
        '"contents":0,"live_alerts":2,"skips":0,"exhausted":0}\n'
    )


def test_info_for_people(case: Path) -> None:
    result = run("info", case)
    assert result.exit_code == 0
    assert "  lost_ring     3\n" in result.stdout
    assert "  complete      yes\n" in result.stdout


def test_verify_names_what_it_checked(case: Path) -> None:
    head = open_recording(case).head
    assert run("verify", case).stdout == f"ok: 2 segments, 4 epochs, 8 events\nhead {head}\n"
    assert run("verify", case, "--format", "ndjson").stdout == (
        '{"recording":"case.krec","ok":true,"complete":true,"end":"sealed",'
        f'"head":"{head}","segments":2,"epochs":4,"events":8,"damage":[],"missing":[]}}\n'
    )


def test_replay_prints_alerts_then_digest_fuel_on_stderr(case: Path) -> None:
    result = run("replay", case)
    digest = objects(run("replay", case, "--format", "ndjson"))[-1]["digest"]
    assert result.exit_code == 0
    assert result.stdout == (
        "time (UTC)    severity  rule                     events  what\n"
        "22:13:21.004  high      Dropped and run          2 4     a.sh\n"
        "22:13:21.005  high      Connection to port 4444  5       a.sh: 127.0.0.1:4444\n"
        f"digest {digest}\n"
    )
    assert "connect-4444" in result.stderr
    assert "2 alerts from 8 events" in result.stderr


def test_replay_as_ndjson_ends_in_a_summary(case: Path) -> None:
    dropped, connected, summary = objects(run("replay", case, "--format", "ndjson"))
    assert dropped["event_ids"] == [2, 4]
    assert dropped["captures"][0] == {"process.name": "sh", "file.path": "/tmp/a\x1b[2J.sh"}
    assert connected["event_ids"] == [5]
    assert list(summary) == [
        "digest", "alerts", "events", "epochs", "skipped", "evaluations", "mode", "end", "fuel", "exhausted",
        "evicted", "open", "damage", "switches", "seconds",
    ]  # fmt: skip
    assert summary["alerts"] == 2
    assert set(summary["fuel"]) == {"connect-4444", "drop-and-run"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [["--mode", "live"], ["--workers", "2"], ["--as-live"], ["--from", "1"], ["--to", "+1s"]]
)
def test_what_must_not_matter_does_not(case: Path, more: list[str]) -> None:
    reference = objects(run("replay", case, "--format", "ndjson"))[-1]["digest"]
    result = run("replay", case, *more, "--format", "ndjson")
    assert result.exit_code == 0, result.output
    assert objects(result)[-1]["digest"] == reference


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--from", "5"], [[5]]),
        (["--to", "4"], [[2, 4]]),
        (["--from", "+4ms"], [[5]]),
        (["--to", "2023-11-14T22:13:21.004"], [[2, 4]]),
        (["--from", "1005000000ns", "--to", "1005000000ns"], [[5]]),
    ],
)
def test_a_range_filters_alerts_never_what_the_rules_see(
    case: Path, arguments: list[str], ids: list[list[int]]
) -> None:
    found = objects(run("replay", case, *arguments, "--format", "ndjson"))[:-1]
    assert [alert["event_ids"] for alert in found] == ids


@pytest.mark.slow
def test_prove_prints_one_digest_for_every_configuration(case: Path) -> None:
    result = run("replay", case, "--prove", "--format", "ndjson")
    *rows, verdict = objects(result)
    assert result.exit_code == 0
    assert verdict == {"equal": True, "difference": "", "damage": []}
    assert len({row["digest"] for row in rows}) == 1
    assert len(rows) >= 7


def test_divergence_is_an_exit_code_of_its_own(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kestrel_lab import session
    from kestrel_lab.session import Proof, ProofRow

    proof = Proof([ProofRow("a", "00", 1, 1, 0.1), ProofRow("b", "11", 1, 1, 0.1)], "`a` and `b` disagree")
    monkeypatch.setattr(session, "prove", lambda source, pack: proof)
    result = run("replay", case, "--prove")
    assert result.exit_code == ExitCode.DIVERGED
    assert "`a` and `b` disagree" in result.stderr


def test_a_live_alert_that_no_replay_gives_is_divergence(case: Path, tmp_path: Path) -> None:
    other = make_recording(tmp_path / "other.krec", {"connect.toml": RULES["connect.toml"]})
    shutil.rmtree(case / "live")
    shutil.copytree(other / "live", case / "live")
    result = run("replay", case, "--as-live")
    assert result.exit_code == ExitCode.DIVERGED
    assert "diff" in result.stderr


def test_diff_of_the_same_is_zero(case: Path) -> None:
    result = run("diff", case)
    assert result.exit_code == ExitCode.OK
    assert result.stdout.startswith("2 same, 0 missing, 0 extra, 0 changed\n")


def test_diff_names_the_cause_of_each_difference(case: Path, tmp_path: Path) -> None:
    tuned = rule("connect-4444", CONNECT + ' and process.name != "a.sh"', "Connection to port 4444")
    added = rule("any-end", 'process where event.action == "end"', "Any end")
    edited = write_rules(tmp_path / "edited", {**RULES, "connect.toml": tuned, "end.toml": added})
    result = run("diff", case, "--rules", edited, "--format", "ndjson")
    assert result.exit_code == ExitCode.FINDINGS
    missing, extra, summary = objects(result)
    assert (missing["difference"], missing["rule_id"], missing["event_ids"]) == ("missing", "connect-4444", [5])
    assert missing["causes"][0]["kind"] == "rule edited"
    assert missing["causes"][0]["proved"] is True
    assert missing["right"] is None
    assert (extra["difference"], extra["rule_id"]) == ("extra", "any-end")
    assert extra["causes"][0]["kind"] == "rule added"
    assert (summary["same"], summary["missing"], summary["extra"], summary["changed"]) == (1, 1, 1, 0)
    text = run("diff", case, "--rules", edited).stdout
    assert "because rule edited: " in text


def test_diff_of_two_recordings(case: Path) -> None:
    shutil.copytree(case, "copy.krec")
    assert run("diff", case, "copy.krec").exit_code == ExitCode.OK
    result = run("diff", case, "copy.krec", "--rules", case)
    assert result.exit_code == ExitCode.USAGE
    assert "not both" in result.stderr


def test_dump_prints_every_event_once(case: Path) -> None:
    found = objects(run("dump", case))
    assert [event["event.sequence"] for event in found] == list(range(1, 9))
    assert found[2]["file.path"] == {"$bytes": "L3Zhci9sb2cv/w=="}
    assert [e["event.sequence"] for e in objects(run("dump", case, "--from", "+2ms", "--to", "5"))] == [3, 4, 5]
    assert run("dump", case, "--from", "99").stdout == ""


def test_dump_for_people_is_safe_on_a_terminal(case: Path) -> None:
    text = run("dump", case, "--format", "table").stdout
    assert "/tmp/a\\x1b[2J.sh" in text
    assert "\x1b" not in text


def test_pack_and_unpack_give_the_same_recording(case: Path) -> None:
    assert run("pack", case).stdout == "case.krec.tar.zst\n"
    assert run("unpack", "case.krec.tar.zst", "back.krec").stdout == "back.krec\n"
    assert run("verify", "back.krec").stdout == run("verify", case).stdout
    for command in (["info"], ["replay"], ["dump"], ["verify"], ["diff"]):
        assert run(*command, "case.krec.tar.zst").exit_code == 0


def test_neither_pack_nor_unpack_overwrites(case: Path) -> None:
    run("pack", case)
    for command in (["pack", case], ["unpack", "case.krec.tar.zst"]):
        result = run(*command)
        assert result.exit_code == ExitCode.USAGE
        assert "exists" in result.stderr


def test_repair_leaves_the_original_alone(case: Path) -> None:
    before = {p: p.read_bytes() for p in case.rglob("*") if p.is_file()}
    assert run("repair", case, "mended.krec").stdout == "mended.krec\n"
    assert run("verify", "mended.krec").exit_code == 0
    assert {p: p.read_bytes() for p in case.rglob("*") if p.is_file()} == before


def test_rules_check_prints_one_object_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rules(Path("r"), RULES | {"odd.toml": rule("odd", 'process where file.path == "x"')})
    result = run("rules", "check", "r", "--format", "ndjson")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == (
        '{"path":"r/connect.toml","rule_id":"connect-4444","name":"Connection to port 4444","language":"eql",'
        '"ok":true,"error":null,"fields":["destination.port","event.action"],"unavailable":[],'
        '"can_fire":true,"reason":null,"warnings":[]}'
    )
    why = "it needs `file.path`, which no event here has"
    odd = objects(result)[2]
    assert (odd["unavailable"], odd["can_fire"], odd["reason"]) == (["file.path"], False, why)
    table = run("rules", "check", "r")
    assert "file.path" in table.stdout
    assert table.stderr == (
        f"r/odd.toml: it cannot fire: {why}\n3 rules: 2 ok, 1 never fires, 0 idle, 0 not run, 0 wrong\n"
    )


def test_broken_rules_are_left_out_only_if_asked(case: Path) -> None:
    write_rules(case.parent / "r", RULES | {"bad.toml": rule("bad", "process where")})
    refused = run("replay", case, "--rules", case.parent / "r")
    assert refused.exit_code == ExitCode.USAGE
    assert "bad.toml:9" in refused.stderr
    found = run("replay", case, "--rules", case.parent / "r", "--skip-broken", "--format", "ndjson")
    assert found.exit_code == ExitCode.OK
    assert found.stderr.startswith("left out: ")
    assert "bad.toml:9" in found.stderr
    assert objects(found)[-1]["digest"] == objects(run("replay", case, "--format", "ndjson"))[-1]["digest"]


def test_every_starter_rule_is_right() -> None:
    from kestrel_lab.schema.resources import resource

    found = objects(run("rules", "check", resource("rules"), "--format", "ndjson"))
    assert found
    assert [rule for rule in found if not rule["ok"] or rule["unavailable"]] == []


def test_doctor_says_what_each_missing_thing_costs() -> None:
    checks = objects(run("doctor", "--format", "ndjson"))
    assert [list(check) for check in checks] == [["name", "ok", "found", "costs", "mend", "needed"]] * len(checks)
    result = run("doctor")
    needed = [check for check in checks if check["needed"] and not check["ok"]]
    assert result.exit_code == (ExitCode.FINDINGS if needed else ExitCode.OK)
    for check in checks:
        assert check["ok"] or (check["costs"] in result.stdout and check["mend"] in result.stdout)
