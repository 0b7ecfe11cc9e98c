"""The raw records of `bpf/records.h` as NumPy dtypes, and the rings and sources they come through.

Before each record lies the ring buffer's own 8-byte header; a bit of it says that the record is still being written.
The text of file records is seen as 64-bit words, so that whole batches are masked and compared at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

RECORD_VERSION = 2
BUSY = 0x8000_0000

SOURCES = ("fork", "exit", "exec0", "exec1", "exec2", "file0", "file1", "net", "socket", "act", "signal",
           "dirty0", "dirty1", "datagram", "cgroup0", "cgroup1", "io0", "io1", "io_net", "recorder")  # fmt: skip

ARGS_SIZES = (512, 4096, 37888)
EXEC_TEXT_SIZES = (768, 12800, 12800)
FILE_TEXT_SIZES = (256, 16384)

WHO = np.dtype([
    ("start", "u8"), ("tgid", "u4"), ("tid", "u4"), ("exec_seq", "u4"), ("ruid", "u4"), ("rgid", "u4"),
    ("suid", "u4"), ("sgid", "u4"), ("euid", "u4"), ("egid", "u4"), ("unwanted", "u4"), ("permitted", "u8"),
    ("effective", "u8"), ("comm", "u1", 16),
])  # fmt: skip

NAMESPACES = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup", "time")
STANDING = np.dtype([
    ("real_start", "u8"), ("real_tgid", "u4"), ("real_exec_seq", "u4"), ("pgid", "u4"), ("sid", "u4"), ("vpid", "u4"),
    ("login_uid", "u4"), ("audit_session", "u4"), ("tty", "u4"), ("devices", "u4", 3), ("modes", "u2", 3),
    ("unused", "u2"), ("namespaces", "u4", len(NAMESPACES)), ("unused2", "u4"), ("cgroup", "u8"), ("cgroup1", "u8"),
])  # fmt: skip

_PLACE = [
    ("ts", "u8"), ("seq", "u8"), ("version", "u2"), ("source", "u2"), ("action", "u2"), ("cpu", "u2"),
    ("flags", "u4"), ("unused", "u4"), ("who", WHO),
]  # fmt: skip
HEAD = np.dtype(_PLACE)
_HEAD = [("head", HEAD)]

PROC = np.dtype([
    *_HEAD, ("standing", STANDING), ("creator_start", "u8"), ("creator_tgid", "u4"), ("creator_exec_seq", "u4"),
    ("status", "u4"), ("unused", "u4"),
])  # fmt: skip


def _exec(size: int) -> np.dtype[np.void]:
    return np.dtype([
        *_HEAD, ("standing", STANDING), ("inode", "u8"), ("changed", "u8"), ("changed_ns", "u4"), ("device", "u4"),
        ("links", "u4"), ("args_size", "u4"), ("env_size", "u4"), ("args_len", "u4"), ("peer", "u8", 2),
        ("peer_port", "u2"), ("peer_family", "u2"), ("mode", "u2"), ("secure", "u2"), ("exe_len", "u2"),
        ("cwd_len", "u2"), ("filename_len", "u2"), ("interp_len", "u2"),
        ("args", "u1", ARGS_SIZES[size]), ("text", "u1", EXEC_TEXT_SIZES[size]),
    ])  # fmt: skip


def _file(size: int) -> np.dtype[np.void]:
    return np.dtype([
        *_HEAD, ("inode", "u8"), ("numbers", "u8", 2), ("dev", "u4"), ("open_flags", "u4"), ("present", "u4"),
        ("ret", "i4"), ("lens", "u2", 4), ("text", "u8", FILE_TEXT_SIZES[size] // 8),
    ])  # fmt: skip


NET = np.dtype([
    *_HEAD, ("local", "u8", 2), ("remote", "u8", 2), ("received", "u8"), ("sent", "u8"), ("duration", "u8"),
    ("netns", "u4"), ("ret", "i4"), ("local_port", "u2"), ("remote_port", "u2"), ("family", "u2"), ("type", "u2"),
    ("protocol", "u2"), ("present", "u2"), ("state", "u4"), ("lens", "u2", 4), ("text", "u8", 32),
])  # fmt: skip

NET_RET_UNKNOWN = 1
NET_INWARD, NET_HAS_BYTES, NET_HAS_LOCAL, NET_HAS_REMOTE, NET_HAS_DURATION = 1, 2, 4, 8, 16

FILE_HAS_INODE, FILE_HAS_FLAGS, FILE_HAS_FIRST, FILE_HAS_SECOND = 1, 2, 4, 8

ACT_TEXT_SIZE = 256
ACT_HAS_IDS, ACT_HAS_TARGET, ACT_PID_IS_GLOBAL, ACT_HAS_TIME = 1, 2, 4, 8

ACT = np.dtype([
    *_HEAD, ("ret", "i8"), ("args", "u8", 4), ("ids", "u4", 6), ("target_start", "u8"), ("target_tgid", "u4"),
    ("target_exec_seq", "u4"), ("target_pid", "u4"), ("text_len", "u2"), ("present", "u2"),
    ("text", "u1", ACT_TEXT_SIZE),
])  # fmt: skip

TASK = np.dtype([("who", WHO), ("standing", STANDING)])
#: what the iterator of files tells: a socket or a BPF program, as a record of its ring
FOUND = np.dtype([("kind", "u8"), ("id", "u8"), ("record", "u1", max(NET.itemsize, ACT.itemsize))])
FOUND_SOCKET, FOUND_PROGRAM = 1, 2
#: of the map of connections
CONNECTION = np.dtype([("who", WHO), ("since", "u8"), ("inward", "u4"), ("found", "u4")])


@dataclass(frozen=True)
class RingKind:
    """One ring: the dtype of its records (without the ring's header) and its default size in pages.

    `lens` names the field with the lengths of what lies in `text`, the last field: only so much of it is copied.
    """

    record: np.dtype[np.void]
    pages: int
    lens: str = ""

    @property
    def words(self) -> int:
        """The 64-bit words from one record to the next: the ring's header, the record, padding."""
        return 1 + -(-self.record.itemsize // 8)

    @cached_property
    def _fixed(self) -> int:
        """Words before the text."""
        return 1 + self._offset("text") // 8 if self.lens else self.words

    def _offset(self, field: str) -> int:
        return int(self.record.fields[field][1]) if self.record.fields else 0

    def used(self, words: npt.NDArray[np.uint64]) -> int:
        """Return how many words of a record are worth copying, for the longest text among records."""
        if not self.lens or not len(words):
            return self.words
        at = 1 + self._offset(self.lens) // 8
        longest = int(words[:, at].copy().view(np.uint16).reshape(-1, 4).sum(axis=1).max())
        return self._fixed + min(max(-(-longest // 8), 1), self.words - self._fixed)

    def view(self, words: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
        """Return records, cut after so many words, as a structured array over the same memory."""
        return words.view(self._dtype(words.shape[1])).reshape(-1)

    @cached_property
    def _dtypes(self) -> dict[int, np.dtype[np.void]]:
        return {}

    def _dtype(self, words: int) -> np.dtype[np.void]:
        known = self._dtypes.get(words)
        if known is None:
            known = self._dtypes[words] = self._make_dtype(words)
        return known

    def _make_dtype(self, words: int) -> np.dtype[np.void]:
        names = list(self.record.names or ())
        formats: list[np.dtype[Any]] = [self.record[name] for name in names]
        if self.lens:
            formats[-1] = np.dtype(("u8", (words - self._fixed,)))
        return np.dtype({
            "names": names, "formats": formats, "offsets": [8 + self._offset(name) for name in names],
            "itemsize": 8 * words,
        })  # fmt: skip


RINGS: Mapping[str, RingKind] = {
    "proc": RingKind(PROC, 512),
    "exec0": RingKind(_exec(0), 1024),
    "exec1": RingKind(_exec(1), 1024),
    "exec2": RingKind(_exec(2), 2048),
    "file0": RingKind(_file(0), 8192, "lens"),
    "file1": RingKind(_file(1), 2048, "lens"),
    "net": RingKind(NET, 1024, "lens"),
    "act": RingKind(ACT, 1024),
}
KINDS = tuple(RINGS.values())


def size_flags() -> list[str]:
    """Return compiler flags with the sizes that the C structs must have."""
    sizes = {name.upper(): kind.record.itemsize for name, kind in RINGS.items()}
    sizes |= {"TASK": TASK.itemsize, "FOUND": FOUND.itemsize}
    return [f"-DSIZE_{name}={size}" for name, size in sizes.items()]
