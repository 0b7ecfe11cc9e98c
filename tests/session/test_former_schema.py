"""Recordings of former versions of the field table are read, verified and replayed as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.cli.told import told
from kestrel_lab.engine import load_pack
from kestrel_lab.engine.adhoc import query_pack
from kestrel_lab.recording import Recording, open_recording, verify
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.history import FORMER
from kestrel_lab.schema.resources import resource
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session import replay_as_live
from kestrel_lab.session.replay import replay

DATA = Path(__file__).parents[1] / "recording/data"
#: what a version lacks that came next
LACKS = {
    1: ("process.session_leader.name", "process.vpid", "user.name", "process.interactive", "process.hash.sha256"),
    2: ("process.hash.sha256", "file.hash.sha256", "kestrel.socket.state"),
}
versions = pytest.mark.parametrize("version", LACKS)


def fixture(version: int) -> Path:
    return DATA / f"schema{version}.krec.tar.zst"


def recording(version: int) -> Recording:
    found = open_recording(fixture(version))
    assert isinstance(found, Recording)
    return found


def test_there_is_a_recording_of_every_former_version() -> None:
    assert set(FORMER.values()) == set(LACKS)


@versions
def test_its_own_lock_says_what_it_holds(version: int) -> None:
    schema = recording(version).info.schema
    assert FORMER[schema.fingerprint] == schema.version == version
    assert schema != BUILTIN
    assert verify(fixture(version)).ok


@versions
def test_what_it_lacks_is_missing_everywhere(version: int) -> None:
    found = recording(version)
    for epoch in found.epochs():
        for table in epoch.tables:
            for name in LACKS[version]:
                assert set(python_values(resolve(found.info, epoch, table, name))) == {None}
            assert any(python_values(resolve(found.info, epoch, table, "process.name")))
            assert set(python_values(resolve(found.info, epoch, table, "event.kind"))) == {b"event"}


@versions
def test_its_alerts_are_proved_again(version: int) -> None:
    found = recording(version)
    assert found.live_alerts
    assert replay_as_live(found).alerts == found.live_alerts


@versions
def test_rules_of_today_run_over_it(version: int) -> None:
    found = recording(version)
    pack = load_pack([resource("rules")], schema=found.info.schema)
    assert {a.rule_id for a in replay(found, pack).alerts} == {a.rule_id for a in found.live_alerts}
    lacks = LACKS[version][0]
    new = query_pack(f"any where {lacks} == null and ?{lacks} == null", schema=found.info.schema)
    assert len(replay(found, new).alerts) == sum(epoch.rows for epoch in found.epochs())


@versions
def test_lines_for_people_tell_the_same(version: int) -> None:
    schema = recording(version).info.schema
    assert told(schema, "process", "exec") == told(BUILTIN, "process", "exec")
