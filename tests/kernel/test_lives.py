"""Lives that are easily got wrong: threads that exec, children in their parent's memory, pids used again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .actors import CALLS, record_actor
from .support import Event

ACTOR = (
    CALLS
    + r"""
import signal, struct, threading, time

def by_thread():
    thread = threading.Thread(target=lambda: os.execv("/bin/true", ["true", "by thread"]))
    thread.start()
    thread.join()
pid = os.fork()
if not pid:
    by_thread()
told["thread"] = pid
assert os.waitpid(pid, 0)[1] == 0

told["spawned"] = os.posix_spawn("/bin/true", ["true", "spawned"], {})  # its parent waits, in one memory with it
assert os.waitpid(told["spawned"], 0)[1] == 0

def under(pid, args):
    tid = put(struct.pack("=i", pid))
    clone = put(struct.pack("=11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, tid, 1, 0))
    found = libc.syscall(435, ctypes.c_long(clone), ctypes.c_long(88))  # clone3, set_tid
    if not found:
        os.execv("/bin/true", args)
    assert found == pid, (found, ctypes.get_errno())
    assert os.waitpid(pid, 0)[1] == 0
first = os.fork()
if not first:
    os.execv("/bin/true", ["true", "the first"])
told["again"] = first
assert os.waitpid(first, 0)[1] == 0
under(first, ["true", "the second"])
under(first, ["true", "the third"])
again = os.fork()
tell()
if not again:
    os._exit(3)
os.wait()
"""
)


class Story:
    """What was run, and what was seen of it."""

    def __init__(self, folder: Path) -> None:
        self.seen, self.told = record_actor(folder, code=ACTOR)

    def life(self, name: str) -> list[Event]:
        """Return the events of the processes that had a pid."""
        found = [e for e in self.seen.events() if e["process.pid"] == self.told[name]]
        return [e for e in found if e["event.action"] in (b"fork", b"exec", b"end")]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def test_a_thread_that_execs_takes_the_place_of_its_process(story: Story) -> None:
    fork, exec_, end = story.life("thread")
    assert [e["event.action"] for e in (fork, exec_, end)] == [b"fork", b"exec", b"end"]
    assert exec_["process.args"] == end["process.args"] == (b"true", b"by thread")
    assert exec_["process.thread.id"] == exec_["process.pid"]
    assert end["process.exit_code"] == 0
    assert exec_["process.previous.args"] == fork["process.args"]
    assert exec_["process.parent.pid"] == story.told["actor"]


def test_a_child_in_its_parents_memory(story: Story) -> None:
    fork, exec_, end = story.life("spawned")
    assert (fork["process.parent.pid"], exec_["process.parent.pid"]) == (story.told["actor"],) * 2
    assert exec_["process.args"] == end["process.args"] == (b"true", b"spawned")
    assert exec_["process.parent.args"] == fork["process.args"]


def test_a_pid_that_is_used_again_names_another_process(story: Story) -> None:
    life = story.life("again")
    assert [e["event.action"] for e in life] == [b"fork", b"exec", b"end"] * 3
    ids = [{e["process.entity_id"] for e in life[at : at + 3]} for at in (0, 3, 6)]
    assert [len(own) for own in ids] == [1, 1, 1]
    assert len(set.union(*ids)) == 3
    for at, name in ((0, b"the first"), (3, b"the second"), (6, b"the third")):
        exec_, end = life[at + 1 : at + 3]
        assert exec_["process.args"] == end["process.args"] == (b"true", name)
        assert life[at]["process.args"] != exec_["process.args"]
        assert "process.previous.args" in exec_
    assert {e["process.parent.pid"] for e in life} == {story.told["actor"]}
