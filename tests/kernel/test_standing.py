"""Where processes stand among others, as whom and on what: one program does it all, with values that it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .actors import record_actor
from .support import Event

ACTOR = r"""
import json, os, pty, socket, subprocess, sys, time

os.setsid()  # whoever runs the tests may stand in a session of another pid namespace, whose number nobody here knows
told = {"actor": os.getpid(), "own session": os.getsid(0), "own group": os.getpgid(0)}

def child(name, before=lambda: None, command=None, wait=True, **fds):
    pid = os.fork()
    if pid:
        told[name] = pid
        if wait:
            os.waitpid(pid, 0)
        return pid
    before()
    for fd, to in fds.items():
        os.dup2(to, {"stdin": 0, "stdout": 1, "stderr": 2}[fd])
    os.execv("/bin/true", ["true", name]) if command is None else os.execv(command[0], command)

child("plain")
child("session", os.setsid)
child("group", lambda: os.setpgid(0, 0))
child("previous", command=["/bin/sh", "-c", "exec /bin/true previous"])

left, right = socket.socketpair()
read, write = os.pipe()
with open(sys.argv[1] + "/out", "w") as file:
    child("stdio", stdin=left.fileno(), stdout=write, stderr=file.fileno())
child("closed", lambda: os.close(0))

def on_terminal():
    os.setsid()
    main, side = pty.openpty()
    with open(sys.argv[1] + "/tty", "w") as file:
        file.write(os.ttyname(side))
    fd = os.open(os.ttyname(side), os.O_RDWR)  # the first one that a session leader opens becomes its terminal
    for to in (0, 1, 2):
        os.dup2(fd, to)
child("terminal", on_terminal)
told["tty"] = open(sys.argv[1] + "/tty").read()
def half_on_terminal():
    on_terminal()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
child("half", half_on_terminal)

def as_others():
    os.setresgid(2001, 2002, 2003)
    os.setresuid(1001, 1002, 1003)
    os.close(os.memfd_create("as-others"))
child("ids", as_others)

child("capabilities", command=["/usr/bin/setpriv", "--bounding-set=-all,+chown,+kill", "/bin/true", "capabilities"])
child("namespace", command=["/usr/bin/unshare", "--pid", "--fork", "/bin/true", "namespace"])

def login():
    with open("/proc/self/loginuid", "w") as file:
        file.write("4321")
child("login", login)

def twice():
    os.setsid()
    if os.fork():
        os._exit(0)
    while os.getppid() == told["twice"]:
        time.sleep(0.01)
    with open(sys.argv[1] + "/adopted", "w") as file:
        file.write(f"{os.getpid()} {os.getppid()}")
    os.rename(sys.argv[1] + "/adopted", sys.argv[1] + "/adopted.done")
pid = os.fork()
if not pid:
    told["twice"] = os.getpid()
    twice()
    os.execv("/bin/true", ["true", "adopted"])
told["twice"] = pid
os.waitpid(pid, 0)
while not os.path.exists(sys.argv[1] + "/adopted.done"):
    time.sleep(0.01)
told["adopted"], told["adopter"] = map(int, open(sys.argv[1] + "/adopted.done").read().split())
time.sleep(0.2)
with open(sys.argv[1] + "/told", "w") as file:
    json.dump(told, file)
