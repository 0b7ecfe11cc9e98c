"""Which writes make a row, which other acts do not: on a file system on disk and on one in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .actors import CALLS, record_actor
from .support import Event

ACTOR = (
    CALLS
    + r"""
import time

def old(name, data=b"x" * 8192):
    with open(name, "wb") as file:
        file.write(data)
    os.utime(name, (1, 1))  # long ago, so that what reads it changes the time of access

def rights(name):
    os.chmod(name, 0o640)
    os.chown(name, 1, 1)
    os.setxattr(name, "trusted.mark", b"1")
    os.utime(name)
    os.link(name, name + " linked")
    with open(name, "rb") as file:
        file.read()

def write(name):
    fd = os.open(name, os.O_WRONLY)
    for _ in range(3):
        os.pwrite(fd, b"zz", 0)
        time.sleep(0.02)  # times of files go in ticks
    os.close(fd)

def mapped(name):
    fd = os.open(name, os.O_RDWR)
    with mmap.mmap(fd, 8192) as area:
        area[5] = 9
    os.close(fd)

def truncated(name):
    os.truncate(name, 100)

def emptied(name):
    os.close(os.open(name, os.O_WRONLY | os.O_TRUNC))

def copied(name):
    with open(name, "r+b") as to, open("source", "rb") as source:
        os.copy_file_range(source.fileno(), to.fileno(), 100)

def devices(_):
    for flags in (os.O_WRONLY, os.O_WRONLY | os.O_TRUNC):
        fd = os.open("/dev/null", flags)
        os.write(fd, b"gone")
        os.close(fd)

def sent(name):
    with open(name, "r+b") as to, open("source", "rb") as source:
        os.sendfile(to.fileno(), source.fileno(), 0, 100)

def again(name):
    write(name)

ACTS = [rights, devices, write, mapped, truncated, emptied, copied, sent, again]
where = sys.argv[1:]
for folder in where:
    os.chdir(folder)
    old("source")
    for act in ACTS:
        old(act.__name__)
time.sleep(0.05)
if not os.fork():  # another image, which did not write yet
    for folder in where:
        os.chdir(folder)
        for act in ACTS:
            act(act.__name__)
            again(act.__name__) if act is again else None
    os._exit(0)
os.wait()
told["inodes"] = {folder: {act.__name__: os.stat(folder + "/" + act.__name__).st_ino for act in ACTS}
                  for folder in where}
tell()
"""
)
CHANGED = {"write", "mapped", "truncated", "emptied", "copied", "sent", "again"}


class Story:
    """What was seen of the second process."""

    def __init__(self, folders: list[Path]) -> None:
        self.seen, self.told = record_actor(*folders, code=ACTOR)

    def changed(self, folder: Path) -> list[Event]:
        """Return the modifications of the second process in a folder."""
        inside = os.fsencode(folder) + b"/"
        events = [e for e in self.seen.of("modification") if e["process.pid"] != self.told["actor"]]
        return [e for e in events if e["file.directory"] + b"/" == inside]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        yield [tmp_path_factory.mktemp("disk"), Path(memory)]


@pytest.fixture(scope="module")
def story(folders: list[Path]) -> Story:
    return Story(folders)


@pytest.mark.parametrize("place", [0, 1], ids=["disk", "memory"])
def test_what_changes_the_content_makes_one_row_and_what_does_not_none(
    story: Story, folders: list[Path], place: int
) -> None:
    events = story.changed(folders[place])
    # in memory a truncation marks nothing; its own row tells of it
    names = CHANGED if place == 0 else CHANGED - {"truncated"}
    inodes = story.told["inodes"][str(folders[place])]
    assert {e["file.name"].decode(): e["file.inode"] for e in events} == {name: inodes[name] for name in names}
    assert len(events) == len(names)
    assert {(e["event.outcome"], e["kestrel.ret"]) for e in events} == {(b"success", 0)}


def test_a_write_in_the_tick_of_the_creation(tmp_path: Path) -> None:
    code = (
        CALLS
        + """
for i in range(50):
    fd = os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_WRONLY)  # with nothing that asks for its times
    os.write(fd, b"content")
    os.close(fd)
"""
    )
    seen, _ = record_actor(tmp_path, code=code)
    changed = [e["file.name"] for e in seen.of("modification") if e["file.directory"] == os.fsencode(tmp_path)]
    assert changed == [b"%d" % i for i in range(50)]


def test_only_files_hold_content(story: Story) -> None:
    assert [e for e in story.seen.of("modification") if e["file.path"] == b"/dev/null"] == []


MOUNTED = (
    CALLS
    + r"""
folder = sys.argv[1]
assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
assert libc.mount(None, b"/", None, 1 << 18 | 1 << 14, None) == 0  # private
os.mkdir(folder + "/in")
os.mkdir(folder + "/bound")
assert libc.mount(b"none", os.fsencode(folder + "/in"), b"tmpfs", 0, None) == 0
os.mkdir(folder + "/in/sub")
assert libc.mount(os.fsencode(folder + "/in/sub"), os.fsencode(folder + "/bound"), None, 4096, None) == 0
for name in ("in/a", "bound/b"):
    with open(folder + "/" + name, "w") as file:
        time.sleep(0.02)
        file.write("content")
"""
)


def test_the_path_is_that_of_the_whole_file_systems_mount_in_the_writers_namespace(tmp_path: Path) -> None:
    seen, _ = record_actor(tmp_path, code="import time\n" + MOUNTED)
    inside = os.fsencode(tmp_path)
    changed = [e["file.path"] for e in seen.of("modification") if e.get("file.path", b"").startswith(inside)]
    assert changed == [inside + b"/in/a", inside + b"/in/sub/b"]
