"""Which system calls the two system call hooks care about, by number, for 64-bit and for 32-bit callers (x86)."""

from __future__ import annotations

from collections.abc import Mapping

OPEN, ACCEPT, SOCKETCALL, UNLINK, UNLINKAT, RENAME, RENAMEAT = range(1, 8)
(
    UID, GID, SETSID, PTRACE, MEMFD, PRCTL, MPROTECT, MMAP, VM_WRITE, PIDFD_GETFD, UNSHARE, SETNS,
) = range(8, 20)  # fmt: skip

#: open, creat, openat, openat2; accept, accept4; unlink, rmdir, unlinkat; rename, renameat, renameat2
X86_64: Mapping[int, int] = {
    2: OPEN, 85: OPEN, 257: OPEN, 437: OPEN, 43: ACCEPT, 288: ACCEPT, 87: UNLINK, 84: UNLINK, 263: UNLINKAT,
    82: RENAME, 264: RENAMEAT, 316: RENAMEAT,
    # setuid, setreuid, setresuid; setgid, setregid, setresgid
    105: UID, 113: UID, 117: UID, 106: GID, 114: GID, 119: GID,
    112: SETSID, 101: PTRACE, 319: MEMFD, 157: PRCTL, 10: MPROTECT, 329: MPROTECT, 9: MMAP, 311: VM_WRITE,
    438: PIDFD_GETFD, 272: UNSHARE, 308: SETNS,
}  # fmt: skip
I386: Mapping[int, int] = {
    5: OPEN, 8: OPEN, 295: OPEN, 437: OPEN, 364: ACCEPT, 102: SOCKETCALL, 10: UNLINK, 40: UNLINK, 301: UNLINKAT,
    38: RENAME, 302: RENAMEAT, 353: RENAMEAT,
    # each of the id calls in its first, 16-bit form and in that of today
    23: UID, 213: UID, 70: UID, 203: UID, 164: UID, 208: UID, 46: GID, 214: GID, 71: GID, 204: GID, 170: GID, 210: GID,
    66: SETSID, 26: PTRACE, 356: MEMFD, 172: PRCTL, 125: MPROTECT, 380: MPROTECT, 192: MMAP, 348: VM_WRITE,
    438: PIDFD_GETFD, 310: UNSHARE, 346: SETNS,
}  # fmt: skip


def dispatch_entries() -> dict[int, int]:
    """Return the dispatch table: number to the 64-bit meaning in the low half, the 32-bit one in the high half."""
    return {nr: X86_64.get(nr, 0) | I386.get(nr, 0) << 16 for nr in sorted({*X86_64, *I386})}
