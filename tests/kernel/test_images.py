"""What an exec says of its image: the file, how it was named, on whose rights, in which namespaces and cgroup, with
which environment, and who is at the other end of its input.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.schema.columns import FLAG_TRUNCATED_ENV

from .actors import CALLS, record_actor
from .support import Event

ID = "0123456789abcdef" * 4
ACTOR = (
    CALLS
    + r"""
import shutil, socket, sys
FULL = sys.argv[1]
NAMESPACES = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup", "time")

def runs(name, before=lambda: None, env={"A": "1"}, file=None, args=()):
    def act():
        got = before()
        os.execve(file if (file or "").startswith("/") else "./" + (file or name), [name, *args], env)
    pid = os.fork()
    if not pid:
        act()
    told[name] = pid
    assert os.waitpid(pid, 0)[1] == 0, name

def copy(name, mode=0o755):
    shutil.copy("/bin/true", FULL + "/" + name)
    os.chmod(FULL + "/" + name, mode)

os.chmod(FULL, 0o755)
os.chdir(FULL)  # those that are nobody cannot come here by the whole path
copy("plain", 0o711)
os.link(FULL + "/plain", FULL + "/plain too")
runs("plain")
copy("set id", 0o4755)
runs("set id", lambda: os.setresuid(1001, 1001, 1001))
with open(FULL + "/script", "w") as file:
    file.write("#!/bin/sh -e\nexit 0\n")
os.chmod(FULL + "/script", 0o755)
runs("script")

copy("deleted")
fd = os.open(FULL + "/deleted", os.O_RDONLY)
os.unlink(FULL + "/deleted")
runs("deleted", file="/proc/self/fd/%d" % fd, before=lambda: os.set_inheritable(fd, True))
memfd = os.memfd_create("in memory", 0)
with open("/bin/true", "rb") as file:
    os.write(memfd, file.read())
runs("memfd", file="/proc/self/fd/%d" % memfd)

def on_socket(family, address):
    with socket.create_server((address, 0), family=family) as server:
        told["port %d" % family] = server.getsockname()[1]
        client = socket.create_connection((address, server.getsockname()[1]))
        os.dup2(client.fileno(), 0)
        client.detach()
runs("socket4", lambda: on_socket(socket.AF_INET, "127.0.0.1"), file="plain")
runs("socket6", lambda: on_socket(socket.AF_INET6, "::1"), file="plain")
def on_pair():
    os.dup2(socket.socketpair()[0].detach(), 0)
runs("socketpair", on_pair, file="plain")

def elsewhere():
    # mount, cgroup, uts, ipc, net; user and pid are tried by themselves
    assert libc.unshare(0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x40000000) == 0
    with open(FULL + "/elsewhere.told", "w") as file:
        json.dump({n: os.stat("/proc/self/ns/" + n).st_ino for n in NAMESPACES}, file)
told["here"] = {n: os.stat("/proc/self/ns/" + n).st_ino for n in NAMESPACES}
runs("elsewhere", elsewhere, file="plain")
with open(FULL + "/elsewhere.told") as file:
    told["elsewhere ns"] = json.load(file)
def in_user():
    assert libc.unshare(0x10000000) == 0
    with open(FULL + "/user.told", "w") as file:
        json.dump(os.stat("/proc/self/ns/user").st_ino, file)
copy("in user", 0o755)
runs("in user", in_user)
with open(FULL + "/user.told") as file:
    told["in user ns"] = json.load(file)

