"""Filters in the kernel: one actor does the same for everybody, and only what was to stay is seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.capture import CaptureConfig
from kestrel_lab.capture.filters import parse_filters

from .actors import CALLS
from .support import Seen, capture, joining, own_cgroup, run

ACTOR = (
    CALLS
    + r"""
import socket, time

folder = sys.argv[1]
os.chdir(folder)
"name".encode("idna")  # a user that is not root may not read what it needs

def act(name, uid=0):
    def do():
        libc.prctl(15, name.encode(), 0, 0, 0)
        if uid:
            os.setresuid(uid, uid, uid)
        for where in ("kept", "dropped", "dropped/but this"):
            with open(f"{where}/{name}", "w") as file:
                file.write(name)
            os.chmod(f"{where}/{name}", 0o600)
        for server in servers:
            with socket.create_connection(("127.0.0.1", server.getsockname()[1])):
                pass
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(b"x", ("127.0.0.1", 5353))
        return os.getpid()
    child(name, do)

for where in ("kept", "dropped", "dropped/but this"):
    os.mkdir(f"{folder}/{where}")
    os.chmod(f"{folder}/{where}", 0o777)
os.chmod(folder, 0o777)
servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
told["ports"] = [server.getsockname()[1] for server in servers]
act("one")
act("two")
act("three", 1234)
tell()
"""
)


@dataclass
class Filtered:
    """What was seen of the actor's children with some filters."""

    seen: Seen
    told: dict[str, Any]
    folder: Path

    def of(self, child: str) -> set[bytes]:
        """Return what a child was seen doing."""
        return {e["event.action"] for e in self.seen.events() if e["process.pid"] == self.told[child]}

    def files(self, child: str) -> set[tuple[bytes, str]]:
        """Return what it did, and where."""
        own = [e for e in self.seen.events() if e["process.pid"] == self.told[child] and "file.path" in e]
        return {(e["event.action"], str(Path(e["file.path"].decode()).parent.relative_to(self.folder))) for e in own}

    def ports(self, child: str) -> set[tuple[bytes, int]]:
        """Return what it did with connections, and which of the servers or another port at the other end."""
        own = [e for e in self.seen.events() if e["process.pid"] == self.told[child] and "destination.port" in e]
        return {(e["event.action"], e["destination.port"]) for e in own}


def record(folder: Path, *texts: str) -> Filtered:
    import json
    import sys

    with own_cgroup() as cgroup:
        command = joining(cgroup, sys.executable, "-c", ACTOR, str(folder))
        config = CaptureConfig(cgroup=cgroup, filters=parse_filters(texts))
        seen = capture(lambda source: run(source, *command), config)
    ledger = seen.ledger
    assert ledger.seen == ledger.filtered + ledger.lost_ring + ledger.received
    assert ledger.filtered > 0
    found = Filtered(seen, json.loads((folder / "told").read_text()), folder)
    for child in ("one", "two", "three"):
        assert {b"fork", b"end"} <= found.of(child), "identities rest on them: they are never filtered"
    return found


LIFE = {b"fork", b"end"}
CONNECTION = {b"connection_attempted", b"connection_result", b"disconnect_received"}


@pytest.mark.parametrize(
    ("text", "stay"), [("comm!=two,three", "one"), ("comm=two", "two"), ("uid=1234", "three"), ("uid!=0", "three")]
)
def test_by_who_does_it(tmp_path: Path, text: str, stay: str) -> None:
    found = record(tmp_path, text)
    assert {b"creation", b"modification", b"chmod", b"datagram_sent"} | CONNECTION <= found.of(stay)
    for other in {"one", "two", "three"} - {stay}:
        left = found.of(other) - LIFE
        if text.startswith("uid"):
            assert not left, other
        else:  # before it took its name it had its creator's
            assert left <= {b"name_change", b"uid_change"}, other


def test_by_path_where_it_was_reached(tmp_path: Path) -> None:
    found = record(tmp_path, f"path!={tmp_path}/dropped/", f"path={tmp_path}/dropped/but this,/")
    files = found.files("one")
    for action in (b"creation", b"modification"):
        assert {where for what, where in files if what == action} == {"kept", "dropped/but this"}
    assert {where for what, where in files if what == b"chmod"} == {"kept", "dropped", "dropped/but this"}, (
        "a name as given may lead anywhere: what is done by name stays"
    )
    assert found.of("one") >= CONNECTION


def test_only_a_path(tmp_path: Path) -> None:
    found = record(tmp_path, f"path={tmp_path}/kept/")
    assert {where for what, where in found.files("two") if what == b"creation"} == {"kept"}


def test_by_port_of_either_end(tmp_path: Path) -> None:
    found = record(tmp_path, "port!=5353")
    assert found.of("one") >= CONNECTION
    assert b"datagram_sent" not in found.of("one")
    assert b"creation" in found.of("one")


def test_only_a_port_that_is_known_beforehand(tmp_path: Path) -> None:
    found = record(tmp_path, "port=5353")
    assert found.ports("one") == {(b"datagram_sent", 5353)}
    assert not found.seen.of("listen"), "the servers' port is another"


def test_by_cgroup(tmp_path: Path) -> None:
    with own_cgroup() as outer, own_cgroup() as other:
        inner = outer / "inner"
        inner.mkdir()
        try:
            config = CaptureConfig(filters=parse_filters([f"cgroup={outer}", f"cgroup!={inner}"]))
            write = ["sh", "-c", f'echo > "{tmp_path}/$0"']

            def act(source: Any) -> list[Any]:
                places = [(outer, "outer"), (inner, "inner"), (other, "other")]
                return [epoch for place, name in places for epoch in run(source, *joining(place, *write, name))]

            seen = capture(act, config)
        finally:
            inner.rmdir()
    made = {Path(e["file.path"].decode()).name for e in seen.of("creation")}
    assert made == {"outer"}
    assert len([e for e in seen.of("exec") if e["process.args"][-1:] == (b"inner",)]) >= 1, "execs are never filtered"
