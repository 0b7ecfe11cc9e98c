"""Where a process stands among others when its image begins: whose child, which group and session, as whom, on what
terminal. As the kernel gives it, in numbers.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Any

from kestrel_lab.capture.records import NAMESPACES

#: (tgid, group leader's start_boottime in ns, self_exec_id)
Key = tuple[int, int, int]

NOBODY: Key = (0, 0, 0)
_UNSET = 0xFFFF_FFFF  # a login uid or an audit session that was never set
_MINOR_BITS = 20
_TERMINALS = {4, 5, *range(136, 144), 204, 229}  # majors: consoles, /dev/tty, pseudo-terminals, serial lines


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a process stands.

    Attributes:
        real_parent: the process that would be told of its end.
        pgid, sid: process group and session: pids of the initial namespace, 0 where they are not known.
        vpid: its pid in its own namespace, 0 where it is not known.
        euid, egid, ruid, rgid: as whom.
        login_uid, audit_session: of the login, None where there was none.
        tty: device of the controlling terminal, 0 for none.
        interactive: whether stdin and stderr are that terminal; None where that is not known.
        cgroup, cgroup1: ids of its cgroups in the v2 hierarchy and, where it is another, that of pids; 0 for none.
        namespaces: inode numbers, in the order of `records.NAMESPACES`; 0 where they are not known.
    """

    real_parent: Key = NOBODY
    pgid: int = 0
    sid: int = 0
    vpid: int = 0
    euid: int | None = None
    egid: int | None = None
    ruid: int | None = None
    rgid: int | None = None
    login_uid: int | None = None
    audit_session: int | None = None
    tty: int = 0
    interactive: bool | None = None
    cgroup: int = 0
    cgroup1: int = 0
    namespaces: tuple[int, ...] = (0,) * len(NAMESPACES)

    @property
    def tty_major(self) -> int:
        """The terminal's major number."""
        return self.tty >> _MINOR_BITS

    @property
    def tty_minor(self) -> int:
        """The terminal's minor number."""
        return self.tty & (1 << _MINOR_BITS) - 1


#: of a process of which nothing was read
UNKNOWN = Standing()


def read_standing(who: Any, standing: Any) -> Standing:
    """Return what a record says: its `records.WHO` and `records.STANDING`."""
    start, tgid, exec_seq, pgid, sid, vpid, login_uid, session, tty, devices, modes, _, spaces, _, cgroup, cgroup1 = (
        standing.item()
    )
    on_tty = [
        bool(stat.S_ISCHR(mode) and device == tty)
        for mode, device in zip(modes.tolist(), devices.tolist(), strict=True)
    ]
    return Standing(
        (tgid, start, exec_seq), pgid, sid, vpid, int(who["euid"]), int(who["egid"]), int(who["ruid"]),
        int(who["rgid"]), None if login_uid == _UNSET else login_uid, None if session == _UNSET else session, tty,
        tty != 0 and on_tty[0] and on_tty[2], cgroup, cgroup1, tuple(spaces.tolist()),
    )  # fmt: skip


def stdio_kind(mode: int, device: int) -> bytes:
    """Return what a file descriptor is, from its file's type (0: it is closed) and device."""
    if not mode:
        return b"closed"
    if stat.S_ISCHR(mode):
        return b"tty" if device >> _MINOR_BITS in _TERMINALS else b"char_device"
    return _KINDS.get(stat.S_IFMT(mode), b"other")


_KINDS = {
    stat.S_IFREG: b"file",
    stat.S_IFDIR: b"directory",
    stat.S_IFBLK: b"block_device",
    stat.S_IFIFO: b"pipe",
    stat.S_IFSOCK: b"socket",
}
