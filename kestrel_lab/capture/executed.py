"""What was executed, as files: the image of an exec, the script that it runs, and the ways to reach either later."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kestrel_lab.capture.host import boot_ns
from kestrel_lab.capture.naming import join_name
from kestrel_lab.capture.reading import Identity, opened
from kestrel_lab.capture.records import NAMESPACES
from kestrel_lab.capture.start_state import still_runs

PROC = Path("/proc")
_MNT = NAMESPACES.index("mnt")
_NS = 1_000_000_000
_MOST_DESCRIPTORS = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that was executed.

    Attributes:
        who: who executed it (`records.WHO`).
        path: as the kernel had it; of a script as it was named, in the working directory if that is no whole path.
        image: whether it is the image itself, not a script that another one runs.
        identity: of an image, which file it was.
        near: whether the recorder sees the same mounts, so that the path leads it there too.
        parent: pid of who may hold it open: what has no name, and has ended, may be found there still; 0 for nobody.
        executed_ns: of a script, when: a file that was changed later is not the one. ns since 1970.
    """

    who: Any
    path: bytes
    image: bool
    identity: Identity | None = None
    near: bool = True
    executed_ns: int = 0
    parent: int = 0

    @property
    def role(self) -> bytes:
        """The value of `kestrel.content.role`."""
        return b"image" if self.image else b"script"

    def check(self, found: os.stat_result, *, runs: bool) -> Identity:
        """Return which file it is, as the kernel has it, if a file that was found may be the one.

        Args:
            runs: whether it was found as what a process runs now: then nobody can write to it, and a new name, other
                rights or one link more are no other content.

        Raises:
            OSError: ESTALE if it may not.
        """
        one = Identity.of(found)
        if self.identity is None:
            if one.changed_ns > self.executed_ns:
                raise OSError(errno.ESTALE, "it was changed after it was executed")
            return one
        same = runs and one.inode == self.identity.inode and found.st_mtime_ns <= self.identity.changed_ns
        if not same and not one.same_file(self.identity):
            raise OSError(errno.ESTALE, "another file")
        return self.identity

    def ways(self) -> Iterator[tuple[Callable[[], AbstractContextManager[int]], bool]]:
        """Yield what to open, the surest first, each of which may fail with an OSError; and whether that leads to what
        a process runs."""
        folder = os.fsencode(PROC / str(int(self.who["tgid"])))
        if self.image:
            yield lambda: opened(folder + b"/exe"), True
        else:
            yield lambda: self._in_its_root(folder), False
        if self.near and self.path.startswith(b"/"):
            yield lambda: opened(self.path), False
        if self.parent and self.identity is not None:
            for link in _descriptors(self.parent, self.identity.inode):
                yield partial(opened, link), False

    @contextmanager
    def _in_its_root(self, folder: bytes) -> Iterator[int]:
        with opened(folder + b"/root") as root:
            if not still_runs(int(self.who["tgid"]), int(self.who["start"])):
                raise OSError(errno.ENOENT, "it has ended")
            with opened(self.path, root) as fd:
                yield fd


def executed(one: Any, own_mounts: int) -> Iterator[Wanted]:
    """Yield what a record of an exec says was executed: its image, and the script if it runs one.

    Args:
        one: a record of a ring of execs.
        own_mounts: number of the recorder's mount namespace.
    """
    who, near = one["head"]["who"].copy(), int(one["standing"]["namespaces"][_MNT]) in (0, own_mounts)
    exe, cwd, name, interpreter = (int(one[f"{part}_len"]) for part in ("exe", "cwd", "filename", "interp"))
    text = one["text"][: exe + cwd + name].tobytes()
    if exe and int(one["inode"]):
        parent = 0 if int(one["links"]) else int(one["standing"]["real_tgid"])
        yield Wanted(who, text[:exe], True, identity_of(one), near, parent=parent)
    if interpreter and name:
        path = join_name(text[exe : exe + cwd], text[exe + cwd :]) or b""
        moment = time.time_ns() - boot_ns() + int(one["head"]["ts"])
        yield Wanted(who, path, False, None, near, moment)


def _descriptors(pid: int, inode: int) -> Iterator[bytes]:
    """Yield the descriptors of a process that are of a file with this inode number."""
    folder = os.fsencode(PROC / str(pid) / "fd")
    try:
        links = [folder + b"/" + name for name in os.listdir(folder)[:_MOST_DESCRIPTORS]]
    except OSError:
        return
    for link in links:
        with suppress(OSError):
            if os.stat(link).st_ino == inode:
                yield link


def identity_of(one: Any) -> Identity:
    """Return which file the image of an exec is, from its record."""
    return Identity(int(one["device"]), int(one["inode"]), int(one["changed"]) * _NS + int(one["changed_ns"]))


def running(who: Any, *, near: bool) -> Wanted | None:
    """Return the image of a process that runs, None if it has none or is gone.

    Args:
        who: the process (`records.WHO`).
    """
    link = os.fsencode(PROC / str(int(who["tgid"])) / "exe")
    try:
        identity, path = Identity.of(os.stat(link)), os.readlink(link)
    except OSError:
        return None
    return Wanted(who.copy(), path.removesuffix(b" (deleted)"), True, identity, near)


def own_mounts() -> int:
    """Return the number of the recorder's mount namespace."""
    return os.stat("/proc/self/ns/mnt").st_ino
