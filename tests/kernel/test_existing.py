"""What was there before the recording began is told as events: by an actor that made it all, then waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.capture.existing import mounts
from kestrel_lab.schema.schema import BUILTIN

from .actors import CALLS
from .support import Event, Seen, capture, joining, own_cgroup, run, settle

ACTOR = (
    CALLS
    + r"""
import socket, struct

def bpf(command, attributes):
    return call64(321, command, ctypes.addressof(attributes), len(attributes))

server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b"x" * 100)
assert len(peer.recv(1000)) == 100
told["port"], told["client port"] = server.getsockname()[1], client.getsockname()[1]
asked = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
asked.connect(("::1", 5353))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
named = socket.socket(socket.AF_UNIX)
named.bind("\0kestrel-test-%d" % os.getpid())
named.listen()
to_named = socket.socket(socket.AF_UNIX)
to_named.connect(named.getsockname())
nameless = socket.socketpair()
held_twice = os.dup(server.fileno())

code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"), 16)  # return 0
license = ctypes.create_string_buffer(b"GPL")
attributes = ctypes.create_string_buffer(struct.pack(
    "<IIQQIIQII16s", 1, 2, ctypes.addressof(code), ctypes.addressof(license), 0, 0, 0, 0, 0, b"kestrel_test"), 128)
told["program"] = bpf(5, attributes)
assert told["program"] > 0, told

def child_holds():  # the same listening socket, of another process
    if not os.fork():
        os.read(0, 1)
        os._exit(0)
