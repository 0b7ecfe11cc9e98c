"""`search`: what each kind of query prints, its limits and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kestrel_lab.schema.errors import ExitCode
from kestrel_lab.schema.flat import source_of
from kestrel_lab.session import search
from tests.cli.support import make_recording, objects, run
from tests.support.epochs import source

EXECS = 'process where event.action == "exec"'
PAIR = 'sequence by process.pid [file where event.action == "creation"] [process where event.action == "exec"]'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("search") / "case.krec", {})


def test_an_event_query_prints_events_as_dump_does(case: Path) -> None:
    found = run("search", case, EXECS, "--format", "ndjson")
    assert found.exit_code == ExitCode.OK
    dumped = [line for line in run("dump", case).stdout.splitlines() if json.loads(line)["event.action"] == "exec"]
    assert found.stdout.splitlines() == dumped
    assert found.stderr == "2 found\n"
    table = run("search", case, EXECS).stdout
    assert table == "".join(run("dump", case, "--from", i, "--to", i, "--format", "table").stdout for i in "14")


def test_a_sequence_prints_its_events_together(case: Path) -> None:
    result = run("search", case, PAIR, "--format", "ndjson")
    (found,) = objects(result)
    assert list(found) == ["event_ids", "join_keys", "events"]
    assert found["event_ids"] == [2, 4]
    assert found["join_keys"] == [7]
    assert [event["event.sequence"] for event in found["events"]] == [2, 4]
    head, first, second, last = run("search", case, PAIR).stdout.splitlines()
    assert (head, last) == ("by 7", "")
    assert "creation" in first
    assert "exec" in second


def test_a_sequence_waits_for_ever() -> None:
    stamps = ("1970-01-02", "2017-08-30")
    events = source_of([{"@timestamp": stamp, "event.category": "process"} for stamp in stamps])
    found = search(events, "sequence [process where true] [process where true]")
    assert [alert.event_ids for alert in found.results] == [(1, 2)]


def test_a_missing_event_is_a_dash_or_null(case: Path) -> None:
    query = """sequence by process.pid with maxspan=1h
      [process where event.action == "exec"]
      ![file where event.action == "rename"]
      [process where event.action == "end"]"""
    (found,) = objects(run("search", case, query, "--format", "ndjson"))
    assert found["event_ids"] == [4, None, 7]
    assert [event and event["event.sequence"] for event in found["events"]] == [4, None, 7]
    assert run("search", case, query).stdout.splitlines()[2].strip() == "-"


def test_pipes_and_samples(case: Path) -> None:
    for pipe, ids in (("tail 2", [7, 8]), ("head 2", [1, 2])):
        result = run("search", case, f"any where true | {pipe}", "--format", "ndjson")
        assert [event["event.sequence"] for event in objects(result)] == ids
    sample = "sample by process.pid [file where true] [network where true]"
    (found,) = objects(run("search", case, sample, "--format", "ndjson"))
    assert [event["event.category"] for event in found["events"]] == [["file"], ["network"]]


def test_nothing_found_is_no_error(case: Path) -> None:
    result = run("search", case, 'process where process.name == "absent"')
    assert (result.exit_code, result.stdout, result.stderr) == (ExitCode.OK, "", "0 found\n")


def test_the_first_results_only(case: Path) -> None:
    assert len(run("search", case, "any where true", "--limit", "3", "--format", "ndjson").stdout.splitlines()) == 3
    assert [e["event.sequence"] for e in objects(run("search", case, EXECS, "--limit", "1", "--format", "ndjson"))] == [
        1
    ]


def test_a_range_chooses_by_the_last_event(case: Path) -> None:
    ids = [
        e["event.sequence"]
        for e in objects(run("search", case, EXECS, "--from", "2", "--to", "8", "--format", "ndjson"))
    ]
    assert ids == [4]
    assert objects(run("search", case, PAIR, "--from", "3", "--format", "ndjson"))[0]["event_ids"] == [2, 4]
    assert run("search", case, PAIR, "--to", "3").stdout == ""


def test_a_wrong_query_is_shown_with_a_caret(case: Path) -> None:
    result = run("search", case, 'process where proces.name == "x"')
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr.startswith("error: <query>:1:15: unknown field `proces.name`\n    process where proces.name")
    assert "              ^" in result.stderr


def test_a_damaged_recording_is_searched_past_the_damage(tmp_path: Path) -> None:
    path = make_recording(tmp_path / "case.krec", {})
    files = sorted(path.rglob("*.arrow"))
    victim = next(file for file in files if file.name.startswith("process"))
    victim.write_bytes(victim.read_bytes()[:-40])
    result = run("search", path, "any where true", "--format", "ndjson")
    assert result.exit_code == ExitCode.DAMAGED
    assert "damaged: " in result.stderr
    assert 0 < len(result.stdout.splitlines()) < 8


def test_terminal_escapes_do_not_reach_the_terminal(case: Path) -> None:
    assert "\x1b" not in run("search", case, "file where true").stdout


def test_both_modes_find_the_same() -> None:
    events = [{"table": "process", "action": "exec", "pid": n, "name": "sh"} for n in range(1, 40)]
    made = source(events, epoch_rows=7)
    query = "sequence by process.name [process where process.pid < 20] [process where process.pid > 10]"
    found = [search(made, query, mode=mode) for mode in ("live", "deterministic")]
    assert found[0].results == found[1].results
    assert len(found[0].results) == 10
    assert len(search(made, "process where true", limit=5).results) == 5
    assert not search(made, "process where true").many
