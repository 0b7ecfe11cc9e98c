"""What processes do to themselves and to one another: each act with values that its row must hold, by the 64-bit system
calls and by the 32-bit ones.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal

import pytest

from .actors import CALLS, Story
from .support import Event

ACTOR = (
    CALLS
    + r"""
import signal, time

told["low"] = LOW

def ids(call, user, group):
    def act():
        return [call(group, 2001, 2002, 2003), call(user, 1001, 1002, 1003), call(user, 0, 0, 0)]
    return act

NAME = b"a name\nof \xff" + b"n" * 230
victim = os.fork()
if not victim:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    while True:
        time.sleep(10)
told["victim"] = victim
BUFFER = ctypes.create_string_buffer(64)

NUMBERS = {
    "64": (call64, dict(setresuid=117, setresgid=119, setuid=105, setsid=112, ptrace=101, memfd=319, prctl=157,
                        mprotect=10, unshare=272, setns=308, pidfd_getfd=438)),
    "32": (call32, dict(setresuid=208, setresgid=210, setuid=213, setsid=66, ptrace=26, memfd=356, prctl=172,
                        mprotect=125, unshare=310, setns=346, pidfd_getfd=438)),
}
pidfd = call64(434, victim, 0)
uts = os.open("/proc/self/ns/uts", os.O_RDONLY)
for abi, (call, nr) in NUMBERS.items():
    child(f"ids {abi}", ids(call, nr["setresuid"], nr["setresgid"]))
    child(f"same {abi}", lambda: call(nr["setuid"], 0))
    child(f"session {abi}", lambda: [call(nr["setsid"]), call(nr["setsid"])])
    child(f"memfd {abi}", lambda: call(nr["memfd"], text(NAME), 3))
    child(f"name {abi}", lambda: call(nr["prctl"], 15, text(b"new \xff name of it")))
    child(f"mprotect {abi}", lambda: [call(nr["mprotect"], LOW + 12288, 4096, protection) for protection in (5, 1)])
    child(f"getfd {abi}", lambda: call(nr["pidfd_getfd"], pidfd, 1, 0))
    child(f"namespaces {abi}", lambda: [call(nr["unshare"], 0x04020000), call(nr["setns"], uts, 0x04000000)])
    def seize():
        got = [call(nr["ptrace"], 0x4206, victim, 0, 0)]
        os.setresuid(1000, 1000, 1000)
        return got + [call(nr["ptrace"], 16, 1, 0, 0)]
    child(f"ptrace {abi}", seize)
    child(f"traceme {abi}", lambda: call(nr["ptrace"], 0, 0, 0, 0))
child("mmap", lambda: [libc.mmap(None, 4096, 5, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0),
                       libc.mmap(None, 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)])

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
def write():
    vector = Vector(ctypes.addressof(BUFFER), 16)
    return call64(311, victim, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0)
child("write", write)
for number in (signal.SIGUSR1, signal.SIGTERM):
    os.kill(victim, number)
    time.sleep(0.05)
