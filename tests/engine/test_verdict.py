"""`rules explain` at an event against EQL by definition: stages, leaves and the values they read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kestrel_lab.engine import Engine, verdict
from kestrel_lab.eql import ast, lower_wasm
from kestrel_lab.eql.ir import negation
from kestrel_lab.eql.parse import parse
from kestrel_lab.schema.errors import DivergedError
from kestrel_lab.session import epoch_of, explain_event
from tests.engine.support import MODES, QUERIES, pack_of, random_events
from tests.eql import naive
from tests.support.epochs import INFO, source

#: Leaves of kinds that the queries of the engine's tests lack.
MORE = {
    "computed": 'process where length(process.name) > 3 and stringContains(process.command_line, process.name)',
    "sums": "any where process.pid + process.parent.pid == 5 or process.pid * 2 >= 8",
    "nested": 'any where not (process.name : "b*" and (file.path == null or not file.name like "*.sh")) or '
              'null == (process.exit_code > -1)',
    "regex": 'file where file.path regex~ "/tmp/[ab].*" or cidrMatch(destination.ip, "127.0.0.0/8")',
    "constant": "any where ?nothing.of.it == null and true",
}  # fmt: skip
PACK = pack_of(QUERIES | MORE)
EVENTS = source(random_events(3, 200), epoch_rows=17, segment_epochs=2)
NAIVE = naive.events_of(EVENTS)


def filters(query: str) -> list[ast.Filter]:
    """Return the filter of each stage, those with runs as often as they run."""
    body = parse(query).body
    if isinstance(body, ast.Filter):
        return [body]
    out = [item.filter for item in body.items for _ in range(item.runs)]
    return out + ([body.until.filter] if isinstance(body, ast.Sequence) and body.until else [])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", PACK.rules, ids=lambda rule: str(rule.id))
def test_stages_hold_where_the_definition_says(rule, mode) -> None:  # type: ignore[no-untyped-def]
    wanted_filters, held = filters(rule.query), 0
    hits = [e for e in NAIVE if any(naive.passes(f, e) for f in wanted_filters)]
    for event in [*NAIVE[:: 16 if mode == "live" else 50], *hits[:3]]:
        event_id = event["event.sequence"]
        found = verdict(rule, PACK, INFO, epoch_of(EVENTS, event_id), event_id, mode)
        for stage, wanted in zip(found.stages, wanted_filters, strict=True):
            assert stage.holds == naive.passes(wanted, event), (event_id, stage)
            assert stage.condition is not None
            assert stage.condition.holds == naive.passes(replace(wanted, category=None), event)
            held += stage.holds
            for _, part in stage.condition.walk():
                assert {name: event.get(name) for name in part.values} == part.values
                assert (part.kind == "leaf") == (not part.parts)
    assert held


def test_all_is_in_the_explanation_of_a_sequence() -> None:
    event = next(e for e in NAIVE if e["event.action"] == b"end")
    found = explain_event(EVENTS, PACK, "by-entity", event["event.sequence"]).verdict
    assert [(s.number, s.concerned, s.holds) for s in found.stages] == [
        (0, False, False), (1, False, False), (2, False, False), (3, True, True),
    ]  # fmt: skip
    assert found.stages[3].title == "until process by process.entity_id"
    assert found.stages[3].keys == {"process.entity_id": event["process.entity_id"]}


def test_leaves_that_contradict_the_rule_are_a_defect_and_said_so() -> None:
    rule = next(r for r in PACK.rules if r.id == "exec-name")
    event = next(e for e in NAIVE if e["event.action"] == b"exec" and e["process.name"] == b"bash")["event.sequence"]
    stage = rule.program.stages[0]
    other = lower_wasm(replace(rule.program, stages=(replace(stage, expr=negation(stage.expr)),)))
    with pytest.raises(DivergedError, match="its leaves say otherwise"):
        verdict(replace(rule, module=other), PACK, INFO, epoch_of(EVENTS, event), event, "live")


def test_the_engine_that_explains_is_the_engine_that_alerts() -> None:
    engine = Engine(PACK, INFO, "live")
    alerts = {(a.rule_id, a.event_ids[-1]) for e in EVENTS.epochs() for a in engine.process(e).alerts}
    events = [r for r in PACK.rules if r.program.kind == "event"]
    for rule in events[::2]:
        for event_id in range(1, 201, 23):
            found = verdict(rule, PACK, INFO, epoch_of(EVENTS, event_id), event_id, "live")
            assert found.stages[0].holds == ((rule.id, event_id) in alerts)
