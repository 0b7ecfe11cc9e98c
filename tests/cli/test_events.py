"""What `dump` prints, from synthetic epochs."""

import json
import time
from typing import Any

from kestrel_lab.cli import events
from kestrel_lab.schema.ids import entity_id
from tests.support.epochs import BOOT_ID, INFO, source

EVENTS: list[dict[str, Any]] = [
    {"table": "process", "action": "exec", "pid": 7, "ppid": 1, "name": "sh", "executable": "/bin/sh",
     "args": ["sh", b"\xff"], "user.id": "0"},
    {"table": "file", "action": "rename", "pid": 7, "file.path": "/tmp/b\x1b", "file.Ext.original.path": "/tmp/a.txt",
     "file.inode": 2**64 - 1},
    {"table": "network", "action": "connection_result", "pid": 7, "destination.ip": "::1", "destination.port": 443,
     "kestrel.ret": -111, "event.outcome": "failure"},
    {"table": "process", "action": "end", "pid": 7, "process.exit_code": 3},
]  # fmt: skip


def dump(rows: int = 8, segments: int = 1_000_000, **wanted: int) -> list[dict[str, Any]]:
    made = source(EVENTS, epoch_rows=rows, segment_epochs=segments)
    text = b"".join(events.ndjson(INFO, made.epochs(), events.Range(**wanted)))
    return [json.loads(line) for line in text.splitlines()]


def test_the_bytes_of_an_event() -> None:
    made = source(EVENTS[:1])
    assert (
        b"".join(events.ndjson(INFO, made.epochs(), events.Range()))
        == (
            b'{"@timestamp":"2023-11-14T22:13:21.001000000Z","kestrel.ts_boot_ns":1001000000,"event.sequence":1,'
            b'"event.category":["process"],"event.type":["start"],"event.action":"exec","event.kind":"event",'
            b'"host.os.type":"linux","host.id":"h1","host.name":"box","kestrel.cpu":0,"kestrel.flags":0,'
            b'"process.entity_id":"%s","process.pid":7,"process.thread.id":0,'
            b'"process.name":"sh","process.executable":"/bin/sh","process.args":["sh",{"$bytes":"/w=="}],'
            b'"process.args_count":2,"process.command_line":{"$bytes":"c2gg/w=="},"user.id":"0","process.user.id":"0",'
            b'"user.effective.id":"0"}\n'
        )
        % entity_id(BOOT_ID, 7, 1).hex().encode()
    )


def test_events_come_in_id_order_with_exact_values() -> None:
    found = dump()
    assert [e["event.sequence"] for e in found] == [1, 2, 3, 4]
    assert found[1]["file.inode"] == 2**64 - 1
    assert found[1]["file.Ext.original.name"] == "a.txt"
    assert found[2]["kestrel.ret"] == -111
    assert found[3]["process.exit_code"] == 3
    assert "process.exit_code" not in found[0]


def test_cutting_into_epochs_and_segments_changes_nothing() -> None:
    assert dump(rows=1) == dump(rows=2, segments=1) == dump(rows=3) == dump()


def test_a_range_is_inclusive_by_id_and_by_time() -> None:
    assert [e["event.sequence"] for e in dump(first_id=2, last_id=3)] == [2, 3]
    assert [e["event.sequence"] for e in dump(from_ns=1_002_000_000, to_ns=1_003_000_000)] == [2, 3]
    assert dump(first_id=9) == []


def test_lines_are_safe_on_a_terminal() -> None:
    made = source(EVENTS)
    text = b"".join(events.lines(INFO, made.epochs(), events.Range())).decode()
    assert "/tmp/a.txt  /tmp/b\\x1b" in text
    assert "::1  443" in text
    assert len(text.splitlines()) == 4


def test_small_epochs_are_joined_so_that_a_hundred_thousand_events_take_seconds() -> None:
    made = source(EVENTS * 5_000, epoch_rows=16)
    begin = time.process_time()
    total = sum(chunk.count(b"\n") for chunk in events.ndjson(INFO, made.epochs(), events.Range()))
    assert total == 20_000
    assert time.process_time() - begin < 5
