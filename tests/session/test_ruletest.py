"""Tests beside rules: what passes, what fails, and which conditions are named because no test notices them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.schema.errors import RuleError
from kestrel_lab.session.ruletest import RuleTest, test_rules
from tests.engine.support import MODES

run_tests = test_rules

EVENT = 'process where event.action == "exec" and process.name == "nc"'
GOOD = """
[events.nc]
event.action = "exec"
process.executable = "/usr/bin/nc"

[[fires]]
title = "it runs"
events = [{ use = "nc" }]

[[quiet]]
title = "it forks"
events = [{ use = "nc", event.action = "fork" }]

[[quiet]]
title = "another runs"
events = [{ use = "nc", process.executable = "/usr/bin/cat" }]
"""


def rule_text(query: str, language: str = "eql") -> str:
    return (
        f'[rule]\nrule_id = "r"\nname = "R"\nseverity = "low"\ntype = "{language}"\nlanguage = "{language}"\n'
        f"query = '''\n{query}\n'''\n"
    )


def outcome(folder: Path, query: str, tests: str | None, language: str = "eql") -> RuleTest:
    (folder / "r.toml").write_text(rule_text(query, language))
    if tests is not None:
        (folder / "r.test.toml").write_text(tests)
    (found,) = run_tests([folder])
    return found


def messages(found: RuleTest) -> list[str]:
    return [error.what for error in found.findings]


def test_a_tested_rule_is_fine(tmp_path: Path) -> None:
    found = outcome(tmp_path, EVENT, GOOD)
    assert found.ok
    assert (found.fires, found.quiet, found.mutants) == (1, 2, 6)


def test_an_untested_rule_fails(tmp_path: Path) -> None:
    assert messages(outcome(tmp_path, EVENT, None)) == ["the rule has no tests"]


@pytest.mark.parametrize(("kind", "other"), [("fires", "quiet"), ("quiet", "fires")])
def test_both_kinds_of_case_are_needed(tmp_path: Path, kind: str, other: str) -> None:
    action = "exec" if kind == "fires" else "fork"
    case = f'[[{kind}]]\ntitle = "t"\nevents = [{{ event.action = "{action}", process.name = "nc" }}]\n'
    assert messages(outcome(tmp_path, EVENT, case)) == [f"the tests have no [[{other}]] case"]


def test_a_case_that_fails_says_what_was_raised_in_each_mode(tmp_path: Path) -> None:
    found = outcome(tmp_path, EVENT, GOOD.replace('"fork"', '"exec"'))
    said = "quiet 'it forks': raised [1], not nothing"
    assert messages(found) == [f"{said} (live)", f"{said} (deterministic)"]
    assert found.findings[0].where == f"{tmp_path}/r.test.toml:10"
    assert found.mutants is None


def test_the_alerts_must_name_the_events(tmp_path: Path) -> None:
    case = GOOD + '[[fires]]\ntitle = "two"\nevents = [{ use = "nc" }, { use = "nc", at = "1s" }]\n'
    assert messages(outcome(tmp_path, EVENT, case))[0] == "fires 'two': raised [1] and [2], not [1, 2] (live)"
    assert outcome(tmp_path, EVENT, case + "alerts = [[2], [1]]\n").ok


def test_a_condition_that_no_test_notices_is_named_with_its_place(tmp_path: Path) -> None:
    found = outcome(tmp_path, EVENT, GOOD.replace('event.action = "fork"', 'process.name = "sh"'))
    (left,) = found.undistinguished
    assert (left.condition, left.changes) == ('event.action == "exec"', ("is always true",))
    assert left.error.render() == (
        f'{tmp_path}/r.toml:8:15: no test notices if `event.action == "exec"` is always true\n'
        '    process where event.action == "exec" and process.name == "nc"\n                  ^'
    )
    assert not found.ok


def test_an_accepted_condition_needs_a_reason_and_must_not_be_stale(tmp_path: Path) -> None:
    loose = GOOD.replace('event.action = "fork"', 'process.name = "sh"')
    excuse = "\n[[undistinguished]]\ncondition = 'event.action == \"exec\"'\n"
    reason = 'reason = "Only exec is recorded there."\n'
    assert outcome(tmp_path, EVENT, loose + excuse + reason).ok
    assert messages(outcome(tmp_path, EVENT, loose + excuse)) == ["reason must be a text that is not empty"]
    (stale,) = messages(outcome(tmp_path, EVENT, GOOD + excuse + reason))
    assert stale == 'the tests distinguish `event.action == "exec"`, or the rule has no such condition'


SEQUENCE = """sequence by process.entity_id with maxspan=10s
  [process where event.action == "exec"] with runs=2
  [network where true]
