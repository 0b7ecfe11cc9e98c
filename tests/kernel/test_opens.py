"""Opens that fail, that empty a file, and, on request, that only read: by each of the calls, of 64 and of 32 bits."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from .actors import CALLS, record_actor
from .support import Event

ACTOR = (
    CALLS
    + r"""
import struct
FULL = os.fsencode(sys.argv[1])
HERE = -100
LONG = b"n" * 200 + b"/../" + b"./" * 1900 + b"end"
NUMBERS = {"64": (call64, dict(open=2, creat=85, openat=257, openat2=437)),
           "32": (call32, dict(open=5, creat=8, openat=295, openat2=437))}
def how(flags):
    return put(struct.pack("QQQ", flags, 0o600 if flags & os.O_CREAT else 0, 0))
for abi, (call, nr) in NUMBERS.items():
    folder = FULL + b"/" + abi.encode()
    os.mkdir(folder)
    os.chdir(folder)
    there = os.open(folder, os.O_RDONLY)
    told[abi] = [
        call(nr["open"], text(b"none \xff\n"), os.O_WRONLY, 0), call(nr["creat"], text(b"no/folder"), 0o600),
        call(nr["openat"], there, text(b"none"), os.O_RDWR, 0),
        call(nr["openat"], HERE, text(folder), os.O_WRONLY, 0), call(nr["openat2"], there, text(b"none"), how(1), 24),
        call(nr["open"], text(LONG), os.O_WRONLY, 0), call(nr["open"], 1, os.O_WRONLY, 0),
    ]
    with open("there", "wb") as file:
        file.write(b"old")
    told[abi + " reached"] = [
        call(nr["open"], text(b"made"), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600) >= 0,
        call(nr["creat"], text(b"there"), 0o600) >= 0,
        call(nr["openat"], there, text(b"there"), os.O_WRONLY | os.O_TRUNC, 0) >= 0,
        call(nr["openat2"], there, text(b"there"), how(os.O_RDWR | os.O_CREAT | os.O_TRUNC), 24) >= 0,
    ]
    told[abi + " read"] = [call(nr["open"], text(b"there"), os.O_RDONLY, 0) >= 0,
                           call(nr["openat"], HERE, text(b"secret"), os.O_RDONLY, 0)]
tell()
"""
)
NAMES = [b"none \xff\n", b"no/folder", b"none", b"", b"none", b"n" * 200 + b"/../end"]


class Story:
    """What the actor did in a folder for each kind of calls, and what was seen of it."""

    def __init__(self, folder: Path, *, reads: bool) -> None:
        self.folder = folder
        self.seen, self.told = record_actor(folder, code=ACTOR, reads=reads)

    def acts(self, abi: str, action: str, outcome: bytes = b"success") -> list[Event]:
        """Return the events of an action in one folder, in order."""
        inside = self.path(abi)
        found = self.seen.of(action, event__outcome=outcome)
        return [e for e in found if e.get("file.path", inside).startswith(inside)]

    def path(self, abi: str, name: bytes = b"") -> bytes:
        """Return a path in one folder, or the folder."""
        return os.fsencode(self.folder / abi) + (b"/" + name if name else b"")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"), reads=True)


ABIS = pytest.mark.parametrize("abi", ["64", "32"])


@ABIS
def test_refused(story: Story, abi: str) -> None:
    named = [e for e in story.acts(abi, "open", b"failure") if "file.path" in e]
    assert [e["file.path"] for e in named] == [story.path(abi, name) for name in NAMES]
    whys = [errno.ENOENT, errno.ENOENT, errno.ENOENT, errno.EISDIR, errno.ENOENT, errno.ENOENT]
    assert [e["kestrel.ret"] for e in named] == [-why for why in whys] == story.told[abi][:-1]
    assert not any("file.inode" in e for e in named)
    assert named[0]["file.Ext.open_flags"] == os.O_WRONLY
    assert named[1]["file.Ext.open_flags"] == os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    assert not any(e["kestrel.flags"] for e in named)


def test_a_name_that_cannot_be_read(story: Story) -> None:
    nameless = [e for e in story.seen.of("open") if "file.path" not in e]
    assert [e["kestrel.ret"] for e in nameless] == [-errno.EFAULT] * 2


@ABIS
def test_what_was_asked_for_beyond_what_the_file_keeps(story: Story, abi: str) -> None:
    assert all(story.told[abi + " reached"])
    made = [e for e in story.acts(abi, "creation") if e["file.path"] == story.path(abi, b"made")]
    assert [e["file.Ext.open_flags"] & 0o1300 for e in made] == [os.O_CREAT | os.O_EXCL]
    asked = [e["file.Ext.open_flags"] & 0o1303 ^ os.O_TRUNC for e in story.acts(abi, "open")]
    assert asked == [os.O_WRONLY | os.O_CREAT, os.O_WRONLY, os.O_RDWR | os.O_CREAT]


@ABIS
def test_reading_on_request(story: Story, abi: str) -> None:
    (done,) = (e for e in story.acts(abi, "open_read") if e["file.path"] == story.path(abi, b"there"))
    (refused,) = (e for e in story.acts(abi, "open_read", b"failure") if e["file.path"] == story.path(abi, b"secret"))
    assert done["file.inode"] == os.stat(story.path(abi, b"there")).st_ino
    assert refused["kestrel.ret"] == -errno.ENOENT


def test_reading_otherwise_makes_no_row(tmp_path: Path) -> None:
    assert Story(tmp_path, reads=False).seen.of("open_read") == []
