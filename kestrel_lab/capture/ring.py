"""One BPF ring buffer, drained through `mmap` into a NumPy structured array."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.records import BUSY, RingKind

Records = npt.NDArray[np.void]


class Ring:
    """The consumer's side of a ring of records of one size.

    Args:
        name: the ring's name.
        kind: what its records are.
        fd: the map's file descriptor; not kept.
        pages: the size of its data area.
    """

    def __init__(self, name: str, kind: RingKind, fd: int, pages: int) -> None:
        page = mmap.PAGESIZE
        self.name = name
        self.dtype = kind.dtype
        self.size = pages * page
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._data_map = mmap.mmap(fd, page + 2 * self.size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer: npt.NDArray[np.uint64] = np.frombuffer(self._consumer_map, "u8", 1)
        self._producer: npt.NDArray[np.uint64] = np.frombuffer(self._data_map, "u8", 1)

    @property
    def fill(self) -> float:
        """Which part of the ring holds records that are not yet taken, 0 to 1."""
        return (int(self._producer[0]) - int(self._consumer[0])) / self.size

    def drain(self) -> tuple[Records, bool]:
        """Take every record that is complete.

        Returns:
            A copy of the records in ring order, and whether that was all: False if one was still being written.
        """
        start = int(self._consumer[0])
        count = (int(self._producer[0]) - start) // self.dtype.itemsize
        if count <= 0:
            return np.empty(0, self.dtype), True
        at = mmap.PAGESIZE + start % self.size
        found: Any = np.frombuffer(self._data_map, self.dtype, count, offset=at)
        busy = (found["busy"] & BUSY) != 0
        whole = not busy.any()
        if not whole:
            found = found[: int(busy.argmax())]
        records = found.copy()
        self._consumer[0] = start + len(records) * self.dtype.itemsize
        return records, whole

    def close(self) -> None:
        """Release the mappings."""
        del self._consumer, self._producer
        self._consumer_map.close()
        self._data_map.close()
