"""Lua rules while recording and on replay: one that answers, one that runs out of fuel, one that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.engine import pack_from_files
from kestrel_lab.recording import open_recording
from kestrel_lab.session.engine_process import LiveOptions
from kestrel_lab.session.prove import prove
from kestrel_lab.session.record_report import RecordOptions
from kestrel_lab.session.recorded import replay_as_live
from kestrel_lab.session.replay import replay
from tests.engine.lua import lua_file
from tests.session.scenario import FILES, memory, now_world, pack, record_world, write_recording

RULES = {
    "answers": """category = "process"
actions = { "exec" }
function match(event) return like(event.process.name, "s*") end
function capture(event) return { args = #event.process.args } end""",
    "loaded": """category = "process"
function match(event)
  if event.process.name == "sh" then for i = 1, 2000000 do local x = i end end
  return true
end""",
    "failing": """category = "process"
function match(event)
  if event.process.name == "sh" then return 1 + event.process.name end
  return true
end""",
}
PACK = pack_from_files({**FILES, **{f"{name}.toml": lua_file(name, code) for name, code in RULES.items()}})


@pytest.mark.slow
def test_live_and_replay_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.krec"
    report = record_world(path, now_world(400), PACK, RecordOptions(live=LiveOptions(max_lag_s=1e6)))
    assert report.engine is not None
    assert {(e.rule_id, e.trapped) for e in report.engine.exhausted} == {("loaded", False), ("failing", True)}
    recording = open_recording(path)
    assert {"answers", "loaded", "failing"} <= {a.rule_id for a in recording.live_alerts}
    for found in (replay_as_live(recording), replay_as_live(recording, mode="live")):
        assert found.alerts == recording.live_alerts
        assert list(found.exhausted) == recording.exhausted
    others = [a for a in replay(recording, PACK).alerts if a.rule_id not in RULES]
    assert [(a.rule_id, a.event_ids) for a in others] == [
        (a.rule_id, a.event_ids) for a in replay(recording, pack()).alerts
    ]


@pytest.mark.slow
def test_every_configuration_agrees(tmp_path: Path) -> None:
    world = write_recording(tmp_path / "a.krec", memory(200))
    assert prove(world, PACK).equal
