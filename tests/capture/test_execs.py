"""Rows of execs from raw records."""

from __future__ import annotations

from typing import Any

from tests.capture.support import exec_record
from tests.capture.test_epochs import build, rows


def found(**more: Any) -> dict[str, Any]:
    (event,) = rows(*build([exec_record(1, b"a\0b\0", **more)]))
    return event


def test_the_executable_as_a_file() -> None:
    of = "kestrel.executable."
    event = found(more={"inode": 7, "device": 3 << 20, "mode": 0o104755, "links": 2, "changed": 5, "changed_ns": 6})
    assert [event[of + n] for n in ("inode", "device", "mode", "links", "changed_ns")] == [
        7, 3 << 20, b"4755", 2, 5_000_000_006,
    ]  # fmt: skip
    unknown = found(more={"links": 1})
    assert not any(name.startswith(of) for name in unknown)


def test_an_interpreter_and_rights() -> None:
    script = found(filename=b"./x", interp=b"/bin/sh", more={"secure": 1})
    assert (script["process.Ext.filename"], script["kestrel.interpreter"]) == (b"./x", b"/bin/sh")
    assert script["kestrel.secure_exec"] is True
    plain = found(filename=b"./x")
    assert "kestrel.interpreter" not in plain
    assert plain["kestrel.secure_exec"] is False


def test_the_peer_of_its_input() -> None:
    address = int.from_bytes(bytes([10, 0, 0, 9]), "little")
    event = found(more={"peer": [address, 0], "peer_port": 4444, "peer_family": 2})
    assert (event["kestrel.stdin.ip"], event["kestrel.stdin.port"]) == (b"10.0.0.9", 4444)
    local = found(more={"peer": [address, 0], "peer_family": 1})
    assert not {"kestrel.stdin.ip", "kestrel.stdin.port"} & set(local)


def test_arguments_and_environment() -> None:
    event = found(env=b"A=1\0\0B=\0")
    assert event["process.args"] == (b"a", b"b")
    assert event["process.env_vars"] == (b"A=1", b"", b"B=")
    assert "process.env_vars" not in found()


def test_namespaces() -> None:
    event = found(standing={"namespaces": [1, 2, 3, 4, 5, 6, 7, 0]})
    names = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup", "time")
    assert [event.get(f"kestrel.namespace.{name}") for name in names] == [1, 2, 3, 4, 5, 6, 7, None]
