from __future__ import annotations

import errno
import os
import socket

import pytest

from kestrel_lab.capture import LiveSource

from .support import Event, Seen, capture

ENDS = ("source.ip", "source.port", "destination.ip", "destination.port")


def own(seen: Seen, action: str, port: int) -> Event:
    found = [e for e in seen.of(action, process__pid=os.getpid()) if e.get("destination.port") == port]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("family", "address", "kind"),
    [(socket.AF_INET, "127.0.0.1", b"ipv4"), (socket.AF_INET6, "::1", b"ipv6")],
)
def test_connect_and_accept(family: int, address: str, kind: bytes) -> None:
    ports = {}

    def act(_: LiveSource) -> None:
        with socket.create_server((address, 0), family=family) as server:
            ports["server"] = server.getsockname()[1]
            with socket.create_connection((address, ports["server"])) as client:
                ports["client"] = client.getsockname()[1]
                server.accept()[0].close()

    seen = capture(act)
    attempt, result, accept = (
        own(seen, f"connection_{name}", ports["server"]) for name in ("attempted", "result", "accepted")
    )
    text = address.encode()
    assert [e["event.sequence"] for e in (attempt, result, accept)] == sorted(
        e["event.sequence"] for e in (attempt, result, accept)
    )
    assert [attempt.get(n) for n in ENDS] == [text, None, text, ports["server"]]
    for event, direction in ((result, b"egress"), (accept, b"ingress")):
        assert [event[n] for n in ENDS] == [text, ports["client"], text, ports["server"]]
        assert event["network.direction"] == direction
        assert (event["kestrel.ret"], event["event.outcome"]) == (0, b"success")
    assert attempt["event.outcome"] == b"unknown"
    assert "kestrel.ret" not in attempt
    assert {e["network.type"] for e in (attempt, result, accept)} == {kind}
    assert {e["network.transport"] for e in (attempt, result, accept)} == {b"tcp"}
    assert {e["user.id"] for e in (attempt, result, accept)} == {b"0"}
    assert {e["process.executable"] for e in (attempt, result, accept)} == {os.readlink("/proc/self/exe").encode()}


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_refused_connect(family: int, address: str) -> None:
    with socket.socket(family) as held:  # bound, not listening: nobody else gets the port
        held.bind((address, 0))
        port = held.getsockname()[1]

        def act(_: LiveSource) -> None:
            with socket.socket(family) as client:
                assert client.connect_ex((address, port)) == errno.ECONNREFUSED

        seen = capture(act)
    assert own(seen, "connection_attempted", port)["event.outcome"] == b"unknown"
    result = own(seen, "connection_result", port)
    assert (result["kestrel.ret"], result["event.outcome"]) == (-errno.ECONNREFUSED, b"failure")
    assert result["source.port"] > 0


def test_an_ipv4_address_mapped_into_ipv6_is_written_as_ipv4() -> None:
    ports = []

    def act(_: LiveSource) -> None:
        with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            ports.append(server.getsockname()[1])
            with socket.socket(socket.AF_INET6) as client:
                client.connect(("::ffff:127.0.0.1", ports[0]))
                server.accept()[0].close()

    seen = capture(act)
    for name in ("attempted", "result", "accepted"):
        event = own(seen, f"connection_{name}", ports[0])
        assert (event["source.ip"], event["destination.ip"]) == (b"127.0.0.1", b"127.0.0.1")
        assert event["network.type"] == b"ipv4"


def test_the_result_of_a_connect_that_does_not_wait_is_the_connectors() -> None:
    ports = []

    def act(_: LiveSource) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            ports.append(server.getsockname()[1])
            client.setblocking(False)
            assert client.connect_ex(("127.0.0.1", ports[0])) in (0, errno.EINPROGRESS)
            server.accept()[0].close()

    seen = capture(act)
    assert own(seen, "connection_result", ports[0])["process.pid"] == os.getpid()


def test_other_sockets_make_no_rows() -> None:
    def act(_: LiveSource) -> None:
        left, right = socket.socketpair()
        with left, right, socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("\0kestrel-lab-test")
            server.listen()
            client.connect("\0kestrel-lab-test")
            server.accept()[0].close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", 53))

    seen = capture(act)
    assert [e for e in seen.events() if e.get("process.pid") == os.getpid() and "source.ip" in e] == []