until [process where event.action == "end"]"""
STEPS = """
[events.run]
event.action = "exec"
process.entity_id = "a"

[events.connect]
event.action = "connection_attempted"
process.entity_id = "a"

[[fires]]
title = "twice, then a connection"
events = [{ use = "run" }, { use = "run" }, { use = "connect" }]

[[quiet]]
title = "something else in its place"
events = [{ use = "run" }, { use = "run", event.action = "fork" }, { use = "connect" }]
"""


def test_every_part_of_a_sequence_must_be_tested(tmp_path: Path) -> None:
    found = outcome(tmp_path, SEQUENCE, STEPS)
    parts = {left.condition: left.changes for left in found.undistinguished}
    assert parts == {
        "by process.entity_id": ("is dropped",),
        "maxspan=10s": ("is endless",),
        "until": ("is dropped",),
        'event.action == "end"': ("is always false",),
    }
    more = """
[[quiet]]
title = "of two processes"
events = [{ use = "run" }, { use = "run", process.entity_id = "b" }, { use = "connect" }]

[[quiet]]
title = "too late"
events = [{ use = "run" }, { use = "run" }, { use = "connect", at = "11s" }]

[[quiet]]
title = "it has ended"
events = [{ use = "run" }, { use = "run" }, { use = "run", event.action = "end" }, { use = "connect" }]

[[fires]]
title = "a fork is no end"
events = [{ use = "run" }, { use = "run" }, { use = "run", event.action = "fork" }, { use = "connect" }]
alerts = [[1, 2, 4]]
"""
    assert messages(outcome(tmp_path, SEQUENCE, STEPS + more)) == []


def test_cases_know_nothing_of_one_another(tmp_path: Path) -> None:
    query = 'sequence [process where process.name == "a"] [process where process.name == "b"]'
    halves = "".join(
        f'[[quiet]]\ntitle = "only {name}"\nevents = [{{ event.action = "exec", process.name = "{name}" }}]\n'
        for name in "ab"
    )
    whole = (
        '[[fires]]\ntitle = "both"\n'
        'events = [{ event.action = "exec", process.name = "a" }, { event.action = "exec", process.name = "b" }]\n'
    )
    assert outcome(tmp_path, query, halves + whole).problems == []


def test_events_may_be_lines_of_json(tmp_path: Path) -> None:
    lines = (
        "'''\n"
        '{"event.action": "exec", "process": {"name": "nc", "args": ["nc", "-l"]}}\n'
        '{"event": {"action": "end"}, "process.pid": 7}\n'
        "'''"
    )
    case = f'\n[[fires]]\ntitle = "as JSON"\nevents = {lines}\nalerts = [[1]]\n'
    assert outcome(tmp_path, EVENT, GOOD + case).ok


def test_what_other_fields_decide_need_not_be_written(tmp_path: Path) -> None:
    query = (
        'file where file.name == "a.sh" and file.extension == "sh" and file.directory == "/tmp" and '
        'process.name == "dash" and process.parent.name == "cc1" and process.args_count == 2 and '
        'process.command_line == "sh x" and event.type == "creation"'
    )
    case = """