"""


class Story:
    """What the actor did, and what was seen of it."""

    def __init__(self, folder: Path) -> None:
        self.seen, self.told = record_actor(folder, code=ACTOR)

    def exec(self, name: str) -> Event:
        """Return the exec of `true` with a name."""
        found = [e for e in self.seen.of("exec", process__name=b"true") if e["process.args"][-1] == name.encode()]
        assert len(found) == 1, name
        return found[0]

    def fork(self, name: str) -> Event:
        """Return the fork of a named child."""
        (found,) = self.seen.of("fork", process__pid=self.told[name])
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def pids(event: Event) -> tuple[Any, ...]:
    return tuple(event.get(f"process.{name}.pid") for name in ("group_leader", "session_leader"))


def test_groups_and_sessions(story: Story) -> None:
    own = story.told["own group"], story.told["own session"]
    assert pids(story.fork("plain")) == pids(story.exec("plain")) == own
    session, group = story.exec("session"), story.exec("group")
    assert pids(story.fork("session")) == own  # not yet
    assert pids(session) == (session["process.pid"],) * 2
    assert session["process.session_leader.entity_id"] == session["process.entity_id"]
    assert session["process.session_leader.executable"] == session["process.executable"]
    assert pids(group) == (group["process.pid"], own[1])


def test_the_image_before(story: Story) -> None:
    plain, previous = story.exec("plain"), story.exec("previous")
    assert "process.previous.executable" not in story.fork("plain")
    assert plain["process.previous.executable"] == story.fork("plain")["process.executable"]
    assert previous["process.previous.args"] == (b"/bin/sh", b"-c", b"exec /bin/true previous")
    assert previous["process.parent.pid"] == story.told["actor"]


def test_standard_descriptors(story: Story) -> None:
    kinds = {
        "plain": (b"char_device", b"char_device", b"char_device"),
        "stdio": (b"socket", b"pipe", b"file"),
        "terminal": (b"tty", b"tty", b"tty"),
    }
    names = [f"process.Ext.{name}.type" for name in ("stdin", "stdout", "stderr")]
    assert story.exec("closed")[names[0]] == b"closed"
    for name in ("stdio", "terminal"):
        assert tuple(story.exec(name)[field] for field in names) == kinds[name]
    assert story.exec("plain")[names[0]] == kinds["plain"][0]


def test_terminals(story: Story) -> None:
    terminal, half, plain = story.exec("terminal"), story.exec("half"), story.exec("plain")
    assert (terminal["process.interactive"], half["process.interactive"], plain["process.interactive"]) == (1, 0, 0)
    assert terminal["process.tty.char_device.major"] == half["process.tty.char_device.major"] == 136
    assert terminal["process.tty.char_device.minor"] == int(story.told["tty"].rpartition("/")[2])
    assert "process.tty.char_device.major" not in plain


def test_ids_and_capabilities(story: Story) -> None:
    (act,) = story.seen.of("memfd_create", kestrel__name=b"as-others")
    ids = ("process.real_user.id", "user.id", "process.saved_user.id")
    assert [act[name] for name in ids] == [b"1001", b"1002", b"1003"]
    ids = ("process.real_group.id", "group.id", "process.saved_group.id")
    assert [act[name] for name in ids] == [b"2001", b"2002", b"2003"]
    assert "process.thread.capabilities.effective" not in act
    few = story.exec("capabilities")
    assert few["process.thread.capabilities.effective"] == (b"CAP_CHOWN", b"CAP_KILL")
    assert few["process.thread.capabilities.permitted"] == (b"CAP_CHOWN", b"CAP_KILL")
    root = story.exec("plain")
    assert (root["user.id"], root["user.name"], root["group.name"]) == (b"0", b"root", b"root")
    assert b"CAP_SYS_ADMIN" in root["process.thread.capabilities.effective"]
    others = story.exec("ids")
    assert (others["user.id"], others["process.real_user.id"]) == (b"1002", b"1001")
    assert others["process.previous.user.id"] == b"0"


def test_its_pid_in_its_own_namespace(story: Story) -> None:
    plain, inner = story.exec("plain"), story.exec("namespace")
    assert plain["process.vpid"] == plain["process.pid"]
    assert inner["process.vpid"] == 1 < inner["process.pid"]


def test_the_login(story: Story) -> None:
    assert story.exec("login")["user.audit.id"] == b"4321"
    assert int(story.exec("login")["auditd.session"]) > 0
    own = Path("/proc/self/loginuid").read_text()
    assert story.exec("plain").get("user.audit.id", b"4294967295").decode() == own


def test_the_parent_stays_when_the_real_one_changes(story: Story) -> None:
    adopted = story.exec("adopted")
    assert adopted["process.pid"] == story.told["adopted"]
    assert adopted["process.parent.pid"] == story.told["twice"]
    assert adopted["process.Ext.real_parent.pid"] == story.told["adopter"]
    assert adopted["process.entry_leader.pid"] == story.exec("plain")["process.entry_leader.pid"]


def test_every_process_belongs_to_an_entry(story: Story) -> None:
    """Whatever pid 1 is, a process that is no kernel thread's child descends from it, or from a login or container."""
    for event in story.seen.of("exec"):
        assert event["process.entry_leader.entry_meta.type"] in (b"init", b"sshd", b"container", b"terminal")