os.kill(os.getpid(), 0)
os.waitpid(victim, 0)
time.sleep(0.2)
tell()
"""
)

NAME = b"a name\nof \xff" + b"n" * 230


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"), ACTOR)


ABIS = pytest.mark.parametrize("abi", ["64", "32"])
AFTER = ("process.real_user.id", "user.id", "process.saved_user.id")
BEFORE = tuple(f"kestrel.before.{name}" for name in ("real_user.id", "user.id", "saved_user.id"))


def values(event: Event, names: tuple[str, ...]) -> list[object]:
    return [event.get(name) for name in names]


def ended(event: Event) -> tuple[object, object]:
    return event.get("kestrel.ret"), event["event.outcome"]


@ABIS
def test_user_and_group_ids(story: Story, abi: str) -> None:
    assert story.told[f"ids {abi} gave"] == [0, 0, -errno.EPERM]
    (group,) = story.acts(f"ids {abi}", "gid_change")
    given, refused = story.acts(f"ids {abi}", "uid_change")
    names = ("process.real_group.id", "group.id", "process.saved_group.id")
    assert values(group, names) == [b"2001", b"2002", b"2003"]
    assert values(group, tuple(f"kestrel.before.{n.removeprefix('process.')}" for n in names)) == [b"0"] * 3
    assert values(given, AFTER) == values(refused, AFTER) == [b"1001", b"1002", b"1003"]
    assert values(given, BEFORE) == [b"0"] * 3
    assert values(refused, BEFORE) == [b"1001", b"1002", b"1003"]
    assert (ended(given), ended(refused)) == ((0, b"success"), (-errno.EPERM, b"failure"))
    assert story.acts(f"same {abi}", "uid_change") == []


@ABIS
def test_a_session(story: Story, abi: str) -> None:
    new, refused = story.acts(f"session {abi}", "session_id_change")
    assert ended(new) == (story.told[f"session {abi}"], b"success")
    assert ended(refused) == (-errno.EPERM, b"failure")


@ABIS
def test_names(story: Story, abi: str) -> None:
    (memfd,) = story.acts(f"memfd {abi}", "memfd_create")
    assert memfd["kestrel.name"] == NAME
    assert memfd["kestrel.call_flags"] == (b"cloexec", b"allow_sealing")
    assert ended(memfd) == (story.told[f"memfd {abi} gave"], b"success")
    (name,) = story.acts(f"name {abi}", "name_change")
    assert name["kestrel.name"] == b"new \xff name of i"  # as the kernel keeps it: 15 bytes


@ABIS
def test_memory_made_executable(story: Story, abi: str) -> None:
    (event,) = story.acts(f"mprotect {abi}", "memory_executable")
    assert event["kestrel.memory.address"] == story.told["low"] + 12288
    assert event["kestrel.memory.size"] == 4096
    assert event["kestrel.memory.protection"] == (b"read", b"execute")


def test_executable_memory_that_is_asked_for(story: Story) -> None:
    (event,) = story.acts("mmap", "memory_executable")
    assert event["kestrel.memory.address"] == story.told["mmap gave"][0]
    assert (event["kestrel.memory.size"], event["kestrel.memory.protection"]) == (mmap.PAGESIZE, (b"read", b"execute"))


@ABIS
def test_another_process(story: Story, abi: str) -> None:
    (getfd,) = story.acts(f"getfd {abi}", "pidfd_getfd")
    assert ended(getfd) == (story.told[f"getfd {abi} gave"], b"success")
    is_victim(story, getfd)
    seize, refused = story.acts(f"ptrace {abi}", "ptrace")
    assert story.told[f"ptrace {abi} gave"] == [0, -errno.EPERM]
    assert (seize["kestrel.request"], *ended(seize)) == (b"seize", 0, b"success")
    is_victim(story, seize)
    assert (refused["kestrel.request"], *ended(refused)) == (b"attach", -errno.EPERM, b"failure")
    assert refused["Target.process.pid"] == 1
    (traceme,) = story.acts(f"traceme {abi}", "ptrace")
    assert (traceme["kestrel.request"], traceme["Target.process.pid"]) == (b"traceme", story.told["actor"])


@ABIS
def test_namespaces(story: Story, abi: str) -> None:
    (unshare,), (setns,) = (story.acts(f"namespaces {abi}", name) for name in ("unshare", "setns"))
    assert unshare["kestrel.call_flags"] == (b"mount", b"uts")
    assert setns["kestrel.call_flags"] == (b"uts",)
    assert ended(unshare) == ended(setns) == (0, b"success")


def test_memory_of_another_process(story: Story) -> None:
    (event,) = story.acts("write", "process_vm_writev")
    assert ended(event) == (16, b"success")
    is_victim(story, event)


def test_signals(story: Story) -> None:
    sent = story.acts("actor", "kill")
    assert [e["kestrel.signal"] for e in sent] == [signal.SIGUSR1, signal.SIGTERM]
    for event in sent:
        is_victim(story, event)
        assert event["event.outcome"] == b"success"


def is_victim(story: Story, event: Event) -> None:
    (fork,) = story.seen.of("fork", process__pid=story.told["victim"])
    assert event["Target.process.pid"] == story.told["victim"]
    for name in ("entity_id", "name", "args", "command_line"):
        assert event[f"Target.process.{name}"] == fork[f"process.{name}"]


def test_nothing_is_lost(story: Story) -> None:
    assert story.seen.ledger.closes
    assert story.seen.ledger.lost_ring == story.seen.ledger.recursion == 0
    assert os.getpid() not in {e["process.pid"] for e in story.seen.events()}
