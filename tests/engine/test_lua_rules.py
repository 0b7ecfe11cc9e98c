"""Lua rules in a pack: beside EQL, over windows and spans, in both modes, when they fail, and in `rules check`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.engine import Engine, Limits, Pack, check_pack, pack_from_files
from kestrel_lab.engine.explaining.explain import explain_rule
from kestrel_lab.engine.lua.limits import DEPTH, LOAD_FUEL, MEMORY, TEXT
from kestrel_lab.engine.scanning import columns
from kestrel_lab.eql.lua.limits import MAX_BYTES, MAX_DEPTH, MAX_ENTRIES
from kestrel_lab.schema.alert import Alert, Exhausted, Mode
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN
from tests.engine.lua import lua_file
from tests.engine.support import MODES, QUERIES, found, random_events, toml
from tests.engine.test_lua_hostile import FOREVER
from tests.support.budget import at_most
from tests.support.epochs import INFO, source

#: Rules of which one is EQL and the other Lua, and which say the same.
PAIRS: Mapping[str, tuple[str, str]] = {
    "names": (
        'process where event.action == "exec" and process.name in ("bash", "sh")',
        """category = "process"
actions = { "exec" }
local shells = { bash = true, sh = true }
function match(event) return shells[event.process.name] end""",
    ),
    "args": (
        'process where process.args : "-c" and process.parent.args like~ "*sh*"',
        """category = "process"
function match(event)
  for _, arg in ipairs(event.process.args) do
    if string.lower(arg) == "-c" then return ilike(event.process.parent.args, "*sh*") end
  end
end""",
    ),
    "numbers": (
        "any where process.exit_code > 0 or file.inode >= 9223372036854775808 or destination.port == 22",
        """category = "any"
function match(event)
  return event.process.exit_code > 0 or event.file.inode >= 9223372036854775808 or event.destination.port == 22
end""",
    ),
    "missing": (
        'file where file.path == null or not file.path : "/tmp/*"',
        """category = "file"
local function outside(path) return not like(path, "/tmp/*") end
function match(event) return outside(event.file.path) end""",
    ),
    "counts": (
        "process where process.args_count >= 2 and process.parent.args_count < 3",
        """category = "process"
function match(event) return #event.process.args >= 2 and event.process.parent.args_count < 3 end""",
    ),
    "address": (
        'network where cidrMatch(destination.ip, "127.0.0.0/8")',
        """category = "network"
function match(event) return cidr(event.destination.ip, "127.0.0.0/8") end""",
    ),
    "words": (
        'any where event.type == "start" and event.category == "process" and host.os.type == "linux"',
        """category = "process"
function match(event)
  return event.event.type[1] == "start" and event.event.category[1] == "process" and event.host.os.type == "linux"
end""",
    ),
}


def pack_of(lua_rules: Mapping[str, str], queries: Mapping[str, str] = {}) -> Pack:
    files = {f"{name}.toml": lua_file(name, code) for name, code in lua_rules.items()}
    return pack_from_files(files | {f"{name}.toml": toml(name, query) for name, query in queries.items()})


def observed(
    pack: Pack, mode: Mode, events: list[dict[str, Any]], limits: Limits | None = None, epoch_rows: int = 30
) -> tuple[list[Alert], list[Exhausted], dict[str, int]]:
    engine = Engine(pack, INFO, mode, limits)
    results = [engine.process(epoch) for epoch in source(events, epoch_rows=epoch_rows, segment_epochs=3).epochs()]
    return [a for r in results for a in r.alerts], [x for r in results for x in r.exhausted], dict(engine.fuel)


@pytest.mark.parametrize("seed", range(5))
def test_lua_says_what_eql_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WINDOW_ROWS", [16_384, 7][seed % 2])
    pack = pack_of(
        {f"{n}-lua": code for n, (_, code) in PAIRS.items()}, {f"{n}-eql": query for n, (query, _) in PAIRS.items()}
    )
    live, deterministic = (observed(pack, mode, random_events(seed, 400)) for mode in MODES)
    assert live == deterministic
    alerts = found(live[0])
    for name in PAIRS:
        assert alerts.get(f"{name}-lua") == alerts.get(f"{name}-eql"), name
    assert len(alerts) >= 12
    assert not live[1]
    assert all(used for rule_id, used in live[2].items() if rule_id.endswith("-lua"))


