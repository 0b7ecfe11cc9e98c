"""`rules explain`: how a rule is compiled, and why it fired or did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.schema.errors import ExitCode
from tests.cli.support import CONNECT, make_recording, objects, rule, run


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("explained") / "case.krec")


def test_every_stage_of_the_compiler_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(rule("a", 'network where destination.port == 4444 and not (destination.ip == "::1") == true'))
    shown = run("rules", "explain", path).stdout
    titles = [line[3:].split()[0].rstrip(":") for line in shown.splitlines() if line.startswith("== ")]
    assert titles == ["query", "syntax", "types", "rewrites", "program", "stages", "code"]
    assert "    destination.port:int == 4444 : bool\n" in shown
    assert '  not (destination.ip == "::1") == true\n' not in shown
    assert 'drop true: destination.ip:ip == "::1" == true  =>  destination.ip:ip == "::1"\n' in shown
    assert '  index of network: not destination.ip address ("::1")\n' in shown
    assert "  evaluated: destination.port == 4444\n" in shown
    assert "(module\n" in shown
    assert "fuel an epoch" in shown


def test_parts_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(rule("a", CONNECT))
    shown = run("rules", "explain", path, "--part", "program").stdout
    assert shown.endswith('== program\nevent\n[0] network\n  and\n    event.action equal ("connection_attempted")\n'
                          '    destination.port == 4444\n')  # fmt: skip


def test_it_is_one_object_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(rule("a", CONNECT))
    (found,) = objects(run("rules", "explain", path, "--format", "ndjson"))
    assert found["fields"] == ["destination.port", "event.action"]
    assert found["stages"][0]["events"] == ["network/connection_attempted"]
    assert 0 < found["worst_fuel"] < found["fuel_limit"]
    assert found["stages"][0]["index"] == {"network": None}
    assert found["stages"][0]["evaluated"] == "destination.port == 4444"


def test_what_the_index_decides_costs_no_fuel(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        rule("a", 'process where host.os.type == "linux" and process.name == "sh" and process.args == "-c"')
    )
    shown = run("rules", "explain", path).stdout
    assert "  evaluated: nothing, the index decides\n  fuel: 0 a row, 0 a call\nat most 0 fuel an epoch" in shown


def test_a_rule_in_lua_shows_the_code_that_counts_fuel(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    code = 'category = "process"\nfunction match(event) return event.process.name == "sh" end'
    path.write_text(rule("a", code).replace('language = "eql"\ntype = "eql"', 'language = "lua"'))
    shown = run("rules", "explain", path).stdout
    assert "\n== query\ncategory" in shown
    assert "== syntax" not in shown
    assert "  evaluated: the code of the rule\n" in shown
    assert "K.field" in shown


def test_an_event_is_explained_by_the_pack_that_ran_live(case: Path) -> None:
    shown = run("rules", "explain", "connect-4444", "--recording", case, "--event", "6").stdout
    assert shown == (
        "event 6, network/connection_attempted, and rule connect-4444: Connection to port 4444\n"
        "\n[0] network: fails\n  false  and\n"
        '    true   event.action equal ("connection_attempted")  [event.action = "connection_attempted"]\n'
        "    false  destination.port == 4444  [destination.port = 443]\n"
    )


def test_a_terminal_is_safe_from_what_events_hold(case: Path) -> None:
    result = run("rules", "explain", "drop-and-run", "--recording", case, "--event", "2")
    assert result.exit_code == 0
    assert '[file.path = "/tmp/a\\x1b[2J.sh"]' in result.stdout
    (found,) = objects(run("rules", "explain", "drop-and-run", "--recording", case, "--event", 2, "--format", "ndjson"))
    assert [stage["holds"] for stage in found["stages"]] == [True, False]
    assert found["stages"][0]["condition"]["parts"][1]["values"] == {"file.path": "/tmp/a\x1b[2J.sh"}


def test_a_sequence_tells_what_became_of_its_partial_matches(case: Path) -> None:
    explain = ("rules", "explain", "drop-and-run", "--recording", case, "--event")
    shown = run(*explain, 2).stdout.split("partial matches under the join keys of this event\n")[1]
    assert shown == ("> [2] by 7  begun by event 2\n  [2 4] by 7  event 4 is item 1\n  [2 4] by 7  whole: an alert\n")
    assert run(*explain, 6).stdout.endswith("  none: the event passes no item, so it has no part in any\n")
    (found,) = objects(run(*explain, 4, "--format", "ndjson"))
    assert [(step["kind"], step["event_ids"]) for step in found["steps"]] == [
        ("started", [2]), ("advanced", [2, 4]), ("completed", [2, 4]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "there is no such rule file"),
        (["nothing", "--event", "3"], "go together"),
        (["drop-and-ran", "--recording", "CASE", "--event", "3"], "Did you mean drop-and-run?"),
        (["drop-and-run", "--recording", "CASE", "--event", "300"], "The events end with 8."),
        (["drop-and-run", "--recording", "CASE", "--event", "3", "--part", "code"], "--part is about how"),
    ],
)
def test_what_is_not_there_is_named(case: Path, arguments: list[str], words: str) -> None:
    result = run("rules", "explain", *[case if a == "CASE" else a for a in arguments])
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr
    assert not result.stdout
