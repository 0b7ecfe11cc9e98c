"""Which system calls the two system call hooks care about, by number, for 64-bit and for 32-bit callers (x86)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.schema.schema import BUILTIN

OPEN, CREAT, OPENAT, OPENAT2, ACCEPT, SOCKETCALL = range(1, 7)
(
    UID, GID, SETSID, PTRACE, MEMFD, PRCTL, MPROTECT, MMAP, VM_WRITE, PIDFD_GETFD, UNSHARE, SETNS, EXEC, EXECAT, BPF,
    CLOCK, CLOCK32, TIMEOFDAY, TIMEOFDAY32, STIME32, CLOCK_ADJUST, ADJUST, IO_URING, SOCKET, BIND, CONNECT, LISTEN,
) = range(8, 35)  # fmt: skip
_FIRST_NAMED = 48


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call that names files: which of its arguments is what.

    Attributes:
        action: what it does, of the file table.
        path, dirfd: the names, and the directories that they start from; -1 for the working directory.
        fd: a descriptor of the file itself, where there is no name or the name is null.
        text: a string that names no file here, before the name or behind it (`text_at` 0 or 1).
        numbers: up to two numbers.
        type: a second text behind the text, after a 0 byte.
        failed: whether failed calls are told of.
        detached: whether the first directory may be a mount without a place, whose device and type are the text then.
    """

    action: str
    path: tuple[int, ...] = ()
    dirfd: tuple[int, ...] = (-1, -1)
    fd: int = -1
    text: int = -1
    text_at: int = 1
    numbers: tuple[int, ...] = ()
    type: int = -1
    failed: bool = False
    detached: bool = False

    def packed(self) -> bytes:
        """Return the `struct named_call`."""
        code = BUILTIN.action_code("file", self.action)
        start = self.dirfd if self.path else (self.fd, -1)
        path, dirfd, numbers = (_two(values) for values in (self.path, start, self.numbers))
        signed = (*dirfd, *path, self.fd, self.text, *numbers, self.type)
        return bytes([code, self.text_at, *(value & 0xFF for value in signed), self.failed, self.detached, *bytes(3)])


def _two(values: tuple[int, ...]) -> tuple[int, ...]:
    return (*values, -1, -1)[:2]


#: calls that open files: their names are read only where they fail
OPENING: Mapping[int, NamedCall] = {
    OPEN: NamedCall("open", (0,), numbers=(1,)),
    CREAT: NamedCall("open", (0,)),
    OPENAT: NamedCall("open", (1,), (0,), numbers=(2,)),
    OPENAT2: NamedCall("open", (1,), (0,), numbers=(2,)),  # the address of its struct open_how
}
#: calls that name files, in the order of their numbers in the dispatch table
NAMED: Mapping[str, NamedCall] = {
    "unlink": NamedCall("deletion", (0,)),
    "unlinkat": NamedCall("deletion", (1,), (0,)),
    "rename": NamedCall("rename", (0, 1)),
    "renameat": NamedCall("rename", (1, 3), (0, 2)),
    "chmod": NamedCall("chmod", (0,), numbers=(1,)),
    "fchmod": NamedCall("chmod", fd=0, numbers=(1,)),
    "fchmodat": NamedCall("chmod", (1,), (0,), numbers=(2,)),
    "chown": NamedCall("chown", (0,), numbers=(1, 2)),
    "fchown": NamedCall("chown", fd=0, numbers=(1, 2)),
    "fchownat": NamedCall("chown", (1,), (0,), numbers=(2, 3)),
    "setxattr": NamedCall("setxattr", (0,), text=1),
    "fsetxattr": NamedCall("setxattr", fd=0, text=1),
    "utime": NamedCall("utimes", (0,)),
    "utimensat": NamedCall("utimes", (1,), (0,), fd=0),
    "link": NamedCall("link", (0, 1)),
    "linkat": NamedCall("link", (1, 3), (0, 2)),
    "symlink": NamedCall("symlink", (-1, 1), text=0, text_at=0),
    "symlinkat": NamedCall("symlink", (-1, 2), (-1, 1), text=0, text_at=0),
    "truncate": NamedCall("truncate", (0,), numbers=(1,)),
    "ftruncate": NamedCall("truncate", fd=0, numbers=(1,)),
    "setxattrat": NamedCall("setxattr", (1,), (0,), text=3),
    "truncate64": NamedCall("truncate", (0,), numbers=(1, 2)),  # of 32 bits: the size in two halves
    "ftruncate64": NamedCall("truncate", fd=0, numbers=(1, 2)),
    "mount": NamedCall("mount", (-1, 1), text=0, text_at=0, numbers=(3,), type=2, failed=True),
    "move_mount": NamedCall("mount", (1, 3), (0, 2), failed=True, detached=True),
    "umount": NamedCall("unmount", (0,), failed=True),
    "umount2": NamedCall("unmount", (0,), numbers=(1,), failed=True),
    "chroot": NamedCall("chroot", (0,), failed=True),
    "pivot_root": NamedCall("pivot_root", (0, 1), failed=True),
    "init_module": NamedCall("load_module", failed=True),
    "finit_module": NamedCall("load_module", fd=0, numbers=(2,), failed=True),
    "delete_module": NamedCall("unload_module", text=0, numbers=(1,), failed=True),
}
_N = {name: _FIRST_NAMED + place for place, name in enumerate(NAMED)}

