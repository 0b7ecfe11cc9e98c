"""What is done with sockets besides TCP's handshake: in network namespaces of the actor's own, by the 64-bit system
calls, by the 32-bit ones, and by the old call that stands for all of them.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from .actors import CALLS, Story
from .support import Event

ACTOR = (
    CALLS
    + r"""
import fcntl, socket, struct, time
FULL = os.fsencode(sys.argv[1])
NUMBERS = {
    "64": (call64, dict(socket=41, bind=49, connect=42, listen=50)),
    "32": (call32, dict(socket=359, bind=361, connect=362, listen=363)),
    "old": (call32, dict(socket=1, bind=2, connect=3, listen=4)),
}

def inet(address, port):
    raw = socket.inet_aton(address)
    return put(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + raw + bytes(8)), 16
def inet6(address, port):
    raw = socket.inet_pton(socket.AF_INET6, address)
    return put(struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + raw + bytes(4)), 28
def unix(name):
    raw = struct.pack("=H", socket.AF_UNIX) + name + (b"" if name.startswith(b"\0") else b"\0")
    return put(raw), len(raw)

def alone():
    assert libc.unshare(0x40000000) == 0  # CLONE_NEWNET
    with socket.socket() as s:  # SIOCSIFFLAGS: lo is up and running
        fcntl.ioctl(s, 0x8914, struct.pack("16sH", b"lo", 0x41).ljust(40, b"\0"))

def question(name, kind):
    labels = b"".join(bytes([len(l)]) + l for l in name.split(b".")) + b"\0"
    return struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!HH", kind, 1)

def acts(abi, call, nr):
    alone()
    folder = FULL + b"/" + abi.encode()
    os.mkdir(folder)
    os.chdir(folder)
    if abi == "old":
        def do(name, *args):
            return call32(102, nr[name], put(struct.pack("=%di" % len(args), *args)))
    else:
        def do(name, *args):
            return call(nr[name], *args)
    got = {"netns": os.stat("/proc/self/ns/net").st_ino}
    server = do("socket", 2, 1, 0)
    got["bind"] = [do("bind", server, *inet("127.0.0.1", 4001)),
                   do("bind", do("socket", 10, 1, 0), *inet6("::1", 4002)),
                   do("bind", do("socket", 2, 1, 0), *inet("127.0.0.1", 4001)),
                   do("bind", do("socket", 1, 1, 0), *unix(b"a name \xff")),
                   do("bind", do("socket", 1, 1, 0), *unix(b"no/where"))]
    got["listen"] = [do("listen", server, 1)]
    named = do("socket", 1, 1, 0)
    assert do("bind", named, *unix(b"\0abstract\0\1")) == 0
    assert do("listen", named, 1) == 0
    here = do("socket", 1, 5, 0)
    assert do("bind", here, *unix(folder + b"/served")) == 0 and do("listen", here, 1) == 0
    got["unix"] = [do("connect", do("socket", 1, 1, 0), *unix(b"\0abstract\0\1")),
                   do("connect", do("socket", 1, 5, 0), *unix(b"./served")),
                   do("connect", do("socket", 1, 1, 0), *unix(b"/no/such"))]
    got["connect"] = [do("connect", do("socket", 2, 1, 0), *inet("10.1.2.3", 80)),
                      do("connect", do("socket", 10, 1, 0), *inet6("2001:db8::7", 443)),
                      do("connect", do("socket", 2, 2, 0), *inet("10.1.2.3", 81)),
                      do("connect", do("socket", 2, 2, 0), *inet("127.0.0.1", 82)),
                      do("connect", do("socket", 2, 1, 0), *inet("127.0.0.1", 4003))]
    raws = [do("socket", 2, 3, 1), do("socket", 17, 3, 0x0300), do("socket", 10, 3 | 0o2000000, 58)]
    got["raw"] = [raw >= 0 for raw in raws]
    client = do("socket", 2, 1, 0)
    assert do("connect", client, *inet("127.0.0.1", 4001)) == 0
    peer, _ = socket.socket(fileno=os.dup(server)).accept()
    mine = socket.socket(fileno=client)
    mine.sendall(b"x" * 3000)
    peer.recv(3000, socket.MSG_WAITALL)
    peer.sendall(b"y" * 500)
    mine.recv(500, socket.MSG_WAITALL)
    time.sleep(0.05)
    mine.close()
    peer.recv(1)
    peer.close()
    os.setresuid(1001, 1001, 1001)
    got["raw"].append(do("socket", 2, 3, 1))
    return got

