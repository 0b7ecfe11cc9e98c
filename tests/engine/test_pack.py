"""Packs: the layout of rule files, what is wrong with them and where, hashes, captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.engine import Limits, check_pack, engine_build, load_pack, pack_from_files
from kestrel_lab.schema.errors import RuleError, UsageError
from kestrel_lab.schema.resources import resource
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.severity import Severity
from tests.engine.support import pack_of, run, toml
from tests.support.epochs import source

PUBLIC = b'''[metadata]
creation_date = "2024/01/01"
integration = ["endpoint"]
maturity = "production"

[rule]
author = ["Someone"]
description = """
What it finds.
"""
from = "now-9m"
index = ["logs-endpoint.events.process*"]
language = "eql"
license = "None"
name = "A public rule"
note = """## Triage
Look.
"""
references = ["https://example.org"]
risk_score = 47
rule_id = "6a8ab9cc-4023-4d17-b5df-1a3e16882ce7"
severity = "medium"
tags = ["Domain: Endpoint"]
timestamp_override = "event.ingested"
type = "eql"
query = \'\'\'
process where host.os.type == "linux" and event.type == "start" and
  process.name == "bash"
\'\'\'

[[rule.threat]]
framework = "MITRE ATT&CK"

[[rule.threat.technique]]
id = "T1059"
name = "Command and Scripting Interpreter"

[[rule.threat.technique.subtechnique]]
id = "T1059.004"
name = "Unix Shell"

[rule.threat.tactic]
id = "TA0002"

[[rule.threat]]
framework = "MITRE ATT&CK"

[rule.threat.tactic]
id = "TA0003"
'''


def error_of(data: bytes, limits: Limits | None = None) -> RuleError:
    with pytest.raises(RuleError) as caught:
        pack_from_files({"x.toml": data}, limits)
    return caught.value


def test_a_public_rule_loads_unchanged() -> None:
    (rule,) = pack_from_files({"linux/x.toml": PUBLIC}).rules
    assert (rule.id, rule.name) == ("6a8ab9cc-4023-4d17-b5df-1a3e16882ce7", "A public rule")
    assert (rule.severity, rule.threat) == (Severity.MEDIUM, ("T1059", "T1059.004"))
    assert rule.path == "linux/x.toml"
    assert rule.description.strip() == "What it finds."


def test_folders_and_files_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.toml").write_bytes(toml("b", "any where true"))
    (tmp_path / "a.toml").write_bytes(toml("a", "file where true"))
    (tmp_path / "readme.md").write_text("no rule")
    pack = load_pack([tmp_path])
    assert [r.id for r in pack.rules] == ["a", "b"]
    assert list(pack.files) == ["a.toml", "deep/er/b.toml"]
    assert load_pack([tmp_path / "deep", tmp_path / "a.toml"]).hash == pack.hash
    assert pack_from_files(pack.files).hash == pack.hash
    of_files = {action.code for action in BUILTIN.actions if "file" in action.event_categories}
    assert pack_of({"f": "file where true"}).actions() == of_files >= {10, 11, 12, 13}


def test_files_of_one_name_in_two_folders_are_both_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rule.toml").write_bytes(toml(name, "any where true"))
    pack = load_pack([tmp_path / "a", tmp_path / "b"])
    assert [r.id for r in pack.rules] == ["a", "b"]
    assert pack_from_files(pack.files).hash == pack.hash


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rule file"):
        load_pack([tmp_path])
    with pytest.raises(UsageError, match="no such rule file"):
        load_pack([tmp_path / "absent"])


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b'[rule]\nname = "a\n', "x.toml:2:", "broken TOML"),
        (b"[rule]\nname = '\xff'\n", "x.toml:2", "not UTF-8"),
        (b"[metadata]\n", "x.toml:1", "no [rule] table"),
        (b"[rule]\n", "x.toml:1", "no language"),
        (toml("a", "any where true").replace(b'name = "Rule a"\n', b""), "x.toml:1", "has no name"),
        (toml("a", "any where true").replace(b'"Rule a"', b"7"), "x.toml:3", "name must be a text"),
        (toml("", "any where true"), "x.toml:2", "rule_id must be a text"),
        (toml("a", "any where true", severity="dire"), "x.toml:4", "'dire' is none of"),
        (toml("a", "any where true", extra='captures = ["process.nam"]'), "x.toml:7", "'process.nam'"),
        (toml("a", "any where true", extra='captures = "process.name"'), "x.toml:7", "list of field names"),
        (toml("a", "process where\n  process.nam == 1"), "x.toml:10:3", "process.nam"),
        (b"x" * (1 << 20) + b"x", "x.toml", "larger than"),
    ],
)
def test_an_error_says_what_and_where(data: bytes, where: str, what: str) -> None:
    error = error_of(data)
    assert error.where.startswith(where)
    assert what in str(error)


def test_a_query_on_one_line_is_placed_on_it() -> None:
    data = toml("a", "").replace(b"query = '''\n\n'''", b"query = '''process where process.nam == 1'''")
    assert error_of(data).where.startswith("x.toml:8:")


def test_near_names_are_offered() -> None:
    assert "process.name?" in str(error_of(toml("a", "any where true", extra='captures = ["process.nam"]')))


def test_all_errors_are_said_at_once() -> None:
    files = {"a.toml": toml("a", "process where"), "b.toml": b"[", "c.toml": toml("c", "any where true")}
    with pytest.raises(RuleError, match="2 rules are wrong") as caught:
        pack_from_files(files)
    assert "a.toml:9" in str(caught.value)
    assert "b.toml:1" in str(caught.value)


def test_an_id_is_taken_once() -> None:
    files = {"a.toml": toml("same", "any where true"), "b.toml": toml("same", "file where true")}
    with pytest.raises(RuleError, match="taken") as caught:
        pack_from_files(files)
    assert (caught.value.where, "a.toml:2" in str(caught.value)) == ("b.toml:2", True)


def test_rules_in_other_languages_are_listed() -> None:
    files = {
        "a.toml": toml("a", "any where true"),
        "k.toml": toml("k", "x : y").replace(b'"eql"', b'"kuery"'),
        "m.toml": b'[rule]\nrule_id = "m"\nname = "Learned"\ntype = "machine_learning"\n',
        "t.toml": toml("t", "FROM x").replace(b'language = "eql"\ntype = "eql"', b'language = "esql"\ntype = "esql"'),
    }
    pack = pack_from_files(files)
    assert [r.id for r in pack.rules] == ["a"]
    assert [(u.rule_id, u.language) for u in pack.unsupported] == [
        ("k", "kuery"), ("m", "machine_learning"), ("t", "esql"),
    ]  # fmt: skip
    assert set(pack.files) == {"a.toml"}


def test_a_rule_that_could_cost_too_much_is_refused() -> None:
    many = " or ".join(f"process.pid == {n}" for n in range(100))
    error = error_of(toml("a", f"process where {many}"), Limits(fuel=10_000_000))
    assert error.where == "x.toml:8"
    assert "10000000 is the limit" in str(error)


def test_the_hash_follows_what_can_change_answers() -> None:
    base = toml("a", "any where true")
    hashes = {
        pack_from_files({name: data}).hash
        for name, data in [
            ("x.toml", base),
            ("y.toml", base + b'\n[metadata]\nmaturity = "production"\n'),
            ("x.toml", base.replace(b"[rule]", b'[rule]\nnote = "n"\nrisk_score = 3')),
        ]
    }
    assert len(hashes) == 1
    for data in [
        toml("b", "any where true"),
        toml("a", "any where  true"),
        toml("a", "any where true", severity="high"),
        base.replace(b"Rule a", b"Rule A"),
        toml("a", "any where true", extra='captures = ["process.pid"]'),
        base + b'[[rule.threat]]\n[[rule.threat.technique]]\nid = "T1"\n',
    ]:
        hashes.add(pack_from_files({"x.toml": data}).hash)
    assert len(hashes) == 7


def test_check_tells_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(toml("a", 'process where file.path == "/x" and process.pid == 1'))
    (tmp_path / "b.toml").write_bytes(toml("b", "process where"))
    first, second = check_pack([tmp_path])
    assert (first.rule_id, first.ok, first.reach.unavailable) == ("a", True, ("file.path",))
    assert set(first.fields) == {"file.path", "process.pid"}
    assert (second.rule_id, second.ok, second.error is not None) == ("b", False, True)
    assert second.path == str(tmp_path / "b.toml")


def test_captures_are_those_the_rule_names() -> None:
    pack = pack_from_files(
        {"x.toml": toml("a", "file where true", extra='captures = ["file.path", "process.pid", "source.ip"]')}
    )
    (alert,) = run(pack, source([{"table": "file", "action": "open", "pid": 7, "file.path": b"/\xff"}]))
    assert alert.captures == ({"file.path": b"/\xff", "process.pid": 7},)


def test_the_starter_pack_loads_and_explains_itself() -> None:
    checks = check_pack([resource("rules")])
    assert len(checks) >= 12
    assert all(c.ok and not c.reach.unavailable for c in checks)
    programs = [c.rule.program for c in checks if c.rule]
    assert sum(p.kind == "sequence" for p in programs) >= 3
    assert any(p.until for p in programs)
    assert all(c.rule.threat and len(c.rule.description) > 80 for c in checks if c.rule)


def test_the_build_is_a_hash() -> None:
    assert len(bytes.fromhex(engine_build())) == 32
