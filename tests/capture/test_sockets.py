"""Rows of the network table from raw records."""

from __future__ import annotations

from typing import Any

from kestrel_lab.capture.records import (
    NET_HAS_BYTES,
    NET_HAS_DURATION,
    NET_HAS_LOCAL,
    NET_HAS_REMOTE,
    NET_INWARD,
    NET_RET_UNKNOWN,
)
from tests.capture.support import net_record
from tests.capture.test_epochs import build, rows

HERE, THERE = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ENDS = ("source.ip", "source.port", "destination.ip", "destination.port", "network.direction")


def found(*records: Any) -> list[dict[str, Any]]:
    return rows(*build([*records]))


def record(ts: int, action: str, ret: int = 0, **more: int) -> Any:
    return net_record(ts, action, HERE, THERE, (1, 2), ret=ret, more=more)


def test_who_began_is_the_source() -> None:
    out, in_ = found(record(1, "connection_result"), record(2, "connection_accepted"))
    assert [out[name] for name in ENDS] == [b"10.0.0.1", 1, b"10.0.0.2", 2, b"egress"]
    assert [in_[name] for name in ENDS] == [b"10.0.0.2", 2, b"10.0.0.1", 1, b"ingress"]
    present = NET_HAS_LOCAL | NET_HAS_REMOTE | NET_HAS_BYTES | NET_HAS_DURATION
    mine, theirs = found(*(
        record(3 + way, "disconnect_received", received=5, sent=9, duration=7, present=present | way * NET_INWARD)
        for way in (0, 1)
    ))  # fmt: skip
    bytes_ = ("source.bytes", "destination.bytes", "event.duration")
    assert [mine[name] for name in bytes_] == [9, 5, 7]
    assert [theirs[name] for name in bytes_] == [5, 9, 7]
    assert theirs["source.ip"] == b"10.0.0.2"


def test_of_a_connection_that_was_there_already_it_is_not_known_how_long_it_stood() -> None:
    (end,) = found(record(1, "disconnect_received", received=5, sent=9, duration=7, present=NET_HAS_BYTES))
    assert (end["source.bytes"], end["destination.bytes"]) == (9, 5)
    assert "event.duration" not in end


def test_an_end_that_is_not_known_is_missing() -> None:
    (bind,) = found(record(1, "bind", present=NET_HAS_LOCAL))
    assert [bind.get(name) for name in ENDS] == [b"10.0.0.1", 1, None, None, None]
    assert bind["network.type"] == b"ipv4"
    (failed,) = found(record(1, "connection_attempted", -101, present=NET_HAS_REMOTE))
    assert [failed.get(name) for name in ENDS] == [None, None, b"10.0.0.2", 2, b"egress"]
    assert failed["network.type"] == b"ipv4"


def test_outcomes() -> None:
    unknown = NET_RET_UNKNOWN
    kinds = [("connection_attempted", unknown, b"unknown"), ("connection_attempted", -1, b"failure"),
             ("connection_result", 0, b"success"), ("connection_result", unknown, b"failure"),
             ("bind", -98, b"failure"), ("listen", 0, b"success")]  # fmt: skip
    events = found(*(record(at, action, ret) for at, (action, ret, _) in enumerate(kinds, 1)))
    assert [e["event.outcome"] for e in events] == [outcome for _, _, outcome in kinds]
    assert ["kestrel.ret" in e for e in events] == [ret != unknown for _, ret, _ in kinds]


def test_names_of_sockets_and_questions() -> None:
    unix = {"family": 1, "protocol": 0, "present": 0}
    records = [
        net_record(1, "unix_connect", b"", b"", (0, 0), text=b"/run/a\0rest", more=unix),
        net_record(2, "unix_connect", b"", b"", (0, 0), text=b"\0abstract\0", more=unix),
        net_record(3, "unix_connect", b"", b"", (0, 0), more=unix),
        net_record(4, "lookup_requested", HERE, THERE, (1, 53), text=b"\1a\0\0\34\0\1", more={"protocol": 17}),
    ]
    events = found(*records)
    assert [e.get("kestrel.socket.path") for e in events] == [b"/run/a", b"@abstract\0", None, None]
    assert [e.get("dns.question.name") for e in events] == [None, None, None, b"a"]
    assert events[3]["dns.question.type"] == b"AAAA"
    assert [e.get("network.transport") for e in events] == [None, None, None, b"udp"]
    assert not any("source.ip" in e or "network.type" in e for e in events[:3])
    assert events[0]["kestrel.socket.family"] == b"unix"


def test_numbers_without_a_name() -> None:
    (event,) = found(record(1, "raw_socket", family=99, type=77, protocol=255, present=0, netns=4026531840))
    assert (event["kestrel.socket.family"], event["kestrel.socket.type"]) == (b"99", b"77")
    assert (event["kestrel.socket.protocol"], event["kestrel.netns"]) == (255, 4026531840)
