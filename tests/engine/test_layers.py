"""Packs of several paths: who wins, what `pack.toml` may say, and that the hash is of what runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.engine import check_pack, load_pack, pack_from_files
from kestrel_lab.schema.errors import RuleError, UsageError
from kestrel_lab.schema.severity import Severity
from tests.engine.support import toml


def folder(path: Path, settings: str = "", **rules: str) -> Path:
    """Write a pack: queries by rule id."""
    path.mkdir()
    for rule_id, query in rules.items():
        (path / f"{rule_id}.toml").write_bytes(toml(rule_id, query))
    if settings:
        (path / "pack.toml").write_text(settings)
    return path


def queries(pack: Any) -> dict[str, str]:
    return {rule.id: rule.query.strip() for rule in pack.rules}


def test_a_later_path_overrides_an_earlier_ones_rule(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", a="any where true", b="file where true")
    two = folder(tmp_path / "two", b="process where true", c="any where false")
    assert queries(load_pack([one, two])) == {
        "a": "any where true",
        "b": "process where true",
        "c": "any where false",
    }
    assert queries(load_pack([two, one]))["b"] == "file where true"
    checks = {(Path(c.path).parent.name, c.rule_id): c.inactive for c in check_pack([one, two])}
    assert checks[("one", "b")] == f"overridden by {two / 'b.toml'}"
    assert not checks[("two", "b")]


def test_the_higher_priority_wins_wherever_it_stands(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", '[pack]\nname = "house"\npriority = 1\n', b="file where true")
    two = folder(tmp_path / "two", b="process where true")
    assert queries(load_pack([one, two])) == queries(load_pack([two, one])) == {"b": "file where true"}


def test_a_wrong_rule_that_is_overridden_is_no_error(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", a="process where")
    two = folder(tmp_path / "two", a="process where true")
    assert queries(load_pack([one, two])) == {"a": "process where true"}


def test_rules_are_disabled_and_their_severity_changed(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", a="any where true", b="file where true", c="network where true")
    settings = '[overrides.a]\nenabled = false\n[overrides."b"]\nseverity = "critical"\n'
    mine = folder(tmp_path / "mine", settings, d="process where true")
    pack = load_pack([base, mine])
    assert {r.id: r.severity for r in pack.rules} == {
        "b": Severity.CRITICAL, "c": Severity.LOW, "d": Severity.LOW
    }  # fmt: skip
    again = pack_from_files(pack.files)
    assert (again.hash, [r.hash for r in again.rules]) == (pack.hash, [r.hash for r in pack.rules])
    assert pack.hash != load_pack([base, folder(tmp_path / "plain", d="process where true")]).hash
    (said,) = [c.inactive for c in check_pack([base, mine]) if c.rule_id == "a"]
    assert said == f"disabled by {mine / 'pack.toml'}"


def test_a_weaker_pack_does_not_override_a_stronger_ones_rule(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", "[overrides.a]\nenabled = false\n", a="any where true")
    two = folder(tmp_path / "two", a="file where true")
    assert queries(load_pack([one, two])) == {"a": "file where true"}
    assert queries(load_pack([two, one])) == {}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("[overrides.b]\nenabled = false\n", "there is no rule 'b' to override"),
        ("[overrides.a]\nenable = false\n", "has no enable"),
        ("[overrides.a]\nenabled = 0\n", "must be true or false"),
        ('[overrides.a]\nseverity = "dire"\n', "'dire' is none of"),
        ("[pack]\npriority = true\n", "must be a whole number"),
        ("[rules]\n", "a pack has no [rules]"),
        ("overrides = 3\n", "must be tables"),
        ("[pack", "broken TOML"),
    ],
)
def test_settings_that_mean_nothing_are_errors(tmp_path: Path, settings: str, what: str) -> None:
    with pytest.raises(RuleError) as caught:
        load_pack([folder(tmp_path / "p", settings, a="any where true")])
    assert what in str(caught.value)
    assert "pack.toml" in caught.value.where


def test_a_pack_inside_a_pack_is_an_error(tmp_path: Path) -> None:
    folder(folder(tmp_path / "p", a="any where true") / "q", "[pack]\n", b="any where true")
    with pytest.raises(UsageError, match="inside another pack"):
        load_pack([tmp_path / "p"])


def test_files_of_two_paths_do_not_mix(tmp_path: Path) -> None:
    """Names may be the same, and the recording can hold all of them."""
    paths = [folder(tmp_path / "one", a="any where true"), folder(tmp_path / "two", b="file where true")]
    for path in paths:
        (path / f"{'ab'[paths.index(path)]}.toml").rename(path / "rule.toml")
    pack = load_pack(paths)
    assert set(pack.files) == {"rule.toml", "2/rule.toml"}
    assert pack_from_files(pack.files).hash == pack.hash


def test_broken_rules_are_left_out_if_asked(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a="any where true", b="process where", c="process where no.such == 1")
    pack = load_pack([path], skip_broken=True)
    assert queries(pack) == {"a": "any where true"}
    assert [e.where.rpartition("/")[2].split(":")[0] for e in pack.broken] == ["b.toml", "c.toml"]
    assert pack_from_files(pack.files).hash == pack.hash


RULE = {"rule_id": "r1", "name": "R", "severity": "high", "language": "eql", "type": "eql", "query": "any where true"}


@pytest.mark.parametrize("suffix", [".json", ".ndjson"])
def test_lists_of_rules(tmp_path: Path, suffix: str) -> None:
    items: list[Any] = [
        RULE | {"threat": [{"technique": [{"id": "T1059", "subtechnique": [{"id": "T1059.004"}]}]}]},
        {"id": "s1", "name": "S", "severity": "low", "type": "sequence", "risk_score": 3,
         "query": "sequence [file where true] [file where true]"},
        {"id": "saved", "type": "security-rule", "attributes": RULE | {"rule_id": "r2"}},
        RULE | {"rule_id": "k", "language": "kuery", "type": "query"},
        RULE | {"rule_id": "m", "language": None, "type": "machine_learning"},
        {"exported_count": 4, "exported_rules_count": 4},
    ]  # fmt: skip
    path = tmp_path / f"list{suffix}"
    path.write_text(json.dumps(items) if suffix == ".json" else "".join(json.dumps(i) + "\n" for i in items))
    pack = load_pack([path])
    assert [r.id for r in pack.rules] == ["r1", "r2", "s1"]
    assert pack.rules[0].threat == ("T1059", "T1059.004")
    assert [(u.rule_id, u.language) for u in pack.unsupported] == [("k", "kuery"), ("m", "machine_learning")]
    assert pack_from_files(pack.files).hash == pack.hash
    assert len(pack.files) == 3


def test_an_error_in_a_list_names_the_rule_and_the_line_of_its_query(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([RULE | {"query": "process where\n  no.such == 1"}]))
    (check,) = check_pack([path])
    assert check.error is not None
    assert check.error.where == f"{path}#r1:2:3"


@pytest.mark.parametrize(
    "text",
    ["[", "[" * 100_000, "{}", '{"query": "any where true"}', '[{"language": "eql", "rule_id": "\\ud800"}]', "[3]"],
)
def test_lists_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises((RuleError, UsageError)):
        load_pack([tmp_path / "list.json"])


def test_tests_beside_rules_are_no_rules(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a="any where true")
    (path / "a.test.toml").write_text("[[fires]]\n")
    assert [r.id for r in load_pack([path]).rules] == ["a"]


def test_filters_that_are_not_applied_are_pointed_out(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a="any where true")
    (path / "a.toml").write_bytes(toml("a", "any where true") + b"[[rule.filters]]\n[rule.filters.query]\nx = 1\n")
    (check,) = check_pack([path])
    assert check.warnings == ("`filters` is not applied",)


def test_a_clone_of_public_rules_is_a_pack(tmp_path: Path) -> None:
    """Deprecated rules, building blocks, [metadata], [transform], rules of other platforms and in other languages."""
    root = tmp_path / "rules"
    for name in ("linux", "_deprecated", "windows", "cross-platform"):
        (root / name).mkdir(parents=True)
    extra = (
        b'[metadata]\nmaturity = "deprecated"\n[[transform.osquery]]\nlabel = "x"\nquery = "SELECT 1"\n'
        b'[transform.investigate]\nlabel = "y"\n'
    )
    block = 'building_block_type = "default"\nalert_suppression = { group_by = ["host.id"] }'
    (root / "linux" / "a.toml").write_bytes(toml("a", "process where user.name == null", extra=block) + extra)
    (root / "_deprecated" / "b.toml").write_bytes(toml("b", "any where true") + extra)
    (root / "windows" / "c.toml").write_bytes(toml("c", 'iam where winlog.event_data.TargetSid : "S-1-*"'))
    other = {"k": ("kuery", "query"), "e": ("esql", "esql"), "l": ("lucene", "query"), "n": ("kuery", "new_terms"),
             "t": ("kuery", "threshold")}  # fmt: skip
    for name, (language, kind) in other.items():
        text = toml(name, "x").replace(b'language = "eql"\ntype = "eql"',
                                       f'language = "{language}"\ntype = "{kind}"'.encode())  # fmt: skip
        (root / "cross-platform" / f"{name}.toml").write_bytes(text)
    ml = b'[rule]\nrule_id = "m"\nname = "M"\nseverity = "low"\ntype = "machine_learning"\nanomaly_threshold = 50\n'
    (root / "cross-platform" / "m.toml").write_bytes(ml)
    pack = load_pack([root])
    assert [r.id for r in pack.rules] == ["a", "b", "c"]
    assert {u.rule_id: u.language for u in pack.unsupported} == {
        "k": "kuery", "e": "esql", "l": "lucene", "n": "kuery", "t": "kuery", "m": "machine_learning"
    }  # fmt: skip
