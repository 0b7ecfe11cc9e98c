"""What cgroups are called: the recorder's record of ids and paths, of the v2 hierarchy and of that of pids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kestrel_lab.capture.host import MOUNTS, mounts_in

OWN = Path("/proc/self/cgroup")
#: number of the v2 hierarchy
_UNIFIED = 0
_CONTAINER = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Cgroups:
    """Paths of cgroups by hierarchy and id. A new one is told of by its creation; one that was not is looked for."""

    def __init__(self) -> None:
        self._roots = dict(_roots(MOUNTS.read_text(), OWN.read_text()))
        self._pids = next((hierarchy for hierarchy in self._roots if hierarchy != _UNIFIED), -1)
        self._paths: dict[tuple[int, int], bytes] = {}
        self._sought: set[tuple[int, int]] = set()
        self.scan()

    def scan(self) -> None:
        """Take up every cgroup that exists now."""
        for hierarchy, root in self._roots.items():
            for number, path in _folders(root):
                self._paths[hierarchy, number] = path

    def add(self, hierarchy: int, number: int, path: bytes) -> None:
        """Take up a new cgroup; its path is from the hierarchy's root."""
        self._paths[hierarchy, number] = path

    def path(self, unified: int, pids: int) -> bytes | None:
        """Return the path of a process's cgroup: that in v2, but where this is the root, that of pids.

        Args:
            unified, pids: its cgroups' ids in the two hierarchies, 0 for none.
        """
        first = self._of(_UNIFIED, unified)
        return self._of(self._pids, pids) or first if first in (None, b"/") else first

    def _of(self, hierarchy: int, number: int) -> bytes | None:
        key = hierarchy, number
        if number and hierarchy in self._roots and key not in self._paths and key not in self._sought:
            self._sought.add(key)  # once: to walk the whole tree takes long
            self.scan()
        return self._paths.get(key)


def cgroups_below(folder: Path) -> frozenset[int]:
    """Return the ids of a cgroup, given by its folder, and of all below it."""
    return frozenset(number for number, _ in _folders(folder))


def container_id(path: bytes | None) -> bytes | None:
    """Return the id of the innermost container that a cgroup's path names, None for none."""
    found = _CONTAINER.findall(path or b"")
    return bytes(found[-1]) if found else None


def _roots(mounts: str, own: str) -> Iterator[tuple[int, Path]]:
    """Yield hierarchies and where they are mounted: v2, and the v1 one that has pids."""
    numbers: Mapping[str, int] = {
        name: int(line.split(":", 2)[0]) for line in own.splitlines() for name in line.split(":", 2)[1].split(",")
    }
    for mount in mounts_in(mounts):
        if mount.root != "/":  # a part of the hierarchy: paths would begin elsewhere
            continue
        if mount.kind == "cgroup2":
            yield _UNIFIED, mount.point
        elif mount.kind == "cgroup" and "pids" in mount.options.split(",") and "pids" in numbers:
            yield numbers["pids"], mount.point


def _folders(root: Path) -> Iterator[tuple[int, bytes]]:
    top = os.fsencode(root)
    for folder, _, _ in os.walk(top):
        try:
            number = os.stat(folder).st_ino
        except OSError:  # gone again
            continue
        yield number, folder[len(top) :] or b"/"
