"""What is true of the machine for a whole recording."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kestrel_lab.schema.epoch import SourceInfo
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.schema import BUILTIN

MOUNTS = Path("/proc/self/mountinfo")


def boot_ns() -> int:
    """Return CLOCK_BOOTTIME, ns: the clock of the events."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> bytes:
    """Return the kernel's boot id, 16 bytes."""
    return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes


def source_info() -> SourceInfo:
    """Return the description of a new live source."""
    host = {"host.os.type": "linux", "host.name": os.uname().nodename}
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    if machine:
        host["host.id"] = machine
    extra = {"kernel": os.uname().release, "machine": platform.machine()}
    return SourceInfo(uuid.uuid4().hex, host, BUILTIN, boot_id().hex(), extra)


class Mount(NamedTuple):
    """A line of mountinfo: what of the file system is mounted where, its type, the file system's own options."""

    root: str
    point: Path
    kind: str
    options: str


def mounts_in(text: str) -> Iterator[Mount]:
    """Yield the mounts of a text like /proc/self/mountinfo: proc(5)."""
    for line in text.splitlines():
        fields = line.split()
        kind, _, options = fields[fields.index("-") + 1 :][:3]
        yield Mount(fields[3], Path(fields[4]), kind, options)


def cgroup2_mounts() -> list[Path]:
    """Return where cgroup v2 is mounted."""
    return [mount.point for mount in mounts_in(MOUNTS.read_text()) if mount.kind == "cgroup2"]


def cgroup_scope(folder: Path) -> tuple[int, int]:
    """Return (cgroup v2 id, its level below the root) of a cgroup's folder.

    Raises:
        UsageError: if it is no folder of a cgroup v2 hierarchy.
    """
    real = folder.resolve()
    for mount in cgroup2_mounts():
        if real.is_dir() and real.is_relative_to(mount):
            return real.stat().st_ino, len(real.relative_to(mount).parts)
    raise UsageError(
        "this is no cgroup v2 folder", where=str(folder),
        do="name a folder below " + (" or ".join(map(str, cgroup2_mounts())) or "a mount of type cgroup2"),
    )  # fmt: skip
