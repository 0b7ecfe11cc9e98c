"""`rules test`: exit codes and what is printed; and the starter pack, tested by it."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from kestrel_lab.engine import load_pack
from kestrel_lab.schema.errors import ExitCode
from kestrel_lab.schema.resources import resource
from tests.cli.support import objects, run, write_rules
from tests.session.test_ruletest import EVENT, GOOD, rule_text
from tests.support.budget import at_most

TACTICS = {
    "Initial Access", "Execution", "Persistence", "Privilege Escalation", "Defense Evasion", "Credential Access",
    "Discovery", "Lateral Movement", "Collection", "Command and Control", "Exfiltration", "Impact",
}  # fmt: skip


def test_exit_codes_and_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rules(Path("r"), {"a.toml": rule_text(EVENT), "a.test.toml": GOOD})
    result = run("rules", "test", "r")
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines()[1].split() == ["ok", "r/a.toml", "1", "2", "6", "0"]
    assert result.stderr == "1 rules, 0 failed; 3 cases, 6 mutants, 0 conditions accepted as undistinguished\n"
    Path("r/a.test.toml").unlink()
    result = run("rules", "test", "r/a.toml")
    assert result.exit_code == ExitCode.FINDINGS
    assert "error: r/a.toml: the rule has no tests\nWrite a.test.toml beside it.\n" in result.stderr
    Path("r/b.toml").write_text(rule_text("process where nothing == 1"))
    assert run("rules", "test", "r").exit_code == ExitCode.USAGE


def test_one_object_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loose = GOOD.replace('event.action = "fork"', 'process.name = "sh"')
    write_rules(Path("r"), {"a.toml": rule_text(EVENT), "a.test.toml": loose})
    result = run("rules", "test", "r", "--format", "ndjson")
    assert result.exit_code == ExitCode.FINDINGS
    (found,) = objects(result)
    (finding,) = found.pop("findings")
    assert finding.startswith('r/a.toml:8:15: no test notices if `event.action == "exec"` is always true')
    assert found == {
        "path": "r/a.toml", "rule_id": "r", "language": "eql", "ok": False, "fires": 1, "quiet": 2, "mutants": 6,
        "undistinguished": [{"condition": 'event.action == "exec"', "changes": ["is always true"], "reason": None}],
        "unmatched_items": [],
    }  # fmt: skip


@pytest.mark.slow
def test_the_starter_pack_is_tested_and_every_condition_is_distinguished() -> None:
    with at_most(30):
        result = run("rules", "test", resource("rules"), "--format", "ndjson")
    assert [found["findings"] for found in objects(result) if not found["ok"]] == []
    assert result.exit_code == ExitCode.OK
    accepted = [u for found in objects(result) for u in found["undistinguished"]]
    assert all(len(u["reason"]) > 30 for u in accepted)
    assert len(accepted) <= 6


def test_the_starter_pack_says_what_an_analyst_needs() -> None:
    files = [path for path in sorted(resource("rules").rglob("*.toml")) if not path.name.endswith(".test.toml")]
    assert len(files) >= 32
    tactics: set[str] = set()
    languages: Counter[str] = Counter()
    for path in files:
        rule = tomllib.loads(path.read_text())["rule"]
        assert rule["rule_id"] == path.stem.replace("_", "-")
        assert rule["references"], path
        assert all(url.startswith("https://") for url in rule["references"])
        assert rule["false_positives"], path
        assert rule["captures"], path
        assert len(rule["description"]) > 80, path
        assert rule["risk_score"] == {"low": 21, "medium": 47, "high": 73, "critical": 99}[rule["severity"]]
        languages[rule["language"]] += 1
        tactics |= {threat["tactic"]["name"] for threat in rule["threat"]}
        assert all(threat["technique"] for threat in rule["threat"])
    assert tactics == TACTICS
    assert languages["eql"] >= 30
    assert languages["lua"] >= 3
    assert languages["wasm"] >= 1


def test_the_starter_pack_has_every_shape_of_sequence() -> None:
    programs = [rule.program for rule in load_pack([resource("rules")]).rules if rule.program.kind == "sequence"]
    assert len(programs) >= 8
    assert any(program.until for program in programs)
    assert any(stage.missing for program in programs for stage in program.stages)
    assert any(len(program.distinct_stages) < len(program.all_stages) for program in programs)
    assert any("file.path" in stage.by for program in programs for stage in program.stages)
