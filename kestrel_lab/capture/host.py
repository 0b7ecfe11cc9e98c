"""What is true of the machine for a whole recording."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path

from kestrel_lab.schema.epoch import SourceInfo
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.schema import BUILTIN


def boot_id() -> bytes:
    """Return the kernel's boot id, 16 bytes."""
    return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes


def source_info() -> SourceInfo:
    """Return the description of a new live source."""
    host = {"event.kind": "event", "host.os.type": "linux", "host.name": os.uname().nodename}
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    if machine:
        host["host.id"] = machine
    extra = {"kernel": os.uname().release, "machine": platform.machine()}
    return SourceInfo(uuid.uuid4().hex, host, BUILTIN, boot_id().hex(), extra)


def cgroup2_mounts() -> list[Path]:
    """Return where cgroup v2 is mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    fields = [line.split() for line in lines]
    return [Path(f[4]) for f in fields if f[f.index("-") + 1] == "cgroup2"]


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
