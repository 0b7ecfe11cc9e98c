"""Severity, ledger, identities, errors, alerts: the small shared words."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.alert import Alert, alert_digest
from kestrel_lab.schema.epoch import Ledger
from kestrel_lab.schema.errors import ExitCode, KestrelError, RuleError
from kestrel_lab.schema.ids import entity_id
from kestrel_lab.schema.resources import resource
from kestrel_lab.schema.severity import Severity


def test_severities_are_ordered_and_come_back_from_their_words() -> None:
    assert Severity.LOW < Severity.MEDIUM < Severity.HIGH < Severity.CRITICAL
    assert [Severity.parse(s.label.title()) for s in Severity] == list(Severity)
    with pytest.raises(ValueError, match="'urgent' is none of low, medium, high, critical"):
        Severity.parse("urgent")


COUNT = st.integers(0, 2**64)


@given(COUNT, COUNT, COUNT, COUNT)
def test_a_ledger_closes_exactly_when_both_equations_hold(filtered: int, lost: int, written: int, user: int) -> None:
    received = written + user
    whole = Ledger(filtered + lost + received, filtered, lost, received, written, user)
    assert whole.closes
    for name in ("seen", "filtered", "lost_ring", "received", "written", "lost_user"):
        assert not dataclasses.replace(whole, **{name: getattr(whole, name) + 1}).closes
    assert dataclasses.replace(whole, recursion=7).closes


def test_identities_do_not_change() -> None:
    boot = bytes(range(16))
    assert entity_id(boot, 1, 0).hex() == "b7125fa125453ba0a24fad294c609f8f"
    others = {entity_id(boot, 1, 1), entity_id(boot, 2, 0), entity_id(bytes(16), 1, 0), entity_id(boot, 1, 0)}
    assert len(others) == 4
    assert {len(i) for i in others} == {16}


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = RuleError("unknown field", where="a.toml:3:7", do="did you mean process.name?", detail="x\n^")
    assert str(error) == "a.toml:3:7: unknown field\nx\n^\ndid you mean process.name?"
    assert error.exit_code is ExitCode.USAGE


def subclasses(root: type[KestrelError]) -> list[type[KestrelError]]:
    return [c for s in root.__subclasses__() for c in (s, *subclasses(s))]


def test_exit_codes_are_those_of_the_contract() -> None:
    assert [int(c) for c in ExitCode] == [0, 1, 2, 3, 4, 5, 69, 70, 77, 130, 141]
    assert {c.exit_code for c in subclasses(KestrelError)} <= set(ExitCode) - {ExitCode.OK}


ALERT = Alert(
    rule_id="r1", rule_name="Rule", severity=Severity.HIGH, rule_hash="aa", pack_hash="bb", event_ids=(3, None, 9),
    ts_boot_ns=2**63, ts_wall_ns=2**62, join_keys=(b"\xff", 2**64 - 1, None), captures=({"a": b"x"}, {}, {"b": 1}),
    threat=("T1059",), degraded=("skipped",), source_ids=(b"s",),
)  # fmt: skip


def test_an_alert_comes_back_from_json() -> None:
    assert Alert.from_json(json.loads(json.dumps(ALERT.to_json()))) == ALERT
    assert ALERT.last_event_id == 9


def test_the_digest_knows_no_order_and_no_pack_and_everything_else() -> None:
    other = dataclasses.replace(ALERT, rule_id="r0")
    assert alert_digest([ALERT, other]) == alert_digest([other, ALERT]) != alert_digest([ALERT])
    assert alert_digest([dataclasses.replace(ALERT, pack_hash="cc")]) == alert_digest([ALERT])
    changes: dict[str, Any] = {
        "rule_name": "x", "severity": Severity.LOW, "rule_hash": "x", "event_ids": (3, 4, 9), "ts_boot_ns": 1,
        "ts_wall_ns": 1, "join_keys": (), "captures": (), "threat": (), "degraded": (), "source_ids": (),
    }  # fmt: skip
    assert {f.name for f in dataclasses.fields(Alert)} == changes.keys() | {"rule_id", "pack_hash"}
    digests = {alert_digest([dataclasses.replace(ALERT, **{k: v})]) for k, v in changes.items()}
    assert len(digests | {alert_digest([ALERT])}) == len(changes) + 1


@pytest.mark.parametrize("kind", ["bpf", "rules", "recordings"])
def test_the_checkout_has_its_shipped_folders(kind: Any) -> None:
    assert resource(kind).is_dir()
