"""The starter pack leaves ordinary work alone. What each rule finds is tested beside it: `rules test rules`."""

from __future__ import annotations

from typing import Any

from kestrel_lab.engine import load_pack
from kestrel_lab.schema.resources import resource
from tests.engine.support import run
from tests.support.epochs import source

PACK = load_pack([resource("rules")])


def exec_(
    name: str, *args: str, pid: int = 50, ppid: int = 10, filename: str | None = None, cwd: str = "/home/u"
) -> dict[str, Any]:
    executable = f"/usr/bin/{name}"
    return {"table": "process", "action": "exec", "pid": pid, "ppid": ppid, "name": name, "executable": executable,
            "args": [name, *args], "working_directory": cwd, "process.Ext.filename": filename or executable,
            "start_ns": pid}  # fmt: skip


def end(pid: int) -> dict[str, Any]:
    return {"table": "process", "action": "end", "pid": pid, "process.exit_code": 0}


def file(action: str, path: str, before: str | None = None, pid: int = 50) -> dict[str, Any]:
    return {"table": "file", "action": action, "pid": pid, "file.path": path, "file.Ext.original.path": before}


def connect(pid: int, action: str = "connection_attempted") -> dict[str, Any]:
    return {"table": "network", "action": action, "pid": pid, "destination.ip": "127.0.0.1", "destination.port": 4444}


ORDINARY = [
    exec_("bash", "-c", "make all"),
    exec_("cc1", "main.c", pid=52, ppid=50),
    file("creation", "/tmp/ccA1b2.s", pid=52),
    file("open", "/home/u/main.o", pid=52),
    file("deletion", "/tmp/ccA1b2.s", pid=52),
    file("rename", "/home/u/a.out", "/home/u/a.out.tmp", pid=52),
    end(52),
    exec_("curl", "https://example.org", pid=53, ppid=50),
    connect(53),
    connect(53, "connection_result"),
    end(53),
    exec_("sshd", pid=70),
    connect(70, "connection_accepted"),
    exec_("bash", "-l", pid=71, ppid=70),
    file("open", "/home/u/.bash_history", pid=71),
]


def test_ordinary_work_raises_nothing() -> None:
    assert run(PACK, source(ORDINARY)) == []
