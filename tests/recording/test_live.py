"""The log of the live engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kestrel_lab.recording import AlertLog, open_recording, verify
from kestrel_lab.schema.alert import Alert, Exhausted, Skip, alert_digest
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.severity import Severity
from tests.recording.support import LEDGER, record, small, write


def alert(number: int) -> Alert:
    return Alert(
        rule_id=f"r{number}", rule_name="Ünïcode", severity=Severity.HIGH, rule_hash="ab", pack_hash="cd",
        event_ids=(number, None, 2**64 - 1), ts_boot_ns=2**64 - 1, ts_wall_ns=-(2**63),
        join_keys=(b"\xff", None, 2**64 - 1, 1.5, True, (b"a", b"")),
        captures=({"process.args": (b"", b"\xfe"), "process.pid": -1}, {}, {"file.path": None}),
        threat=("T1059",), degraded=("lost",), source_ids=(b"x", 7),
    )  # fmt: skip


SKIP = Skip(1, 2, 3, 2**64 - 1, 10**9)
EXHAUSTED = Exhausted("r1", 4, 5, 6, 2**40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "a.krec", small().stored)
    return tmp_path / "a.krec"


def test_all_of_it_comes_back(path: Path) -> None:
    log = AlertLog(path)
    log.append([alert(1), alert(2)])
    log.progress(0)
    log.append([])
    log.append([alert(3)])
    log.skip(SKIP)
    log.exhausted(EXHAUSTED)
    log.progress(3)
    assert not open_recording(path).live.ended
    log.close(digest="d")
    found = open_recording(path)
    assert found.live_alerts == [alert(1), alert(2), alert(3)]
    assert alert_digest(found.live_alerts) == alert_digest([alert(3), alert(1), alert(2)])
    assert (found.skips, found.exhausted) == ([SKIP], [EXHAUSTED])
    assert (found.live.progress, found.live.ended, found.live.digest) == (3, True, "d")
    assert found.live.damage == []


def test_no_engine_ran(path: Path) -> None:
    live = open_recording(path).live
    assert (live.alerts, live.skips, live.exhausted, live.progress, live.ended) == ([], [], [], -1, False)


def test_an_engine_that_starts_again_goes_on(path: Path) -> None:
    log = AlertLog(path)
    log.append([alert(1)])
    with pytest.raises(UsageError, match="another engine"):
        AlertLog(path)
    log.progress(5)
    log._lock.release()
    # A torn end: an alert was being written when it died.
    with open(path / "live/journal", "ab") as journal, open(path / "live/alerts.arrows", "ab") as alerts:
        journal.write(b"half a line")
        alerts.write(b"half a batch")
    again = AlertLog(path)
    again.append([alert(2)])
    again.close()
    live = open_recording(path).live
    assert live.alerts == [alert(1), alert(2)]
    assert live.progress == 5
    assert live.damage == []


def test_cut_at_every_byte(path: Path) -> None:
    log = AlertLog(path)
    log.append([alert(1)])
    log.append([alert(2)])
    log.progress(1)
    log.close()
    journal = path / "live/journal"
    data = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for size in range(len(data) - 1, -1, -1):
        os.truncate(journal, size)
        live = open_recording(path).live
        assert len(live.alerts) == sum(end <= size for end in ends[:2])
        assert not live.damage


@pytest.mark.parametrize("name", ["journal", "alerts.arrows"])
def test_a_changed_byte(path: Path, name: str) -> None:
    log = AlertLog(path)
    log.append([alert(1)])
    log.append([alert(2)])
    log.close()
    file = path / "live" / name
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    live = open_recording(path).live
    assert live.alerts == [alert(2)]
    assert len(live.damage) == 1
    assert name in live.damage[0]
    assert [d.reason for d in verify(path).damage] == live.damage


def test_beside_a_growing_recording(tmp_path: Path) -> None:
    writer = write(tmp_path / "a.krec", small().stored)
    log = AlertLog(tmp_path / "a.krec")
    log.append([alert(1)])
    writer.close(LEDGER)
    log.append([alert(2)])
    log.close()
    assert len(open_recording(tmp_path / "a.krec").live_alerts) == 2
    assert verify(tmp_path / "a.krec").ok
