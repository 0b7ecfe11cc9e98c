"""Reading a file that was executed: that very file or none, without a trace on it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

CHUNK = 1 << 20
_OPENAT2, _RESOLVE_IN_ROOT, _RESOLVE_NO_MAGICLINKS = 437, 0x10, 0x02
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file it is, in which state: a change to its content changes the last.

    Attributes:
        device: as the kernel numbers it: major << 20 | minor.
        changed_ns: when its inode was changed last, ns since 1970.
    """

    device: int
    inode: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Identity:
        """Return that of a file whose stat was taken."""
        device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
        return cls(device, found.st_ino, found.st_ctime_ns)

    def same_file(self, other: Identity) -> bool:
        """Whether it is the same file in the same state. Of the device nothing is asked: some file systems give user
        space other numbers than the kernel has."""
        return self.inode == other.inode and self.changed_ns == other.changed_ns


@contextmanager
def opened(path: bytes, root: int | None = None) -> Iterator[int]:
    """Give a descriptor that names a file (O_PATH): nothing happens to the file, whatever it is.

    Args:
        root: descriptor of the folder that is `/` to the path; every link stays in it.

    Raises:
        OSError: if it cannot be reached.
    """
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC) if root is None else _open_in(root, path)
    try:
        yield fd
    finally:
        os.close(fd)


def read_content(fd: int, limit: int, take: Callable[[bytes], object]) -> tuple[bytes, int]:
    """Read the file that a descriptor of `opened` names, whole; return its sha256, hexadecimal, and its size in bytes.

    Args:
        limit: bytes that it may have.
        take: gets the content in chunks.

    Raises:
        OSError: EFBIG if it is larger, EINVAL if it is no regular file, ESTALE if it changed meanwhile.
    """
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if before.st_size > limit:
        raise OSError(errno.EFBIG, "too large")
    digest, size = sha256(), 0
    file = _readable(fd)
    try:
        while chunk := os.read(file, CHUNK):
            size += len(chunk)
            if size > limit:
                raise OSError(errno.EFBIG, "too large")
            digest.update(chunk)
            take(chunk)
        if not Identity.of(os.fstat(file)).same_file(Identity.of(before)):
            raise OSError(errno.ESTALE, "it changed while it was read")
    finally:
        os.close(file)
    return digest.hexdigest().encode(), size


def _readable(fd: int) -> int:
    """Open what a descriptor names for reading, its time of access untouched where that is allowed."""
    path, flags = f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with suppress(PermissionError):
        return os.open(path, flags | os.O_NOATIME)
    return os.open(path, flags)


def _open_in(root: int, path: bytes) -> int:
    how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0,
                                                  _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS))  # fmt: skip
    fd: int = _LIBC.syscall(_OPENAT2, root, path, how, 24)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(path))
    return fd