own = [line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup") if line.startswith("0::")][0]
mounts = [line.split() for line in open("/proc/self/mountinfo")]
root = [f[4] for f in mounts if f[f.index("-") + 1] == "cgroup2"][0]
told["cgroup"] = own
inner = root + own + "/docker-" + sys.argv[2] + ".scope"
os.mkdir(inner)
def contained():
    with open(inner + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
runs("contained", contained, file="plain")
os.rmdir(inner)
runs("env", file="plain", env={"LONG": "v" * 600, "B": "\n \udcff"})
runs("no env", file="plain", env={})
runs("much env", file="plain", env={"V%03d" % i: "x" * 990 for i in range(60)}, args=["y" * 2000])
tell()
"""
)


class Story:
    """What was run, and what was seen of it."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder = folder
        self.seen, self.told = record_actor(folder, Path(ID), code=ACTOR, **more)

    def exec(self, name: str) -> Event:
        """Return the exec of a child, not that of an interpreter's children."""
        (found,) = self.seen.of("exec", process__pid=self.told[name])
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"), env=True)


def test_which_file_it_is(story: Story) -> None:
    event, found = story.exec("plain"), os.stat(story.folder / "plain")
    names = ("inode", "mode", "links", "changed_ns")
    assert [event[f"kestrel.executable.{n}"] for n in names] == [found.st_ino, b"0711", 2, found.st_ctime_ns]
    device = event["kestrel.executable.device"]
    assert (device >> 20, device & 0xFFFFF) == (os.major(found.st_dev), os.minor(found.st_dev))
    assert event["kestrel.secure_exec"] is False
    assert "kestrel.interpreter" not in event


def test_rights_that_an_exec_gives(story: Story) -> None:
    event = story.exec("set id")
    assert (event["kestrel.executable.mode"], event["kestrel.secure_exec"]) == (b"4755", True)
    assert (event["user.id"], event["process.real_user.id"]) == (b"0", b"1001")


def test_a_script_names_its_interpreter(story: Story) -> None:
    event = story.exec("script")
    assert event["kestrel.interpreter"] == b"/bin/sh"
    assert event["process.Ext.filename"] == b"./script"
    assert event["process.executable"] == os.fsencode(os.path.realpath("/bin/sh"))
    assert event["process.args"] == (b"/bin/sh", b"-e", b"./script")


def test_deleted_and_in_memory(story: Story) -> None:
    deleted, memfd = story.exec("deleted"), story.exec("memfd")
    assert deleted["kestrel.executable.links"] == memfd["kestrel.executable.links"] == 0
    assert deleted["process.executable"] == os.fsencode(story.folder / "deleted")
    assert memfd["process.executable"] == b"/memfd:in memory"


def test_who_is_at_the_other_end_of_its_input(story: Story) -> None:
    for name, address, family in (("socket4", b"127.0.0.1", 2), ("socket6", b"::1", 10)):
        event = story.exec(name)
        told = story.told.get(f"port {family}")
        assert event["process.Ext.stdin.type"] == b"socket"
        assert event["kestrel.stdin.ip"] == address
        assert told is None or event["kestrel.stdin.port"] == told
        assert event["kestrel.stdin.port"] > 0
    pair = story.exec("socketpair")
    assert pair["process.Ext.stdin.type"] == b"socket"
    assert not {"kestrel.stdin.ip", "kestrel.stdin.port"} & set(pair)


def test_namespaces(story: Story) -> None:
    def of(event: Event) -> dict[str, int]:
        names = {name: f"kestrel.namespace.{name}" for name in story.told["here"]}
        return {short: event[name] for short, name in names.items()}

    assert of(story.exec("plain")) == story.told["here"]
    assert of(story.exec("elsewhere")) == story.told["elsewhere ns"]
    moved = {n for n, inode in story.told["elsewhere ns"].items() if inode != story.told["here"][n]}
    assert moved == {"mnt", "net", "uts", "ipc", "cgroup"}
    assert of(story.exec("in user")) == story.told["here"] | {"user": story.told["in user ns"]}


def test_cgroups_and_containers(story: Story) -> None:
    own, contained = story.exec("plain"), story.exec("contained")
    assert own["kestrel.cgroup"] == story.told["cgroup"].encode()
    assert "container.id" not in own
    assert contained["kestrel.cgroup"] == own["kestrel.cgroup"] + b"/docker-" + ID.encode() + b".scope"
    assert contained["container.id"] == ID.encode()
    (made,) = story.seen.of("cgroup_creation", file__path=contained["kestrel.cgroup"])
    assert made["process.pid"] == story.told["actor"]
    ends = {e["process.pid"]: e for e in story.seen.of("end")}
    assert ends[story.told["contained"]]["container.id"] == ID.encode()


def test_environments(story: Story) -> None:
    event = story.exec("env")
    assert event["process.env_vars"] == (b"LONG=" + b"v" * 600, b"B=\n \xff")
    assert event["process.args"] == (b"env",)
    assert "process.env_vars" not in story.exec("no env")
    much = story.exec("much env")
    assert much["process.args"] == (b"much env", b"y" * 2000)
    assert much["process.env_vars"][:2] == (b"V000=" + b"x" * 990, b"V001=" + b"x" * 990)
    assert len(much["process.env_vars"]) < 60
    assert much["kestrel.flags"] == FLAG_TRUNCATED_ENV
    assert [e["kestrel.flags"] for e in (event, story.exec("plain"))] == [0, 0]


def test_without_a_word_no_environment_is_read(tmp_path: Path) -> None:
    story = Story(tmp_path)
    assert not any("process.env_vars" in event for event in story.seen.events())
    assert story.exec("env")["process.args"] == (b"env",)
