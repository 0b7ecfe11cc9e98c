"""`import` from the command line: a path on stdout, words on stderr, and a recording that the other commands take."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from kestrel_lab.cli.main import main

LINES = "".join(
    json.dumps({"ts": 1_700_000_000 + n, "kind": ["proc", "net"][n % 2], "who": {"name": "ab"[n % 2]}, "n": n}) + "\n"
    for n in range(4)
)
OPTIONS = ("--category", "kind", "--timestamp", "ts", "--timestamp-unit", "s", "--id", "n")
RULE = """
[rule]
rule_id = "pair"
name = "A pair"
severity = "low"
language = "eql"
query = 'sequence [proc where who.name == "a"] [net where n > 0]'
"""


def run(*args: str, given: str = "") -> Result:
    return CliRunner().invoke(main, args, input=given)


def test_an_import_is_a_recording(tmp_path: Path) -> None:
    out, rules = str(tmp_path / "a.krec"), tmp_path / "r.toml"
    rules.write_text(RULE)
    made = run("import", "-", "-o", out, *OPTIONS, given=LINES)
    assert (made.exit_code, made.stdout) == (0, out + "\n")
    assert "4 events" in made.stderr
    assert run("verify", out).exit_code == 0
    about = json.loads(run("info", out, "--format", "ndjson").stdout)
    assert (about["events"], about["imported"]["lines"]) == (4, 4)
    dumped = [json.loads(line) for line in run("dump", out).stdout.splitlines()]
    assert [(e["n"], e["kestrel.source_id"], e["who.name"]) for e in dumped] == [
        (0, 0, "a"), (1, 1, "b"), (2, 2, "a"), (3, 3, "b"),
    ]  # fmt: skip
    assert dumped[0]["@timestamp"] == "2023-11-14T22:13:20.000000000Z"
    assert run("dump", out, "--format", "table").stdout.count("\n") == 4
    found = [
        json.loads(line)
        for line in run("search", out, "proc where n > 0", "--format", "ndjson").stdout.split("\n")[:-1]
    ]
    assert [e["n"] for e in found] == [2]
    replayed = run("replay", out, "--rules", str(rules), "--format", "ndjson")
    assert replayed.exit_code == 0
    alerts = [a for a in map(json.loads, replayed.stdout.splitlines()) if "rule_id" in a]
    assert [a["event_ids"] for a in alerts] == [[1, 2], [3, 4]]
    assert [a["source_ids"] for a in alerts] == [[0, 1], [2, 3]]


def test_a_dump_can_be_imported_again(tmp_path: Path) -> None:
    one, two = str(tmp_path / "a.krec"), str(tmp_path / "b.krec")
    assert run("import", "-", "-o", one, *OPTIONS, given=LINES).exit_code == 0
    assert run("import", "-", "-o", two, "--category", "kind", given=run("dump", one).stdout).exit_code == 0
    again = [json.loads(line) for line in run("dump", two).stdout.splitlines()]
    assert again == [json.loads(line) for line in run("dump", one).stdout.splitlines()]


def test_rejects_are_told_and_bounded(tmp_path: Path) -> None:
    out = str(tmp_path / "a.krec")
    made = run("import", "-", "-o", out, *OPTIONS, "--format", "ndjson", given=LINES + "{\n" * 30)
    assert made.exit_code == 0
    told = json.loads(made.stdout)
    assert (told["events"], told["rejected"], told["rejects"]) == (4, 30, out + ".rejects.ndjson")
    assert told["fields"]["who.name"] == "string"
    lines = made.stderr.splitlines()
    assert lines[0] == "line 5: left out: broken JSON: it ends too early"
    assert "and 20 more" in lines
    assert len(lines) == 12
    assert len(Path(told["rejects"]).read_text().splitlines()) == 30


def test_what_is_no_import(tmp_path: Path) -> None:
    out = str(tmp_path / "a.krec")
    array = run("import", "-", "-o", out, given='[\n{"a": 1}\n]\n')
    assert array.exit_code == 3
    assert "jq -c '.[]'" in array.stderr
    timeless = run("import", "-", "-o", out, given='{"a": 1}\n')
    assert timeless.exit_code == 3
    assert "--no-timestamp" in timeless.stderr
    assert run("import", "-", "-o", out, "--no-timestamp", given='{"a": 1}\n').exit_code == 0
    assert run("import", "-", "-o", out, "--no-timestamp", given='{"a": 1}\n').exit_code == 2
    assert run("import", "-").exit_code == 2
