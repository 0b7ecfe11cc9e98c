"""Alerts as people and programs read them."""

import json
import re
from pathlib import Path

import pytest

from kestrel_lab.cli import alerts
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.severity import Severity

ALERT = Alert(
    rule_id="r1",
    rule_name="Shell connects out",
    severity=Severity.HIGH,
    rule_hash="aa",
    pack_hash="bb",
    event_ids=(7, None, 12),
    ts_boot_ns=5,
    ts_wall_ns=1767323045678000000,
    join_keys=(b"x\xff", 3),
    captures=(
        {"process.name": b"sh"},
        {},
        {"process.name": b"bash\x1b[2J", "destination.ip": b"::1", "destination.port": 443},
    ),
    threat=("T1059",),
)


def test_the_line_of_an_alert_names_time_severity_rule_events_and_subject() -> None:
    assert alerts.line(ALERT) == "03:04:05.678  HIGH      Shell connects out  [7 - 12]  bash\\x1b[2J: ::1:443"


def test_the_ndjson_of_an_alert_is_its_own_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    alerts.show([ALERT], "ndjson")
    line = capsysbinary.readouterr().out
    assert line == (
        b'{"rule_id":"r1","rule_name":"Shell connects out","severity":"high","rule_hash":"aa","pack_hash":"bb",'
        b'"event_ids":[7,null,12],"source_ids":[],"join_keys":[{"$bytes":"eP8="},3],"ts_boot_ns":5,'
        b'"ts_wall_ns":1767323045678000000,"captures":[{"process.name":"sh"},{},{"process.name":"bash\\u001b[2J",'
        b'"destination.ip":"::1","destination.port":443}],"threat":["T1059"],"degraded":[]}\n'
    )
    assert Alert.from_json(json.loads(line)) == ALERT


def test_no_alerts_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    alerts.show([], "table")
    alerts.show([], "ndjson")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("ids", "text"),
    [((1,), "1"), ((1, 2, 3, 4), "1 2 3 4"), ((1, 2, 3, 4, 5, 6), "1 … 4 5 6"), ((None, 9), "- 9")],
)
def test_long_evidence_is_cut(ids: tuple[int | None, ...], text: str) -> None:
    assert alerts.event_ids(ids) == text


def test_without_captures_the_join_keys_stand_for_the_subject() -> None:
    bare = Alert("r", "n", Severity.LOW, "", "", (1,), 0, 0, join_keys=(b"key", 7))
    assert alerts.subject(bare) == "key 7"


#: The keys that whoever reads alerts may count on.
PROMISED = {
    "rule_id", "rule_name", "severity", "event_ids", "source_ids", "join_keys", "ts_boot_ns", "ts_wall_ns", "captures",
    "threat", "pack_hash",
}  # fmt: skip


def test_every_key_is_in_the_docs() -> None:
    doc = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", doc, re.M)))
    assert set(ALERT.to_json()) == set(listed)
    assert set(listed) >= PROMISED
