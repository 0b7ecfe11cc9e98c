"""Whether a rule can fire here: what is called impossible must be so on every event, whatever its values."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kestrel_lab.engine import pack_from_files
from kestrel_lab.engine.packs.reach import can_fire, reach_of
from kestrel_lab.engine.scanning.scanner import Scanner
from kestrel_lab.eql import compile_query
from kestrel_lab.schema.schema import BUILTIN
from tests.engine.support import QUERIES, random_events, run, toml
from tests.eql.corpora import corpus
from tests.support.epochs import INFO, source

NO_SUCH = "no event here has the category, action and type it asks for"


@pytest.mark.parametrize(
    ("query", "never", "unavailable"),
    [
        ('process where user.email == "root"', "it needs `user.email`, which no event here has", ["user.email"]),
        ('process where user.email == "root" or process.pid == 1', "", ["user.email"]),
        ('process where user.email != "root"', "", ["user.email"]),
        ("process where not user.email like~ ()".replace("()", '("x")'), "", ["user.email"]),
        ("process where user.email == null", "", ["user.email"]),
        ("process where process.same_as_process", "it needs `process.same_as_process`, which no event here has",
         ["process.same_as_process"]),
        ("process where file.path == \"/x\"", "it needs `file.path`, which no event here has", ["file.path"]),
        ("iam where true", "no event here is of category `iam`", []),
        ('iam where user.email == "root" and process.name == "sh"',
         "no event here is of category `iam`", ["user.email"]),
        ('any where event.category == "iam"', NO_SUCH, []),
        ('process where event.action == "uid_changed"', NO_SUCH, []),
        ('process where event.action == "uid_changed" and user.email == "x"',
         NO_SUCH, ["user.email"]),
        ('any where host.ip == "10.0.0.1" and cidrMatch(dns.resolved_ip, "10.0.0.0/8")',
         "it needs `dns.resolved_ip` and `host.ip`, which no event here has", ["dns.resolved_ip", "host.ip"]),
        ('sequence by process.pid [process where true] [file where user.email == "x"]',
         "it needs `user.email`, which no event here has (item 2)", ["user.email"]),
        ("sequence by user.email [process where true] [file where true]",
         "it joins by `user.email`, which no event here has (item 1)", ["user.email"]),
        ("sequence by ?user.email [process where true] [file where true]", "", ["user.email"]),
        ('sequence [process where true] [file where true] until [file where user.email == "x"]', "", ["user.email"]),
        ("sequence by file.path [any where true] [file where true]", "", []),
        ('sequence by file.path [any where event.category == "process"] [file where true]',
         "it joins by `file.path`, which no event here has (item 1)", []),
    ],
)  # fmt: skip
def test_why_a_rule_can_never_fire(query: str, never: str, unavailable: list[str]) -> None:
    found = reach_of(compile_query(query))
    assert (found.never, list(found.unavailable)) == (never, unavailable)


def test_every_query_that_answers_is_reachable() -> None:
    assert not any(reach_of(compile_query(query)).never for query in QUERIES.values())


_LEAVES = st.sampled_from([
    'user.email == "a"', 'user.email != "a"', "user.email == null", "user.email != null", 'process.name == "bash"',
    'file.path like "/tmp/*"', 'not file.path like "/tmp/*"', 'event.action == "exec"', 'event.action != "exec"',
    'length(user.email) > 3', "not length(user.email) > 3", "length(user.email) == null", '(user.email == "a") == null',
    "process.pid + 1 > 3", 'concat(user.email, process.name) == "abash"', "string(process.pid) == user.email",
    'length(process.name) == null or user.email : "a*"', 'event.type == "end"', "process.interactive",
    "process.pid > 3", 'host.ip == "::1"', "true", "false",
])  # fmt: skip
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda c: f"not ({c})"),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["process", "file", "network", "any", "iam"]), _CONDITIONS, st.integers(0, 3))
def test_a_rule_that_can_never_fire_does_not(category: str, condition: str, seed: int) -> None:
    query = f"{category} where {condition}"
    if reach_of(compile_query(query)).never:
        pack = pack_from_files({"x.toml": toml("x", query)})
        assert run(pack, source(random_events(seed))) == []


@pytest.mark.parametrize(
    ("category", "warning"),
    [
        ("proces", "`proces` is no event category of ECS; did you mean `process`?"),
        ("xyzzy", "`xyzzy` is no event category of ECS"),
        ("iam", None),
        ("process", None),
        ("any", None),
    ],
)
def test_a_misspelt_category_is_pointed_out(category: str, warning: str | None) -> None:
    assert reach_of(compile_query(f"{category} where true")).warnings == ((warning,) if warning else ())


def test_rules_that_can_never_fire_are_the_same_for_the_scan_as_for_the_author() -> None:
    sample = json.loads(corpus("elastic_linux_eql_sample.json").read_text())
    programs = [compile_query(rule["query"]) for rule in sample]
    assert {can_fire(p, BUILTIN) for p in programs} == {True, False}
    assert all(can_fire(p, BUILTIN) == (not reach_of(p).never) for p in programs)


def test_rules_that_can_never_fire_cost_nothing() -> None:
    idle = 'sequence by process.pid [process where process.pid > 0] [file where user.email == "x"]'
    epochs = list(source(random_events(1)).epochs())
    pack = pack_from_files({"a.toml": toml("idle", idle), "b.toml": toml("busy", "process where process.pid > 0")})
    scans = Scanner(pack, INFO, "live").scan_span(epochs)
    every = Scanner(pack, INFO, "live", every=True).scan_span(epochs)
    assert [set(scan.fuel) for scan in scans] == [{"busy"}]
    assert [set(scan.fuel) for scan in every] == [{"busy", "idle"}]
    assert scans[0].evaluations < every[0].evaluations


def test_an_item_with_runs_is_looked_for_once() -> None:
    epochs = list(source(random_events(1)).epochs())
    once, often = (
        Scanner(pack_from_files({"a.toml": toml("a", q)}), INFO, "live").scan_span(epochs)[0]
        for q in ("sequence [process where true] [file where true]",
                  "sequence [process where true] with runs=9 [file where true]")
    )  # fmt: skip
    assert once.evaluations == often.evaluations
    assert once.fuel == often.fuel
