"""The processes that already run: exact identities from the BPF task iterator, their texts from /proc.

The iterator runs again after /proc was read: a process that has exec'd in between keeps its identity, but not texts
that may be another image's. Where /proc shows another pid namespace, start times differ, and no text is taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.entities import Images, ImageTexts, Key, file_name
from kestrel_lab.schema.fields import PRECISION_ITERATOR, PRECISION_PROCFS

PROC = Path("/proc")


def read_start_state(tasks: Callable[[], npt.NDArray[np.void]], images: Images, now_ns: int) -> int:
    """Add an image for every running process, parents first, and return their number.

    Args:
        tasks: the task iterator (rows of `records.TASK`).
        now_ns: boot time.
    """
    rows = sorted(tasks().tolist(), key=lambda row: row[0])
    texts = {row[2]: proc_texts(row[2], row[0]) for row in rows}
    after = {(row[2], row[0], row[4]) for row in tasks().tolist()}
    refs: dict[tuple[int, int], int] = {}
    for start, parent_start, tgid, parent_tgid, exec_seq, _, comm in rows:
        key: Key = (tgid, start, exec_seq)
        found = texts[tgid] if key in after else None
        name = bytes(comm).split(b"\0", 1)[0]
        precision = PRECISION_ITERATOR if found is None else PRECISION_PROCFS
        executable, folder, args = found or (None, None, ())
        image_texts = ImageTexts(file_name(executable, name), executable, folder, args)
        parent = refs.get((parent_tgid, parent_start), 0)
        refs[tgid, start] = images.describe(key, parent, 0, precision, image_texts, now_ns).ref
    images.flush()
    return len(rows)


def proc_texts(pid: int, start_ns: int) -> tuple[bytes, bytes | None, tuple[bytes, ...]] | None:
    """Return (executable, working directory, args) from /proc.

    None for a kernel thread, a process that is gone, or one that did not start at `start_ns` (boot time).
    """
    folder = os.fsencode(PROC / str(pid))
    try:
        executable = os.readlink(folder + b"/exe")
        raw, stat = _read(folder + b"/cmdline"), _read(folder + b"/stat")
    except OSError:
        return None
    started = int(stat.rpartition(b")")[2].split()[19])
    if started != start_ns * os.sysconf("SC_CLK_TCK") // 1_000_000_000:
        return None
    try:
        cwd = os.readlink(folder + b"/cwd")
    except OSError:
        cwd = None
    args = tuple(raw.removesuffix(b"\0").split(b"\0")) if raw else ()
    return executable.removesuffix(b" (deleted)"), cwd, args


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
