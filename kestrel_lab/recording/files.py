"""Files that are written whole, files that only grow, and the lock that says who records."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kestrel_lab.recording.layout import PARTIAL
from kestrel_lab.schema.errors import LimitError

_LOCK_TRIES = 20

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_limits(path: Path) -> Iterator[None]:
    """Turn the operating system's "disk full" into a LimitError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise LimitError(
            f"the disk is full ({os.strerror(error.errno or 0)})",
            where=str(path),
            do="free some space; what was committed stays readable",
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, mode 0600: beside its target, synced, then renamed.

    Raises:
        LimitError: when the disk is full; the target is as it was.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with disk_limits(path), open(partial, "wb", opener=_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except LimitError:
        partial.unlink(missing_ok=True)
        raise
    partial.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Appender:
    """A file that only grows, by whole pieces: a piece that does not fit leaves the file as it was."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open (mode 0600) at `length` bytes; anything after them is cut off."""
        self.path, self.length = path, length
        with disk_limits(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._fd, length)

    def append(self, data: bytes | memoryview) -> None:
        """Append a piece.

        Raises:
            LimitError: when the disk is full.
        """
        done, view = 0, memoryview(data)
        try:
            with disk_limits(self.path):
                while done < len(view):
                    done += os.pwrite(self._fd, view[done:], self.length + done)
        except LimitError:
            os.ftruncate(self._fd, self.length)
            raise
        self.length += len(view)

    def rewind(self, length: int) -> None:
        """Take back everything after `length` bytes."""
        os.ftruncate(self._fd, length)
        self.length = length

    def sync(self) -> None:
        """Make what was appended durable."""
        with disk_limits(self.path):
            os.fsync(self._fd)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RecorderLock:
    """The exclusive lock of whoever writes; it goes with the process. A forked child does not keep it."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            BlockingIOError: if another holds it.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for tries in range(_LOCK_TRIES, -1, -1):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # It may be a reader that only looks whether somebody records.
                if not tries:
                    os.close(self._fd)
                    raise
                time.sleep(0.01)
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # Closing (unlike unlocking) a forked copy leaves the parent's lock alone.
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def release(self) -> None:
        """Give the lock back."""
        self._forget()


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock; False if there is no lock file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
