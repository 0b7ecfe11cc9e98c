from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.schema.columns import FLAG_TRUNCATED_ARGS, PRECISION_EVENT, PRECISION_PROCFS

from .support import Event, Seen, capture, joining, own_cgroup, run

COUNT = 2000
WAVE = 50


def by_pid(events: list[Event], action: bytes) -> dict[int, list[Event]]:
    out: dict[int, list[Event]] = {}
    for event in events:
        if event["event.action"] == action:
            out.setdefault(event["process.pid"], []).append(event)
    return out


GENERATOR = """
import json, subprocess, sys
count, wave, folders, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(":"), open(sys.argv[4], "w")
for start in range(0, count, wave):
    running = []
    for i in range(start, start + wave):
        args = ["sh", "-c", "exit $0", str(i % 256), f"unique-{i}", "x" * (i % 300)]
        folder = folders[i % len(folders)]
        child = subprocess.Popen(args, executable="/bin/sh", cwd=folder, stdin=subprocess.DEVNULL)
        print(json.dumps([child.pid, args, folder, i % 256]), file=out)
        running.append((child, i % 256))
    for child, code in running:
        assert child.wait() == code
"""


def test_two_thousand_processes_each_appear_exactly_once(tmp_path: Path) -> None:
    """They run in a cgroup of their own, so that what else the machine does cannot matter; all hooks are on."""
    folders = [tmp_path / f"folder {i}" for i in range(7)]
    for folder in folders:
        folder.mkdir()
    log = tmp_path / "log"
    names = ":".join(map(str, folders))
    command = [sys.executable, "-c", GENERATOR, str(COUNT), str(WAVE), names, str(log)]
    with own_cgroup() as cgroup:
        seen = capture(lambda s: run(s, *joining(cgroup, *command)), CaptureConfig(cgroup=cgroup))
    made = {pid: (args, folder, code) for pid, args, folder, code in map(json.loads, log.read_text().splitlines())}
    assert len(made) == COUNT
    events = [e for e in seen.events() if e.get("process.pid") in made]
    forks, execs, ends = (by_pid(events, action) for action in (b"fork", b"exec", b"end"))
    for found in (forks, execs, ends):
        assert Counter(map(len, found.values())) == {1: COUNT}
        assert found.keys() == made.keys()
    (generator,) = {e["process.parent.pid"] for e in events}
    assert len(seen.of("end", process__pid=generator)) == 1
    for pid, (args, folder, code) in made.items():
        (fork,), (exec_,), (end,) = forks[pid], execs[pid], ends[pid]
        assert fork["event.sequence"] < exec_["event.sequence"] < end["event.sequence"]
        assert len({e["process.entity_id"] for e in (fork, exec_, end)}) == 1
        assert exec_["process.args"] == end["process.args"] == tuple(a.encode() for a in args)
        assert exec_["process.working_directory"] == folder.encode()
        assert exec_["process.Ext.filename"] == b"/bin/sh"
        assert (end["process.exit_code"], end["process.Ext.exit_signal"]) == (code, 0)
        assert {e["precision"] for e in (fork, exec_, end)} == {PRECISION_EVENT}
    assert len({e["process.entity_id"] for e in events}) == COUNT
    assert seen.ledger.closes
    assert (seen.ledger.lost_ring, seen.ledger.recursion, seen.gaps) == (0, 0, [])
    assert sum(epoch.rows for epoch in seen.epochs) == seen.ledger.received


def test_ids_are_without_a_gap_and_in_time_order() -> None:
    def act(_: LiveSource) -> None:
        for _i in range(100):
            subprocess.run(["/bin/true"], check=True)

    events = capture(act).events()
    assert [e["event.sequence"] for e in events] == list(range(1, len(events) + 1))
    stamps = [e["ts"] for e in events]
    assert stamps == sorted(stamps)
    assert not any(e["kestrel.flags"] & 1 for e in events)