#: open, creat, openat, openat2; accept, accept4; setuid, setreuid, setresuid; setgid, setregid, setresgid; and others
X86_64: Mapping[int, int] = {
    2: OPEN, 85: CREAT, 257: OPENAT, 437: OPENAT2, 43: ACCEPT, 288: ACCEPT,
    105: UID, 113: UID, 117: UID, 106: GID, 114: GID, 119: GID,
    112: SETSID, 101: PTRACE, 319: MEMFD, 157: PRCTL, 10: MPROTECT, 329: MPROTECT, 9: MMAP, 311: VM_WRITE,
    438: PIDFD_GETFD, 272: UNSHARE, 308: SETNS, 59: EXEC, 322: EXECAT, 321: BPF, 227: CLOCK, 164: TIMEOFDAY,
    305: CLOCK_ADJUST, 159: ADJUST, 425: IO_URING, 41: SOCKET, 49: BIND, 42: CONNECT, 50: LISTEN,
} | {number: _N[name] for name, numbers in {
    "unlink": (87, 84), "unlinkat": (263,), "rename": (82,), "renameat": (264, 316),  # 84: rmdir
    "chmod": (90,), "fchmod": (91,), "fchmodat": (268, 452), "chown": (92, 94), "fchown": (93,), "fchownat": (260,),
    "setxattr": (188, 189), "fsetxattr": (190,), "utime": (132, 235), "utimensat": (280, 261), "link": (86,),
    "linkat": (265,), "symlink": (88,), "symlinkat": (266,), "truncate": (76,), "ftruncate": (77,),
    "setxattrat": (463,), "mount": (165,), "move_mount": (429,), "umount2": (166,), "chroot": (161,),
    "pivot_root": (155,), "init_module": (175,), "finit_module": (313,), "delete_module": (176,),
}.items() for number in numbers}  # fmt: skip
#: each of the id calls, and chown, in its first, 16-bit form and in that of today
I386: Mapping[int, int] = {
    5: OPEN, 8: CREAT, 295: OPENAT, 437: OPENAT2, 364: ACCEPT, 102: SOCKETCALL,
    23: UID, 213: UID, 70: UID, 203: UID, 164: UID, 208: UID, 46: GID, 214: GID, 71: GID, 204: GID, 170: GID, 210: GID,
    66: SETSID, 26: PTRACE, 356: MEMFD, 172: PRCTL, 125: MPROTECT, 380: MPROTECT, 192: MMAP, 348: VM_WRITE,
    438: PIDFD_GETFD, 310: UNSHARE, 346: SETNS, 11: EXEC, 358: EXECAT, 357: BPF, 264: CLOCK32, 404: CLOCK,
    79: TIMEOFDAY32, 25: STIME32, 343: CLOCK_ADJUST, 405: CLOCK_ADJUST, 124: ADJUST, 425: IO_URING,
    359: SOCKET, 361: BIND, 362: CONNECT, 363: LISTEN,
} | {number: _N[name] for name, numbers in {
    "unlink": (10, 40), "unlinkat": (301,), "rename": (38,), "renameat": (302, 353),
    "chmod": (15,), "fchmod": (94,), "fchmodat": (306, 452), "chown": (182, 16, 212, 198), "fchown": (95, 207),
    "fchownat": (298,), "setxattr": (226, 227), "fsetxattr": (228,), "utime": (30, 271), "utimensat": (320, 412, 299),
    "link": (9,), "linkat": (303,), "symlink": (83,), "symlinkat": (304,), "truncate": (92,), "truncate64": (193,),
    "ftruncate": (93,), "ftruncate64": (194,), "setxattrat": (463,),
    "mount": (21,), "move_mount": (429,), "umount": (22,), "umount2": (52,), "chroot": (61,), "pivot_root": (217,),
    "init_module": (128,), "finit_module": (350,), "delete_module": (129,),
}.items() for number in numbers}  # fmt: skip


def dispatch_entries() -> dict[int, int]:
    """Return the dispatch table: number to the 64-bit meaning in the low half, the 32-bit one in the high half."""
    return {nr: X86_64.get(nr, 0) | I386.get(nr, 0) << 16 for nr in sorted({*X86_64, *I386})}


def named_calls() -> dict[int, bytes]:
    """Return the lines of `named_calls`, by meaning."""
    return {op: call.packed() for op, call in OPENING.items()} | {
        _N[name]: call.packed() for name, call in NAMED.items()
    }
