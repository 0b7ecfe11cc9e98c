"""Giving back what the BPF compiler held: it is needed once, and a recorder runs for weeks."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4
_COMPILER = re.compile(r"/lib(LLVM|clang)[^/]*$")
_RANGE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ")


def release_compiler() -> None:
    """Return freed heap to the kernel, and drop the compiler's code from this process's resident pages.

    Only mappings without a page of their own are dropped: the kernel reads such pages from the file again if they
    are used after all.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    for start, stop in _clean_mappings(Path("/proc/self/smaps").read_text()):
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _MADV_DONTNEED)


def _clean_mappings(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield the address ranges of the compiler's libraries that hold no private page, from the text of smaps."""
    mapping: tuple[int, int] | None = None
    for line in smaps.splitlines():
        found = _RANGE.match(line)
        if found:
            ours = _COMPILER.search(line) and line.split()[1][1] == "-"
            mapping = (int(found[1], 16), int(found[2], 16)) if ours else None
        elif mapping and line.startswith("Private_Dirty:"):
            if int(line.split()[1]) == 0:
                yield mapping
            mapping = None
