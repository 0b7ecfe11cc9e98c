"""What is done to files by name and by descriptor: permissions, owners, times, attributes, links, sizes. Each act with
values that its row must hold, by the 64-bit system calls and by the 32-bit ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .actors import CALLS, record_actor
from .support import Event

ACTOR = (
    CALLS
    + r"""
HERE = -100
FULL = os.fsencode(sys.argv[1])
NUMBERS = {
    "64": (call64, dict(chmod=90, fchmod=91, fchmodat=268, chown=92, fchown=93, fchownat=260, setxattr=188,
                        fsetxattr=190, utime=132, utimensat=280, link=86, linkat=265, symlink=88, symlinkat=266,
                        truncate=76, ftruncate=77)),
    "32": (call32, dict(chmod=15, fchmod=94, fchmodat=306, chown=212, fchown=207, fchownat=298, setxattr=226,
                        fsetxattr=228, utime=30, utimensat=320, link=9, linkat=303, symlink=83, symlinkat=304,
                        truncate=193, ftruncate=194)),
}
for abi, (call, nr) in NUMBERS.items():
    folder = FULL + b"/" + abi.encode()
    os.mkdir(folder)
    os.chdir(folder)
    there = os.open(folder, os.O_RDONLY)
    name = b"a file\n\xff"
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    here, whole, value = text(name), text(folder + b"/" + name), text(b"user.mark")
    done = [
        call(nr["chmod"], here, 0o4755), call(nr["fchmod"], fd, 0o640), call(nr["fchmodat"], there, here, 0o1777),
        call(nr["chown"], whole, 1001, 1002), call(nr["fchown"], fd, 1003, -1),
        call(nr["fchownat"], there, here, -1, 1004, 0),
        call(nr["setxattr"], here, value, value, 4, 0), call(nr["fsetxattr"], fd, value, value, 4, 0),
        call(nr["utime"], here, 0), call(nr["utimensat"], HERE, whole, 0, 0), call(nr["utimensat"], fd, 0, 0, 0),
        call(nr["link"], here, text(b"hard")), call(nr["linkat"], HERE, whole, there, text(b"hard too"), 0),
        call(nr["symlink"], text(b"../any \xfe text"), text(b"soft")),
        call(nr["symlinkat"], text(b"/etc/shadow"), there, text(b"soft too")),
        call(nr["truncate"], here, 1 << 20, 0), call(nr["ftruncate"], fd, 77, 0),
        call(nr["chmod"], text(b"not there"), 0o777),
    ]
    assert done == [0] * 17 + [-errno.ENOENT], (abi, done)
    os.close(fd)
"""
)


class Story:
    """What the actor did in a folder for each kind of calls, and what was seen of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen, _ = record_actor(folder, code=ACTOR)

    def acts(self, abi: str, action: str) -> list[Event]:
        """Return the events of an action in one folder, in order."""
        inside = os.fsencode(self.folder / abi) + b"/"
        return [e for e in self.seen.of(action) if e["file.path"].startswith(inside)]

    def path(self, abi: str, name: bytes = b"a file\n\xff") -> bytes:
        """Return a path in one folder."""
        return os.fsencode(self.folder / abi) + b"/" + name

    def inode(self, abi: str) -> int:
        """Return the number of the file that everything is done to."""
        return os.stat(self.path(abi)).st_ino


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


ABIS = pytest.mark.parametrize("abi", ["64", "32"])


def told(events: list[Event], *names: str) -> list[tuple[object, ...]]:
    return [tuple(event.get(name) for name in names) for event in events]


@ABIS
def test_permissions_and_owners(story: Story, abi: str) -> None:
    chmod, chown = story.acts(abi, "chmod"), story.acts(abi, "chown")
    assert told(chmod, "file.mode") == [(b"4755",), (b"0640",), (b"1777",)]
    assert told(chown, "file.uid", "file.gid") == [(b"1001", b"1002"), (b"1003", None), (None, b"1004")]
    assert {event["file.path"] for event in chmod + chown} == {story.path(abi)}
    for by_name, by_descriptor, _ in (chmod, chown):
        assert "file.inode" not in by_name
        assert by_descriptor["file.inode"] == story.inode(abi)
        assert by_descriptor["file.name"] == b"a file\n\xff"
        assert {by_name["event.outcome"], by_descriptor["event.outcome"]} == {b"success"}


@ABIS
def test_attributes_and_times(story: Story, abi: str) -> None:
    events = story.acts(abi, "setxattr")
    assert told(events, "file.path", "kestrel.name") == [(story.path(abi), b"user.mark")] * 2
    events = story.acts(abi, "utimes")
    assert told(events, "file.path") == [(story.path(abi),)] * 3
    assert told(events, "file.inode") == [(None,), (None,), (story.inode(abi),)]


@ABIS
def test_links(story: Story, abi: str) -> None:
    assert told(story.acts(abi, "link"), "file.path", "file.target_path") == [
        (story.path(abi, b"hard"), story.path(abi)), (story.path(abi, b"hard too"), story.path(abi)),
    ]  # fmt: skip
    assert told(story.acts(abi, "symlink"), "file.path", "file.target_path") == [
        (story.path(abi, b"soft"), b"../any \xfe text"), (story.path(abi, b"soft too"), b"/etc/shadow"),
    ]  # fmt: skip
    assert {t for e in story.acts(abi, "symlink") for t in e["event.type"]} == {b"creation"}


@ABIS
def test_sizes(story: Story, abi: str) -> None:
    assert told(story.acts(abi, "truncate"), "file.path", "file.size") == [
        (story.path(abi), 1 << 20),
        (story.path(abi), 77),
    ]


def test_nothing_is_lost_raced_or_cut(story: Story) -> None:
    assert story.seen.ledger.closes
    assert story.seen.ledger.lost_ring == story.seen.ledger.recursion == 0
    inside = os.fsencode(story.folder)
    assert {e["kestrel.flags"] for e in story.seen.events() if e.get("file.path", b"").startswith(inside)} == {0}
