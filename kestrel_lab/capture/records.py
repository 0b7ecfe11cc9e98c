"""The raw records of `bpf/records.h` as NumPy dtypes, and the rings and sources they come through.

A ring's dtype starts with the ring buffer's own 8-byte header; its top bit says that the record is still written.
Text areas are views of 64-bit words, so that whole batches are masked and compared at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RECORD_VERSION = 1
BUSY = 0x8000_0000

SOURCES = ("fork", "exit", "exec0", "exec1", "exec2", "file0", "file1", "net", "accept")

ARGS_SIZES = (512, 4096, 37888)
EXEC_TEXT_SIZES = (768, 12288, 12288)
FILE_TEXT_SIZES = (256, 16384)

WHO = np.dtype([
    ("start", "u8"), ("tgid", "u4"), ("tid", "u4"), ("exec_seq", "u4"), ("ruid", "u4"), ("rgid", "u4"),
    ("euid", "u4"), ("egid", "u4"), ("unused", "u4"), ("comm", "u1", 16),
])  # fmt: skip

_PLACE = [
    ("ts", "u8"), ("seq", "u8"), ("version", "u2"), ("source", "u2"), ("action", "u2"), ("cpu", "u2"),
    ("flags", "u4"), ("unused", "u4"), ("who", WHO),
]  # fmt: skip
HEAD = np.dtype(_PLACE)
_HEAD = [("head", HEAD)]

PROC = np.dtype([*_HEAD, ("creator_start", "u8"), ("creator_tgid", "u4"), ("creator_exec_seq", "u4"),
                 ("status", "u4"), ("unused", "u4")])  # fmt: skip


def _exec(size: int) -> np.dtype[np.void]:
    return np.dtype([
        *_HEAD, ("creator_start", "u8"), ("creator_tgid", "u4"), ("creator_exec_seq", "u4"), ("args_size", "u4"),
        ("args_len", "u4"), ("exe_len", "u2"), ("cwd_len", "u2"), ("filename_len", "u2"), ("unused", "u2"),
        ("args", "u1", ARGS_SIZES[size]), ("text", "u1", EXEC_TEXT_SIZES[size]),
    ])  # fmt: skip


def _file(size: int) -> np.dtype[np.void]:
    return np.dtype([
        *_HEAD, ("inode", "u8"), ("dev", "u4"), ("open_flags", "u4"), ("present", "u4"), ("unused", "u4"),
        ("lens", "u2", 4), ("text", "u8", FILE_TEXT_SIZES[size] // 8),
    ])  # fmt: skip


NET = np.dtype([*_HEAD, ("local", "u8", 2), ("remote", "u8", 2), ("local_port", "u2"), ("remote_port", "u2"),
                ("family", "u2"), ("unused", "u2"), ("ret", "i4"), ("unused2", "u4")])  # fmt: skip

TASK = np.dtype([("start", "u8"), ("parent_start", "u8"), ("tgid", "u4"), ("parent_tgid", "u4"), ("exec_seq", "u4"),
                 ("parent_exec_seq", "u4"), ("comm", "u1", 16)])  # fmt: skip


@dataclass(frozen=True, slots=True)
class RingKind:
    """One ring: the dtype of its records (without the ring's header) and its default size in pages."""

    record: np.dtype[np.void]
    pages: int

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The dtype of a record as it lies in the ring: header first, padded to 8 bytes."""
        padding = -self.record.itemsize % 8
        tail = [("padding", "u1", padding)] if padding else []
        return np.dtype([("busy", "u4"), ("page", "u4"), ("rec", self.record), *tail])


RINGS: Mapping[str, RingKind] = {
    "proc": RingKind(PROC, 1024),
    "exec0": RingKind(_exec(0), 2048),
    "exec1": RingKind(_exec(1), 2048),
    "exec2": RingKind(_exec(2), 4096),
    "file0": RingKind(_file(0), 8192),
    "file1": RingKind(_file(1), 2048),
    "net": RingKind(NET, 1024),
}


def size_flags() -> list[str]:
    """Return compiler flags with the sizes that the C structs must have."""
    sizes = {name.upper(): kind.record.itemsize for name, kind in RINGS.items()} | {"TASK": TASK.itemsize}
    return [f"-DSIZE_{name}={size}" for name, size in sizes.items()]
