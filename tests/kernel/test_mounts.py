"""Mounts by the old and the new calls, and changes of root, in mount namespaces of the actor's own."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from .actors import CALLS, Story
from .support import Event

ACTOR = (
    CALLS
    + r"""
FULL = os.fsencode(sys.argv[1])
HERE = -100
PRIVATE = 1 << 18 | 1 << 14
NUMBERS = {
    "64": (call64, dict(mount=165, umount2=166, chroot=161, pivot_root=155, fsopen=430, fsconfig=431, fsmount=432,
                        move_mount=429)),
    "32": (call32, dict(mount=21, umount2=52, chroot=61, pivot_root=217, fsopen=430, fsconfig=431, fsmount=432,
                        move_mount=429)),
}

def acts(call, nr, folder):
    assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
    assert libc.mount(None, b"/", None, PRIVATE, None) == 0
    os.chdir(folder)
    for name in ("old", "new", "bound", "root"):
        os.mkdir(name)
    there = os.open(folder, os.O_RDONLY)
    got = [
        call(nr["mount"], text(b"a source \xff"), text(b"old"), text(b"tmpfs"), 2 | 8, 0),
        call(nr["mount"], text(folder + b"/old"), text(folder + b"/bound"), 0, 4096, 0),
        call(nr["mount"], 0, text(b"bound"), 0, 32 | 4096 | 1, 0),
        call(nr["mount"], text(b"none"), text(b"nowhere"), text(b"tmpfs"), 0, 0),
        call(nr["umount2"], text(b"bound"), 2), call(nr["umount2"], text(b"bound"), 2),
    ]
    context = call(nr["fsopen"], text(b"tmpfs"), 0)
    assert call(nr["fsconfig"], context, 1, text(b"source"), text(b"new source"), 0) == 0  # FSCONFIG_SET_STRING
    assert call(nr["fsconfig"], context, 6, 0, 0, 0) == 0  # FSCONFIG_CMD_CREATE
    mounted = call(nr["fsmount"], context, 0, 0)
    got.append(call(nr["move_mount"], mounted, text(b""), there, text(b"new"), 4))  # MOVE_MOUNT_F_EMPTY_PATH
    got.append(call(nr["move_mount"], HERE, text(b"new"), HERE, text(folder + b"/bound"), 0))
    got.append(call(nr["mount"], text(b"the root"), text(b"root"), text(b"tmpfs"), 0, 0))
    os.mkdir("root/put_old")
    got.append(call(nr["pivot_root"], text(b"root"), text(b"root/put_old")))
    os.chdir("/")
    os.mkdir("/jail")
    got.append(call(nr["chroot"], text(b"/put_old/no such")))
    got.append(call(nr["chroot"], text(b"jail")))
    return got

for abi, (call, nr) in NUMBERS.items():
    folder = FULL + b"/" + abi.encode()
    os.mkdir(folder)
    child(abi, lambda: acts(call, nr, folder))
tell()
"""
)
ABIS = pytest.mark.parametrize("abi", ["64", "32"])


class Mounts(Story):
    """What was done in a folder for each kind of calls, and what was seen of it."""

    def acts(self, child: str, action: str) -> list[Event]:
        """Return the events of an action by one child, in order, but for that the namespace was made private."""
        return [e for e in super().acts(child, action) if e.get("file.path") != b"/"]

    def path(self, abi: str, name: str) -> bytes:
        """Return a path in one folder."""
        return os.fsencode(self.folder / abi / name)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Mounts:
    return Mounts(tmp_path_factory.mktemp("story"), ACTOR)


def values(event: Event) -> list[Any]:
    names = ("file.path", "kestrel.mount.source", "kestrel.mount.type", "kestrel.call_flags", "kestrel.ret")
    return [event.get(name) for name in names]


@ABIS
def test_mounts_by_the_old_call(story: Mounts, abi: str) -> None:
    old, bound, nowhere = (story.path(abi, name) for name in ("old", "bound", "nowhere"))
    assert [values(e) for e in story.acts(abi, "mount")[:4]] == [
        [old, b"a source \xff", b"tmpfs", (b"nosuid", b"noexec"), 0],
        [bound, old, None, (b"bind",), 0],
        [bound, None, None, (b"ro", b"remount", b"bind"), 0],
        [nowhere, b"none", b"tmpfs", None, -errno.ENOENT],
    ]


@ABIS
def test_mounts_by_the_new_calls(story: Mounts, abi: str) -> None:
    made, moved, _ = story.acts(abi, "mount")[4:]
    assert values(made) == [story.path(abi, "new"), b"new source", b"tmpfs", None, 0]
    assert values(moved) == [story.path(abi, "bound"), story.path(abi, "new"), None, None, 0]


@ABIS
def test_unmounts(story: Mounts, abi: str) -> None:
    done, refused = story.acts(abi, "unmount")
    assert values(done) == [story.path(abi, "bound"), None, None, (b"detach",), 0]
    assert (refused["kestrel.ret"], refused["event.outcome"]) == (-errno.EINVAL, b"failure")


@ABIS
def test_roots(story: Mounts, abi: str) -> None:
    assert story.told[abi + " gave"] == [0, 0, 0, -errno.ENOENT, 0, -errno.EINVAL, 0, 0, 0, 0, -errno.ENOENT, 0]
    (pivoted,) = story.acts(abi, "pivot_root")
    assert pivoted["file.path"] == story.path(abi, "root")
    assert pivoted["file.target_path"] == story.path(abi, "root/put_old")
    refused, done = story.acts(abi, "chroot")
    assert (refused["file.path"], refused["kestrel.ret"]) == (b"/put_old/no such", -errno.ENOENT)
    assert (done["file.path"], done["event.outcome"]) == (b"/jail", b"success")
