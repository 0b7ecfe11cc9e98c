"""Which system calls the two system call hooks care about, by number, for 64-bit and for 32-bit callers (x86)."""

from __future__ import annotations

from collections.abc import Mapping

OPEN, ACCEPT, SOCKETCALL, UNLINK, UNLINKAT, RENAME, RENAMEAT = range(1, 8)

#: open, creat, openat, openat2; accept, accept4; unlink, rmdir, unlinkat; rename, renameat, renameat2
X86_64: Mapping[int, int] = {
    2: OPEN, 85: OPEN, 257: OPEN, 437: OPEN, 43: ACCEPT, 288: ACCEPT, 87: UNLINK, 84: UNLINK, 263: UNLINKAT,
    82: RENAME, 264: RENAMEAT, 316: RENAMEAT,
}  # fmt: skip
I386: Mapping[int, int] = {
    5: OPEN, 8: OPEN, 295: OPEN, 437: OPEN, 364: ACCEPT, 102: SOCKETCALL, 10: UNLINK, 40: UNLINK, 301: UNLINKAT,
    38: RENAME, 302: RENAMEAT, 353: RENAMEAT,
}  # fmt: skip


def dispatch_entries() -> dict[int, int]:
    """Return the dispatch table: number to the 64-bit meaning in the low half, the 32-bit one in the high half."""
    return {nr: X86_64.get(nr, 0) | I386.get(nr, 0) << 16 for nr in sorted({*X86_64, *I386})}