child_holds()
mount_point = sys.argv[1] + "/a mount"
os.mkdir(mount_point)
libc.unshare(0x00020000)
libc.mount(b"none", b"/", None, 0x44000, None)  # private, recursively
libc.mount(b"source", mount_point.encode(), b"tmpfs", 2 | 8, None)
told["mount"] = mount_point
tell()
os.rename(sys.argv[1] + "/told", sys.argv[1] + "/ready")
os.read(0, 1)
client.sendall(b"y" * 11)
assert len(peer.recv(1000)) == 11
client.close()
peer.close()
os._exit(0)
"""
)


@dataclass
class Stood:
    """An actor that stood before the recording, what it told, and what was seen."""

    seen: Seen
    told: dict[str, int]
    pid: int

    def sockets(self, **wanted: object) -> list[Event]:
        return self.seen.of("existing_socket", process__pid=self.pid, **wanted)


@contextmanager
def standing(folder: Path, cgroup: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = joining(cgroup, sys.executable, "-c", ACTOR, str(folder))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as actor:
        while not (folder / "ready").exists():
            assert actor.poll() is None
        yield actor


@pytest.fixture(scope="module", params=["scoped", "whole machine"])
def stood(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stood:
    folder = tmp_path_factory.mktemp("existing")
    with own_cgroup() as cgroup, standing(folder, cgroup) as actor:

        def act(source: LiveSource) -> object:
            before = settle(source)
            assert actor.stdin is not None
            actor.stdin.close()
            actor.wait()
            return before

        config = CaptureConfig(cgroup=cgroup if request.param == "scoped" else None)
        seen = capture(act, config)
    return Stood(seen, json.loads((folder / "ready").read_text()), actor.pid)


def test_every_process_has_an_event(stood: Stood) -> None:
    (event,) = stood.seen.of("existing_process", process__pid=stood.pid)
    assert event["process.args"][1] == b"-c"
    assert event["process.Ext.stdin.type"] == b"pipe"
    assert event["process.Ext.stdout.type"] == b"char_device"
    assert event["event.type"] == (b"info",)
    processes = stood.seen.of("existing_process")
    assert len({e["process.pid"] for e in processes}) == len(processes)
    assert len(stood.seen.of("existing_process", process__parent__pid=stood.pid)) == 1


def test_listening_and_connected_sockets_are_told_with_who_began_and_what_went_over_them(stood: Stood) -> None:
    (listening,) = stood.sockets(kestrel__socket__state=b"listen", source__port=stood.told["port"])
    assert (listening["source.ip"], listening["network.transport"]) == (b"127.0.0.1", b"tcp")
    assert "destination.ip" not in listening
    assert "network.direction" not in listening
    ends = stood.sockets(kestrel__socket__state=b"established", destination__port=stood.told["port"])
    assert sorted(e["network.direction"] for e in ends) == [b"egress", b"ingress"]
    for end in ends:
        assert (end["source.ip"], end["source.port"]) == (b"127.0.0.1", stood.told["client port"])
        assert (end["source.bytes"], end["destination.bytes"]) == (100, 0)


def test_other_sockets(stood: Stood) -> None:
    (udp,) = stood.sockets(network__transport=b"udp")
    assert (udp["destination.ip"], udp["destination.port"], udp["network.direction"]) == (b"::1", 5353, b"egress")
    (raw,) = stood.sockets(kestrel__socket__type=b"raw")
    assert (raw["kestrel.socket.protocol"], raw["network.transport"]) == (1, b"icmp")
    unix = stood.sockets(kestrel__socket__family=b"unix")
    name = b"@kestrel-test-%d" % stood.pid
    assert [(e["kestrel.socket.path"], e["kestrel.socket.state"], e.get("network.direction")) for e in unix] == [
        (name, b"listen", None), (name, b"established", b"egress"),
    ]  # fmt: skip


def test_a_socket_is_told_once_for_each_process_that_holds_it(stood: Stood) -> None:
    of_child = stood.seen.of("existing_socket", process__parent__pid=stood.pid, kestrel__socket__state=b"listen",
                             source__port=stood.told["port"])  # fmt: skip
    assert len(of_child) == 1


def test_the_end_of_a_connection_that_was_there_already_has_its_owner(stood: Stood) -> None:
    ends = stood.seen.of("disconnect_received", destination__port=stood.told["port"])
    assert sorted(e["network.direction"] for e in ends) == [b"egress", b"ingress"]
    for end in ends:
        assert end["process.pid"] == stood.pid
        assert (end["source.bytes"], end["destination.bytes"]) == (111, 0)
        assert "event.duration" not in end


def test_mounts_are_told_of_each_mount_namespace(stood: Stood) -> None:
    (mount,) = stood.seen.of("existing_mount", file__path=os.fsencode(stood.told["mount"]))
    assert (mount["kestrel.mount.source"], mount["kestrel.mount.type"]) == (b"source", b"tmpfs")
    assert {b"nosuid", b"noexec"} <= set(mount["kestrel.call_flags"])
    assert mount["process.pid"] == stood.pid


def test_a_bpf_program_is_told_with_who_holds_it(stood: Stood) -> None:
    programs = stood.seen.of("existing_bpf", kestrel__name=b"kestrel_test")
    assert {e["process.pid"] for e in programs} >= {stood.pid}
    assert {e["kestrel.request"] for e in programs} == {b"socket_filter"}
    assert len({e["kestrel.bpf.id"] for e in programs}) == 1
    assert not stood.seen.of("existing_bpf", process__pid=os.getpid()), "the recorder's own"


def test_it_comes_before_what_happens_and_the_ledger_closes(stood: Stood) -> None:
    events = stood.seen.events()
    places = [at for at, e in enumerate(events) if e["event.action"].startswith(b"existing_")]
    assert places == list(range(len(places)))
    ledger = stood.seen.ledger
    assert ledger.seen == ledger.filtered + ledger.lost_ring + ledger.received
    assert ledger.received == len(events)


def test_what_is_not_asked_for_is_not_told() -> None:
    wanted = frozenset({BUILTIN.action_code("network", "existing_socket")})
    seen = capture(lambda s: run(s, "true"), CaptureConfig(actions=wanted, hashes=False))
    assert {e["event.action"] for e in seen.events()} <= {b"existing_socket", b"fork", b"exec", b"end"}


def test_mountinfo_is_read_as_the_kernel_writes_it() -> None:
    line = rb"36 35 98:0 /mnt\0401 /a\011b\134040c rw,nosuid,noatime master:1 shared:7 - ext3 /dev/r\012t rw,errors=x"
    assert list(mounts(line + b"\n")) == [((b"/a\tb\\040c", b"/dev/r\nt", b"ext3", b"/mnt 1"), 2 | 1024)]
    assert list(mounts(b"1 1 0:5 / /proc ro - proc proc rw")) == [((b"/proc", b"proc", b"proc", b""), 1)]