def datagrams(family, address):
    alone()
    time.sleep(0.1)
    servers = []
    for port in (53, 5353, 99):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((address, port))
        servers.append(s)
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        for _ in range(3):
            s.sendto(b"one", (address, 99))
        s.sendto(question(b"Example.com", 28), (address, 53))
        s.connect((address, 53))
        s.send(question(b"a" * 63 + b"." + b"b\xff" * 30 + b".c" * 60, 1))
        s.send(question(b"", 2)[:12] + b"\0" + struct.pack("!HH", 999, 1))
        s.send(b"\0" * 30)  # asks nothing
        s.send(question(b"cut.example", 1)[:18])
        s.send(bytearray(b"\0\0\x80\0\0\1") + bytes(20))  # an answer
    if not os.fork():  # another process: its first one
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.sendto(b"other", (address, 99))
        os._exit(0)
    os.wait()

for abi, (call, nr) in NUMBERS.items():
    child(abi, lambda: acts(abi, call, nr))
child("udp4", lambda: datagrams(socket.AF_INET, "127.0.0.1"))
child("udp6", lambda: datagrams(socket.AF_INET6, "::1"))
tell()
"""
)
ABIS = pytest.mark.parametrize("abi", ["64", "32", "old"])
LOCAL, REMOTE = ("source.ip", "source.port"), ("destination.ip", "destination.port")
KIND = ("kestrel.socket.family", "kestrel.socket.type", "network.transport")


class Calls(Story):
    """The story, and what its calls gave."""

    def gave(self, child: str, kind: str) -> Any:
        """Return what calls gave."""
        return self.told[child + " gave"][kind]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return Calls(tmp_path_factory.mktemp("story"), ACTOR)


def values(events: list[Event], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(event.get(name) for name in names) for event in events]


def rets(events: list[Event]) -> list[int]:
    return [event["kestrel.ret"] for event in events]


@ABIS
def test_binds(story: Calls, abi: str) -> None:
    events = story.acts(abi, "bind")[:5]
    assert rets(events) == story.gave(abi, "bind") == [0, 0, -errno.EADDRINUSE, 0, -errno.ENOENT]
    assert values(events[:3], *LOCAL, *REMOTE) == [
        (b"127.0.0.1", 4001, None, None), (b"::1", 4002, None, None), (b"127.0.0.1", 4001, None, None),
    ]  # fmt: skip
    assert values(events[3:], "kestrel.socket.path", *LOCAL) == [
        (b"a name \xff", None, None), (b"no/where", None, None),
    ]  # fmt: skip
    assert values(events, *KIND)[::3] == [(b"inet", b"stream", b"tcp"), (b"unix", b"stream", None)]
    assert {e["kestrel.netns"] for e in events} == {story.gave(abi, "netns")}
    assert [e["event.outcome"] for e in events[1:3]] == [b"success", b"failure"]


@ABIS
def test_listens(story: Calls, abi: str) -> None:
    by_port, abstract, served = story.acts(abi, "listen")
    assert values([by_port], *LOCAL, "kestrel.ret") == [(b"127.0.0.1", 4001, 0)]
    assert abstract["kestrel.socket.path"] == b"@abstract\0\1"
    path = os.fsencode(story.folder / abi / "served")
    assert (served["kestrel.socket.path"], served["kestrel.socket.type"]) == (path, b"seqpacket")


@ABIS
def test_connects_to_a_name(story: Calls, abi: str) -> None:
    events = story.acts(abi, "unix_connect")
    assert rets(events) == story.gave(abi, "unix") == [0, 0, -errno.ENOENT]
    served = os.fsencode(story.folder / abi / "served")  # as it was bound, not as it was given
    assert values(events, "kestrel.socket.path") == [(b"@abstract\0\1",), (served,), (b"/no/such",)]
    assert not any("destination.ip" in e for e in events)


@ABIS
def test_connects_that_lead_nowhere(story: Calls, abi: str) -> None:
    gave = story.gave(abi, "connect")
    assert gave == [-errno.ENETUNREACH] * 3 + [0, -errno.ECONNREFUSED]
    failed = [e for e in story.acts(abi, "connection_attempted") if "kestrel.ret" in e]
    assert values(failed, *LOCAL, *REMOTE, "kestrel.ret") == [
        (None, None, b"10.1.2.3", 80, gave[0]), (None, None, b"2001:db8::7", 443, gave[1]),
        (None, None, b"10.1.2.3", 81, gave[2]),
    ]  # fmt: skip
    assert values(failed, "network.transport", "network.direction", "event.outcome") == [
        (kind, b"egress", b"failure") for kind in (b"tcp", b"tcp", b"udp")
    ]
    attempted = [e for e in story.acts(abi, "connection_attempted") if "kestrel.ret" not in e]
    assert [e["destination.port"] for e in attempted] == [4003, 4001]


@ABIS
def test_raw_sockets(story: Calls, abi: str) -> None:
    events = story.acts(abi, "raw_socket")
    assert story.gave(abi, "raw") == [True, True, True, -errno.EPERM]
    assert rets(events) == [0, 0, 0, -errno.EPERM]
    assert values(events, "kestrel.socket.family", "kestrel.socket.type", "kestrel.socket.protocol") == [
        (b"inet", b"raw", 1), (b"packet", b"raw", 0x300), (b"inet6", b"raw", 58), (b"inet", b"raw", 1),
    ]  # fmt: skip
    assert [e.get("network.transport") for e in events] == [b"icmp", None, b"ipv6-icmp", b"icmp"]


@ABIS
def test_the_end_of_a_connection_has_its_bytes_and_its_duration(story: Calls, abi: str) -> None:
    ends = {e["network.direction"]: e for e in story.acts(abi, "disconnect_received")}
    assert sorted(ends) == [b"egress", b"ingress"]
    for end in ends.values():
        assert (end["source.bytes"], end["destination.bytes"]) == (3000, 500)
        assert (end["source.ip"], end["destination.port"]) == (b"127.0.0.1", 4001)
        assert 50_000_000 <= end["event.duration"] < 5_000_000_000


@pytest.mark.parametrize(("child", "address"), [("udp4", b"127.0.0.1"), ("udp6", b"::1")])
def test_datagrams_and_questions(story: Calls, child: str, address: bytes) -> None:
    sent = story.acts(child, "datagram_sent")
    assert values(sent, *REMOTE, "network.transport", "network.direction") == [
        (address, port, b"udp", b"egress") for port in (99, 53)
    ]
    asked = story.acts(child, "lookup_requested")
    long = b"a" * 63 + b"." + b"b\xff" * 30 + b".c" * 60
    assert values(asked, "dns.question.name", "dns.question.type", "destination.port") == [
        (b"Example.com", b"AAAA", 53), (long, b"A", 53), (b".", b"999", 53), (None, None, 53),
    ]  # fmt: skip
    (other,) = [e for e in story.seen.of("datagram_sent", destination__ip=address)
                if e["process.pid"] not in (story.told["udp4"], story.told["udp6"])]  # fmt: skip
    assert other["process.parent.pid"] == story.told[child]
