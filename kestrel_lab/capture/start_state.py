"""The processes that already run: exact identities from the BPF task iterator, their texts from /proc.

The iterator runs again after /proc was read: a process that has exec'd in between keeps its identity, but not texts
that may be another image's. Where /proc shows another pid namespace, start times differ, and no text is taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.entities import Images, file_name
from kestrel_lab.capture.image import ImageTexts
from kestrel_lab.capture.standing import NOBODY, UNKNOWN, Key, Standing, read_standing
from kestrel_lab.schema.columns import PRECISION_ITERATOR, PRECISION_PROCFS

PROC = Path("/proc")


def read_start_state(tasks: Callable[[], npt.NDArray[np.void]], images: Images, now_ns: int) -> int:
    """Add an image for every running process, parents first, and return their number.

    Args:
        tasks: the task iterator (rows of `records.TASK`).
        now_ns: boot time.
    """
    found = {_key(row): (_name(row), read_standing(row["who"], row["standing"])) for row in tasks()}
    found |= {key: (proc_name(key[0], key[1]), UNKNOWN) for key in _unlisted(found)}
    keys = sorted(found, key=lambda key: key[1])
    texts = {key: proc_texts(key[0], key[1]) for key in keys}
    after = {_key(row) for row in tasks()} | _unlisted(found)
    for key in keys:
        name, standing = found[key]
        text = texts[key] if key in after else None
        precision = PRECISION_ITERATOR if text is None else PRECISION_PROCFS
        executable, folder, args = text or (None, None, ())
        image_texts = ImageTexts(file_name(executable, name), executable, folder, args)
        images.found(key, precision, image_texts, now_ns, standing)
    images.flush()
    return len(keys)


def _unlisted(found: Mapping[Key, tuple[bytes, Standing]]) -> set[Key]:
    """Return the parents that are not listed: there are kernels whose iterator passes over pid 1."""
    return {standing.real_parent for _, standing in found.values()} - {*found, NOBODY}


def _key(row: Any) -> Key:
    who = row["who"]
    return int(who["tgid"]), int(who["start"]), int(who["exec_seq"])


def _name(row: Any) -> bytes:
    return bytes(row["who"]["comm"].tobytes().split(b"\0", 1)[0])


def proc_name(pid: int, start_ns: int) -> bytes:
    """Return the kernel's short name of a process from /proc; empty if it is gone or did not start at `start_ns`."""
    folder = os.fsencode(PROC / str(pid))
    try:
        stat, name = _read(folder + b"/stat"), _read(folder + b"/comm")
    except OSError:
        return b""
    return name.removesuffix(b"\n") if _started(stat) == _ticks(start_ns) else b""


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
    if _started(stat) != _ticks(start_ns):
        return None
    try:
        cwd = os.readlink(folder + b"/cwd")
    except OSError:
        cwd = None
    args = tuple(raw.removesuffix(b"\0").split(b"\0")) if raw else ()
    return executable.removesuffix(b" (deleted)"), cwd, args


def still_runs(pid: int, start_ns: int) -> bool:
    """Whether a process that started then (boot time) runs, as far as /proc tells: to a tick."""
    try:
        return _started(_read(os.fsencode(PROC / str(pid) / "stat"))) == _ticks(start_ns)
    except OSError:
        return False


def _started(stat: bytes) -> int:
    return int(stat.rpartition(b")")[2].split()[19])


def _ticks(start_ns: int) -> int:
    return start_ns * os.sysconf("SC_CLK_TCK") // 1_000_000_000


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