@pytest.mark.parametrize("size", [400, 3_000, 31_000], ids=["400 B", "3 KB", "31 KB"])
def test_argv_of_every_size_class(size: int) -> None:
    args = ["true", "a" * (size // 2), "", "ü" * 10, "b" * (size // 2)]
    seen = capture(lambda _: subprocess.run(args, executable="/bin/true", check=True))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    assert found["process.args"] == tuple(a.encode() for a in args)
    assert found["process.command_line"] == " ".join(args).encode()


@pytest.mark.parametrize("size", [511, 512, 513, 4095, 4096, 4097, 37_887, 37_888])
def test_argv_at_the_edges_of_the_classes(size: int) -> None:
    args = ["true", "e" * (size - len("true") - 2)]  # two terminating NULs
    seen = capture(lambda _: subprocess.run(args, executable="/bin/true", check=True))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    assert found["process.args"] == tuple(a.encode() for a in args)
    assert not found["kestrel.flags"] & FLAG_TRUNCATED_ARGS


def test_argv_beyond_the_largest_class_is_cut_and_says_so() -> None:
    args = ["true", "t" * 60_000]
    seen = capture(lambda _: subprocess.run(args, executable="/bin/true", check=True))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    assert found["kestrel.flags"] & FLAG_TRUNCATED_ARGS
    assert found["process.args"] == (b"true", b"t" * (37_888 - 5))


def test_signals_and_exit_codes() -> None:
    def act(_: LiveSource) -> None:
        for command in ("kill -9 $$", "kill -15 $$", "kill -11 $$", "exit 255", "exit 0"):
            subprocess.run(["sh", "-c", command])

    seen = capture(act)
    ends = seen.of("end", process__parent__pid=os.getpid())
    found = [(e["process.exit_code"], e["process.Ext.exit_signal"]) for e in ends]
    assert found == [(0, 9), (0, 15), (0, 11), (255, 0), (0, 0)]


THREADS = """
import os, sys, threading, time, ctypes
def other():
    time.sleep(0.05)
    os._exit(7)
threading.Thread(target=other).start()
if sys.argv[1] == "leader":
    ctypes.CDLL(None).syscall(60, 3)  # the leader's thread alone ends
time.sleep(10)
"""


@pytest.mark.parametrize("who", ["leader", "none"])
def test_threads_make_no_rows_and_the_code_is_the_one_wait_gives(who: str) -> None:
    pids = []

    def act(_: LiveSource) -> None:
        child = subprocess.Popen([sys.executable, "-c", THREADS, who])
        pids.append(child.pid)
        assert child.wait() == 7

    seen = capture(act)
    own = [e for e in seen.events() if e.get("process.pid") == pids[0] and e["event.category"] == (b"process",)]
    assert [e["event.action"] for e in own] == [b"fork", b"exec", b"end"]
    assert own[-1]["process.exit_code"] == 7


def test_a_fork_is_its_creators_image_until_it_execs() -> None:
    script = "(:); (exec /bin/true inner); wait"
    seen = capture(lambda _: subprocess.run(["sh", "-c", script], check=True))
    (outer,) = seen.of("exec", process__parent__pid=os.getpid())
    children = seen.of("fork", process__parent__pid=outer["process.pid"])
    assert len(children) == 2
    assert {c["process.args"] for c in children} == {(b"sh", b"-c", script.encode())}
    (inner,) = seen.of("exec", process__parent__pid=outer["process.pid"])
    assert inner["process.args"] == (b"/bin/true", b"inner")
    assert inner["process.name"] == b"true"
    assert inner["process.parent.args"] == outer["process.args"]
    assert inner["process.parent.entity_id"] == outer["process.entity_id"]


def test_the_parent_is_the_creator_also_after_it_ended() -> None:
    seen = capture(lambda _: subprocess.run(["sh", "-c", "(sleep 0.1; /bin/true orphan; :) & exit 0"], check=True))
    (orphan,) = [e for e in seen.of("exec") if e.get("process.args", ())[-1:] == (b"orphan",)]
    assert orphan["process.parent.name"] in (b"sh", b"dash", b"bash")
    assert orphan["process.parent.pid"] != 1


def test_the_start_state_knows_those_that_already_ran() -> None:
    child = subprocess.Popen(["sh", "-c", "read go; /bin/true late; :", "early"], stdin=subprocess.PIPE)
    seen = capture(lambda _: child.communicate(b"go\n"))
    (late,) = [e for e in seen.of("exec") if e.get("process.args", ())[-1:] == (b"late",)]
    assert late["process.parent.args"] == (b"sh", b"-c", b"read go; /bin/true late; :", b"early")
    (end,) = seen.of("end", process__pid=child.pid)
    assert end["precision"] == PRECISION_PROCFS
    assert end["process.parent.pid"] == os.getpid()
    assert end["process.parent.executable"] == os.readlink("/proc/self/exe").encode()


def test_an_executable_of_a_long_path_and_another_name(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 200) / ("e" * 200)
    folder.mkdir(parents=True)
    link = folder / "by another name"
    link.symlink_to("/bin/true")
    seen = capture(lambda _: subprocess.run([str(link)], cwd=folder, check=True))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    assert found["process.executable"] == os.path.realpath("/bin/true").encode()
    assert found["process.Ext.filename"] == bytes(link)
    assert found["process.working_directory"] == bytes(folder)


def test_a_script_keeps_the_name_that_was_given(tmp_path: Path) -> None:
    script = tmp_path / "a script\nwith \udcff in it.sh"
    script.write_text("#!/bin/sh\nexit 4\n")
    script.chmod(0o755)
    seen = capture(lambda _: subprocess.run([bytes(script)]))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    assert found["process.Ext.filename"] == bytes(script)
    assert found["process.args"][-1] == bytes(script)
    assert found["process.executable"] == os.path.realpath("/bin/sh").encode()


def test_another_user_is_recorded() -> None:
    seen: Seen = capture(lambda _: subprocess.run(["/bin/true"], user=65534, group=65533, extra_groups=[], check=True))
    (found,) = seen.of("exec", process__parent__pid=os.getpid())
    names = ("user.id", "group.id", "process.real_user.id", "process.real_group.id")
    assert [found[n] for n in names] == [b"65534", b"65533"] * 2
