"""A user's rule that runs out of fuel, and one that traps, live and on replay: recorded, reported, explained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kestrel_lab.cli.main import main
from kestrel_lab.engine import Limits, Pack, pack_from_files
from kestrel_lab.recording import Recording, open_recording
from kestrel_lab.schema.alert import Exhausted
from kestrel_lab.session.causes import CauseKind
from kestrel_lab.session.diff import diff_rules
from kestrel_lab.session.engine_process import LiveOptions
from kestrel_lab.session.prove import prove
from kestrel_lab.session.record_report import RecordOptions
from kestrel_lab.session.recorded import replay_as_live
from kestrel_lab.session.replay import replay
from tests.engine.user_modules import EITHER, FOREVER, NAME, module, rule
from tests.session.scenario import FILES, memory, now_world, pack, record_world, write_recording

pytestmark = pytest.mark.slow

#: Works long at an intruder's shell: some epochs are within the fuel, some are not.
LOADED = module(
    """(local $n i32)
    (local.set $n (i32.mul (i32.const 1000000)
      (call $str_eq (global.get $name) (local.get $row) (i32.const 0) (i32.const 50) (i32.const 2))))
    (loop $on (br_if $on (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (i32.const 1)""",
    NAME,
    '(data (i32.const 50) "sh")',
)
#: Traps at an intruder's shell.
TRAPPING = module(
    """(i32.div_u (i32.const 1) (i32.eqz
      (call $str_eq (global.get $name) (local.get $row) (i32.const 0) (i32.const 50) (i32.const 2))))""",
    NAME,
    '(data (i32.const 50) "sh")',
)
EXECS = 'process where event.action == "exec"'


def user_pack() -> Pack:
    files = dict(FILES)
    for name, code in (("loaded", LOADED), ("trapping", TRAPPING), ("either", EITHER)):
        files |= {f"{name}.toml": rule(name, EXECS), f"{name}.wat": code.encode()}
    return pack_from_files(files)


USERS = user_pack()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Record with the rules running beside it."""
    path = tmp_path_factory.mktemp("user") / "a.krec"
    report = record_world(path, now_world(800), USERS, RecordOptions(live=LiveOptions(max_lag_s=1e6)))
    assert report.engine is not None
    assert {(e.rule_id, e.trapped) for e in report.engine.exhausted} == {("loaded", False), ("trapping", True)}
    return open_recording(path)


def of(rows: Sequence[Exhausted], rule_id: str) -> set[int]:
    return {row.epoch for row in rows if row.rule_id == rule_id}


def test_the_live_log_holds_what_stopped_and_the_replay_gives_the_same(recording: Recording) -> None:
    assert 0 < len(of(recording.exhausted, "loaded")) < len(recording.index)
    assert of(recording.exhausted, "loaded") == of(recording.exhausted, "trapping")
    for found in (replay_as_live(recording), replay_as_live(recording, mode="live", workers=2)):
        assert found.alerts == recording.live_alerts
        assert list(found.exhausted) == recording.exhausted
    raised = {a.rule_id for a in recording.live_alerts}
    assert raised == {"loaded", "trapping", "drop-and-run", "connect-4444", "interactive-shell", "script-deleted"}


def test_other_rules_never_notice(recording: Recording) -> None:
    alone = replay(recording, pack())
    together = replay(recording, USERS)
    others = [a for a in together.alerts if a.rule_id not in ("loaded", "trapping", "either")]
    assert [(a.rule_id, a.event_ids) for a in others] == [(a.rule_id, a.event_ids) for a in alone.alerts]


def test_every_configuration_agrees(tmp_path: Path) -> None:
    world = write_recording(tmp_path / "a.krec", memory(300))
    assert prove(world, USERS).equal


def test_a_diff_says_that_fuel_ran_out(recording: Recording) -> None:
    same = diff_rules(recording)
    assert same.equal
    assert [n.kind for n in same.notes] == [CauseKind.FUEL, CauseKind.TRAPPED]
    assert "loaded used up its" in same.notes[0].text
    more = diff_rules(recording, limits=Limits(user_fuel=1 << 40))
    assert {d.alert.rule_id for d in more.extra} == {"loaded"}
    assert {c.kind for d in more.differences for c in d.causes} == {CauseKind.FUEL}
    assert not more.missing
    less = diff_rules(recording, limits=Limits(user_fuel=0, user_fuel_per_row=1))
    assert {c.kind for d in less.differences for c in d.causes} == {CauseKind.FUEL}
    assert {d.alert.rule_id for d in less.missing} == {"loaded", "trapping"}


def test_an_edit_that_ends_a_trap_is_the_cause(recording: Recording) -> None:
    mended = pack_from_files({**USERS.files, "trapping.wat": module().encode()})
    diff = diff_rules(recording, mended)
    assert {d.alert.rule_id for d in diff.extra} == {"trapping"}
    assert {c.kind for d in diff.extra for c in d.causes} == {CauseKind.RULE_EDITED}


def test_the_command_line_says_it(recording: Recording) -> None:
    shown = CliRunner().invoke(main, ["replay", str(recording.path), "--as-live"])
    assert shown.exit_code == 0, shown.output
    assert "rule loaded used up its" in shown.stderr
    assert "rule trapping trapped in epoch" in shown.stderr
    data = CliRunner().invoke(main, ["replay", str(recording.path), "--format", "ndjson"])
    last = json.loads(data.stdout.splitlines()[-1])
    assert [Exhausted(**row) for row in last["exhausted"]] == recording.exhausted
    info = CliRunner().invoke(main, ["info", str(recording.path), "--format", "ndjson"])
    assert f'"exhausted":{len(recording.exhausted)}' in info.stdout


def test_a_rule_that_never_ends_costs_little_an_epoch(tmp_path: Path) -> None:
    files = {**FILES, "loop.toml": rule("loop", EXECS), "loop.wat": FOREVER.encode()}
    world = write_recording(tmp_path / "a.krec", memory(200))
    found = replay(world, pack_from_files(files))
    assert len(of(found.exhausted, "loop")) > 5
    assert {row.rule_id for row in found.exhausted} == {"loop"}