[events.write]
event.action = "creation"
file.path = "/tmp/a.sh"
process.executable = "/usr/bin/dash"
process.args = ["sh", "x"]
process.parent.executable = "/usr/lib/cc1"
[[fires]]
title = "all follows"
events = [{ use = "write" }]
[[quiet]]
title = "nothing"
events = [{ event.action = "deletion" }]
"""
    found = outcome(tmp_path, query, case)
    assert found.problems == []


WRONG = {
    "an unknown field": ('{ event.action = "exec", process.nam = "x" }', "unknown field 'process.nam'"),
    "a wrong type": ('{ event.action = "exec", process.pid = "7" }', "process.pid is of type int, and '7' is not"),
    "a boolean for a number": ('{ event.action = "exec", process.pid = true }', "process.pid is of type int"),
    "an unknown action": ('{ event.action = "execve" }', "event.action is 'execve'"),
    "no action": ('{ process.name = "nc" }', "the event has no event.action"),
    "an unknown name": ('{ use = "bash" }', "there is no [events.bash]"),
    "an absent field taken away": ('{ use = "nc", without = ["file.path"] }', "without names 'file.path'"),
    "no time": ('{ use = "nc", at = "soon" }', "'soon' is no time"),
    "time backwards": ('{ use = "nc", at = "2s" }, { use = "nc", at = "1s" }', "the event is earlier"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_event_that_is_wrong(tmp_path: Path, name: str) -> None:
    event, what = WRONG[name]
    (found,) = outcome(tmp_path, EVENT, f'{GOOD}\n[[quiet]]\ntitle = "wrong"\nevents = [{event}]\n').findings
    assert found.what.startswith(what)
    assert found.where.startswith(f"{tmp_path}/r.test.toml:18")


LAYOUT = {
    "broken TOML": ("[[fires]\n", "broken TOML"),
    "an unknown table": ('[[fire]]\ntitle = "x"\n', "unknown key 'fire'"),
    "an unknown key": ('[[fires]]\nname = "x"\n', "unknown key 'name' in [[fires]]"),
    "no table": ("fires = 3\n", "fires must be tables: [[fires]]"),
    "no title": ('[[quiet]]\nevents = [{ event.action = "exec" }]\n', "title must be a text that is not empty"),
    "no events": ('[[quiet]]\ntitle = "x"\n', "events must be a list of tables"),
    "a title twice": (GOOD.replace("another runs", "it runs"), "the title 'it runs' stands twice"),
    "an alert on what is not there": (GOOD.replace("[[quiet]]", "alerts = [[2]]\n[[quiet]]", 1), "alerts must be"),
    "no JSON": ("[[quiet]]\ntitle = 'x'\nevents = '{'\n", "event 1 is no JSON"),
}


@pytest.mark.parametrize("name", LAYOUT)
def test_a_test_file_that_is_laid_out_wrong(tmp_path: Path, name: str) -> None:
    text, what = LAYOUT[name]
    (found,) = outcome(tmp_path, EVENT, text).findings
    assert found.what.startswith(what)


def test_tests_without_a_rule_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gone.test.toml").write_text(GOOD)
    with pytest.raises(RuleError, match=r"the tests of no rule"):
        outcome(tmp_path, EVENT, GOOD)


def test_a_rule_that_fails_at_an_event_fails_its_quiet_case(tmp_path: Path) -> None:
    code = """category = "process"
function match(event)
  while event.event.action == "fork" do end
  return event.process.name == "nc"
end"""
    found = outcome(tmp_path, code, GOOD, language="lua")
    assert messages(found) == [
        f"quiet 'it forks': raised an error (fuel or a trap), not nothing ({mode})" for mode in MODES
    ]
    assert outcome(tmp_path, code.replace('while event.event.action == "fork" do end',
                                          'if event.event.action == "fork" then return false end'), GOOD,
                   language="lua").mutants is None  # fmt: skip


def test_a_rule_in_another_language_is_not_run(tmp_path: Path) -> None:
    found = outcome(tmp_path, "process.name : nc", None, language="kuery")
    assert found.ok
    assert not found.run


def test_a_rule_for_imported_events(tmp_path: Path) -> None:
    query = 'dns where dns.question.name : "*.example" and ?my.score > 1.5 and process.parent.env_vars == "A=1"'
    case = """
imported = true
[events.ask]
event.category = "dns"
dns.question.name = "a.example"
my.score = 2.5
process.parent.env_vars = ["A=1", "B=2"]

[[fires]]
title = "all hold"
events = [{ use = "ask" }]

[[fires]]
title = "one of two does"
events = [{ use = "ask", my.score = 1.0 }, { use = "ask", at = "1h" }]
alerts = [[2]]

[[quiet]]
title = "another name"
events = [{ use = "ask", dns.question.name = "a.test" }]

[[quiet]]
title = "another variable"
events = [{ use = "ask", process.parent.env_vars = ["A=2"] }]
"""
    assert outcome(tmp_path, query, case).ok
    plain = outcome(tmp_path, 'process where process.parent.env_vars == "A=1"', case.replace("imported = true", ""))
    assert messages(plain) == ["no event here has the field 'process.parent.env_vars'"]


def test_items_that_no_event_matches_are_told_and_no_fault(tmp_path: Path) -> None:
    query = (
        'process where event.action == "exec" and process.name in ("nc", "ncat") and process.args like~ ("NC", "-L*")'
    )
    case = GOOD.replace('"/usr/bin/nc"', '"/usr/bin/nc"\nprocess.args = ["nc"]')
    case += '\n[[quiet]]\ntitle = "without arguments"\nevents = [{ use = "nc", without = ["process.args"] }]\n'
    found = outcome(tmp_path, query, case)
    assert found.ok
    assert [u.items for u in found.unmatched] == [("ncat",), ("-L*",)]