@pytest.mark.parametrize("mode", MODES)
def test_spans_and_windows_change_nothing(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = pack_of({name: code for name, (_, code) in PAIRS.items()}, QUERIES)
    epochs = list(source(random_events(5, 300), epoch_rows=11).epochs())
    apart = Engine(pack, INFO, mode)
    want = [a for epoch in epochs for a in apart.process(epoch).alerts]
    monkeypatch.setattr(columns, "WINDOW_ROWS", 5)
    together = Engine(pack, INFO, mode)
    assert list(together.process_span(epochs).alerts) == want
    assert together.fuel == apart.fuel
    assert together.evaluations == apart.evaluations


def test_captures_are_part_of_the_alert() -> None:
    code = """category = "process"
actions = { "exec" }
function match(event) return #event.process.args > 1 end
function capture(event)
  if event.process.name == nil then return { joined = "-" } end
  local out = ""
  for i, arg in ipairs(event.process.args) do out = out .. i .. ":" .. arg .. " " end
  return { joined = out, first = event.process.args[1], many = #event.process.args > 2 }
end"""
    alerts, _, _ = observed(pack_of({"r": code}), "deterministic", random_events(2, 200))
    assert alerts == observed(pack_of({"r": code}), "live", random_events(2, 200))[0]
    made = [alert.captures[0] for alert in alerts]
    assert {m["joined"] for m in made} >= {b"1:sh 2:-c ", b"-"}
    assert {m.get("many") for m in made} == {True, False, None}
    assert all("process.name" in m for m in made)


@pytest.mark.slow
@pytest.mark.parametrize("body", FOREVER.values(), ids=FOREVER)
def test_a_rule_that_never_ends_loses_its_epoch_and_no_other_rule_anything(body: str) -> None:
    bad = f'category = "process"\nfunction match(event)\nif event.process.name == "sh" then {body} end return true end'
    events = random_events(1, 90)
    pack = pack_of({"bad": bad, "good": PAIRS["args"][1]}, {"other": QUERIES["file"]})
    without = pack_of({"good": PAIRS["args"][1]}, {"other": QUERIES["file"]})
    with at_most(2.0 * 9 + 1):  # epochs, and what else there is to do
        live, deterministic = (observed(pack, mode, events, epoch_rows=20) for mode in MODES)
    assert live == deterministic
    alerts, exhausted, fuel = live
    want = observed(without, "live", events, epoch_rows=20)
    assert found(a for a in alerts if a.rule_id != "bad") == found(want[0])
    assert {x.rule_id for x in exhausted} == {"bad"}
    lost = {i for x in exhausted for i in range(x.first_event_id, x.last_event_id + 1)}
    assert not lost & {a.event_ids[0] for a in alerts if a.rule_id == "bad"}
    assert {name: used for name, used in fuel.items() if name != "bad"} == want[2]


def test_fuel_decides_the_same_epochs_in_both_modes_and_in_spans() -> None:
    code = """category = "any"
function match(event)
  for i = 1, #event.process.args * 10 do local x = i * i end
  return true
end"""
    pack, events = pack_of({"r": code}), random_events(4, 400)
    outcomes = []
    for bound in (300, 900, 1_800, 3_600):
        limits = Limits(user_fuel=bound, user_fuel_per_row=0)
        live, deterministic = (observed(pack, mode, events, limits, epoch_rows=10) for mode in MODES)
        assert live == deterministic
        outcomes.append(len(live[1]))
        epochs = list(source(events, epoch_rows=10, segment_epochs=3).epochs())
        span = Engine(pack, INFO, "live", limits).process_span(epochs[:3])
        assert list(span.exhausted) == [x for x in live[1] if x.epoch < 3]
    assert outcomes == sorted(outcomes, reverse=True)
    assert 0 < outcomes[1] < 40


def test_a_rule_that_fails_on_one_event_loses_that_epoch() -> None:
    code = 'category = "file"\nfunction match(event) if event.file.inode == 0 then return 1 + {} end return true end'
    events = random_events(3, 120)
    live, deterministic = (observed(pack_of({"r": code}), mode, events, epoch_rows=4) for mode in MODES)
    assert live == deterministic
    assert live[1]
    assert all(x.trapped for x in live[1])
    assert live[0]


@pytest.mark.parametrize(
    ("code", "place", "words"),
    [
        ('category = "any"\nfunction match(event) return event.process.nam == "x" end', "9:", "did you mean"),
        ('category = "any"\nfunction match(event) return os.time() end', "9:", "`os` is not defined"),
        ('category = "proces"\nfunction match(event) end', "8:", 'did you mean "process"'),
        ('category = "file"\nactions = { "exec" }\nfunction match(event) end', "9:", "no action of file events"),
        ("function match(event) end", "8:", "category"),
        ('category = "any"', "8:", "defines no match"),
        ('category = "any"\nwhile true do end\nfunction match(event) end', "7", "does not come to an end"),
        ('category = "any"\nlocal x = 1 + {}\nfunction match(event) end', "7", "fails"),
        ('category = "any"\nmatch = 5', "7", "match is no function"),
    ],
)
def test_a_rule_that_is_wrong_says_where(code: str, place: str, words: str) -> None:
    with pytest.raises(RuleError, match=words) as caught:
        pack_from_files({"r.toml": lua_file("r", code)})
    assert caught.value.where.startswith(f"r.toml:{place}")


def test_rules_check_lists_them(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(lua_file("a", PAIRS["args"][1]))
    (tmp_path / "b.toml").write_bytes(
        lua_file("b", 'category = "network"\nfunction match(event) return event.file.path end')
    )
    a, b = check_pack([tmp_path])
    assert (a.language, a.ok, a.fields) == ("lua", True, ("process.args", "process.parent.args"))
    assert b.reach.unavailable == ("file.path",)


def test_the_text_of_a_rule_decides_its_hash() -> None:
    one, other = (pack_of({"r": f'category = "any"\nfunction match(event) return {n} end'}) for n in (1, 2))
    assert one.hash != other.hash


def test_the_documented_rule_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "lua-rules.md").read_text(encoding="utf-8")
    (rule,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    pack = pack_from_files({"r.toml": rule.encode()})
    events = random_events(1, 30)
    events[3] |= {"table": "process", "action": "exec", "name": "bash", "args": ["bash", "x" * 2000]}
    alerts = observed(pack, "deterministic", events)[0]
    assert alerts == observed(pack, "live", events)[0]
    assert [(a.event_ids, a.captures[0]["arguments"], a.captures[0]["last"]) for a in alerts] == [
        ((4,), 2, b"x" * 2000)
    ]


def test_the_documented_limits_are_those_that_hold() -> None:
    text = (Path(__file__).parents[2] / "docs" / "lua-rules.md").read_text(encoding="utf-8")
    limits = Limits()
    for number in (limits.user_fuel, limits.user_fuel_per_row, LOAD_FUEL, MAX_ENTRIES):
        assert f"{number:,}" in text
    assert f"{MAX_BYTES >> 10} KiB, nested {MAX_DEPTH} deep" in text
    assert f"| a text that it makes | {TEXT >> 20} MiB |" in text
    assert f"| what one event makes it take | {MEMORY >> 20} MiB |" in text
    assert f"| calls in one another | {DEPTH} |" in text


def test_explain_shows_the_text_that_runs() -> None:
    (rule,) = pack_of({"r": PAIRS["args"][1]}).rules
    found = explain_rule(rule, BUILTIN, Limits())
    assert "fuel = fuel - " in found.code
    assert found.stages[0].fields == ("process.args", "process.parent.args")
