"""A recording of the first version of the field table is read, verified and replayed as what it is."""

from __future__ import annotations

from pathlib import Path

from kestrel_lab.engine import load_pack
from kestrel_lab.engine.adhoc import query_pack
from kestrel_lab.recording import Recording, open_recording, verify
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.history import FORMER
from kestrel_lab.schema.resources import resource
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session import replay_as_live
from kestrel_lab.session.replay import replay

FIRST = Path(__file__).parents[1] / "recording/data/schema1.krec.tar.zst"


def recording() -> Recording:
    found = open_recording(FIRST)
    assert isinstance(found, Recording)
    return found


def test_its_own_lock_says_what_it_holds() -> None:
    schema = recording().info.schema
    assert FORMER[schema.fingerprint] == schema.version == 1
    assert schema != BUILTIN
    assert verify(FIRST).ok


def test_what_it_lacks_is_missing_everywhere() -> None:
    found = recording()
    for epoch in found.epochs():
        for table in epoch.tables:
            for name in ("process.session_leader.name", "process.vpid", "user.name", "process.interactive"):
                assert set(python_values(resolve(found.info, epoch, table, name))) == {None}
            assert any(python_values(resolve(found.info, epoch, table, "process.name")))


def test_its_alerts_are_proved_again() -> None:
    found = recording()
    assert found.live_alerts
    assert replay_as_live(found).alerts == found.live_alerts


def test_rules_of_today_run_over_it() -> None:
    found = recording()
    pack = load_pack([resource("rules")], schema=found.info.schema)
    assert {a.rule_id for a in replay(found, pack).alerts} == {a.rule_id for a in found.live_alerts}
    new = query_pack("any where process.session_leader.name == null and ?user.name == null", schema=found.info.schema)
    assert len(replay(found, new).alerts) == sum(epoch.rows for epoch in found.epochs())
