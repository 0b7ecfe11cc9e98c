"""One BPF ring buffer, drained through `mmap` into rows of 64-bit words."""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.records import BUSY, RingKind

#: a structured array of records, as `RingKind.view` gives it
Records = npt.NDArray[np.void]
#: records as rows of 64-bit words, cut after the longest text among them
Words = npt.NDArray[np.uint64]


class Ring:
    """The consumer's side of a ring of records of one size.

    The data area is mapped once, not twice as the kernel offers: every page would count as resident twice.

    Args:
        name: the ring's name.
        kind: what its records are.
        fd: the map's file descriptor; not kept.
        pages: the size of its data area.
    """

    def __init__(self, name: str, kind: RingKind, fd: int, pages: int) -> None:
        page = mmap.PAGESIZE
        self.name = name
        self.kind = kind
        self.size = pages * page
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._data_map = mmap.mmap(fd, page + self.size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer: Words = np.frombuffer(self._consumer_map, "u8", 1)
        self._producer: Words = np.frombuffer(self._data_map, "u8", 1)
        self._data: Words = np.frombuffer(self._data_map, "u8", self.size // 8, offset=page)

    @property
    def fill(self) -> float:
        """Which part of the ring holds records that are not yet taken, 0 to 1."""
        return (int(self._producer[0]) - int(self._consumer[0])) / self.size

    def drain(self) -> tuple[Words, bool]:
        """Take every record that is complete.

        Returns:
            A copy of the records in ring order, and whether that was all: False if one was still being written.
        """
        start, stride = int(self._consumer[0]), self.kind.words
        count = (int(self._producer[0]) - start) // (stride * 8)
        if count <= 0:
            return np.empty((0, stride), np.uint64), True
        found = self._span(start % self.size // 8, count * stride).reshape(count, stride)
        busy = (found[:, 0] & BUSY) != 0
        whole = not busy.any()
        if not whole:
            found = found[: int(busy.argmax())]
        words = found[:, : self.kind.used(found)].copy()
        self._consumer[0] = start + len(words) * stride * 8
        return words, whole

    def discard(self) -> None:
        """Take every record and keep none."""
        self._consumer[0] = self._producer[0]

    def _span(self, start: int, words: int) -> Words:
        """Return consecutive words of the ring; a copy where they run past its end."""
        stop = start + words
        if stop <= len(self._data):
            return self._data[start:stop]
        return np.concatenate((self._data[start:], self._data[: stop - len(self._data)]))

    def close(self) -> None:
        """Release the mappings; one that an error still holds a view of goes with that view."""
        del self._consumer, self._producer, self._data
        with suppress(BufferError):
            self._consumer_map.close()
            self._data_map.close()
