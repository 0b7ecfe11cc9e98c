"""Disk space held back while recording, so that sealing and closing still fit when the disk is full."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from kestrel_lab.recording.files import disk_limits

_FLOOR = 256 << 10
_STEP = 1 << 20
_SHARE = 1.0  # of the open streams: what sealing them may take before they can be deleted, if nothing compresses better


class Reserve:
    """A file of allocated, unused bytes beside the recording's own."""

    def __init__(self, path: Path) -> None:
        """Take the floor.

        Raises:
            LimitError: when the disk is full already.
        """
        self._path, self._size = path, 0
        self._lock = threading.Lock()  # the sealing thread releases, the recorder's keeps
        with disk_limits(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.keep(0)

    def keep(self, open_bytes: int) -> None:
        """Hold enough for sealing streams of `open_bytes`, in steps; never lets go.

        Raises:
            LimitError: when the disk has not that much left; what was held stays held.
        """
        need = _FLOOR + int(open_bytes * _SHARE)
        if need <= self._size:
            return
        with self._lock, disk_limits(self._path):
            try:
                self._allocate(need + _STEP)
            except OSError:
                self._allocate(need)

    def release(self, open_bytes: int = 0) -> None:
        """Let go of what streams of `open_bytes` do not need."""
        with self._lock:
            if self._fd >= 0:
                self._size = min(self._size, _FLOOR + int(open_bytes * _SHARE))
                os.ftruncate(self._fd, self._size)

    def remove(self) -> None:
        """Let go of everything."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                self._path.unlink(missing_ok=True)

    def _allocate(self, size: int) -> None:
        os.posix_fallocate(self._fd, 0, size)
        self._size = size
