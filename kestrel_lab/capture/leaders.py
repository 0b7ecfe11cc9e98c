"""How a session came to be: the entry leader, the first process of a login, a container or a service.

The rules are those by which Elastic's products fill `process.entry_leader`, so that their rules mean the same here.
"""

from __future__ import annotations

from kestrel_lab.capture.standing import Standing

INIT, KTHREADD = 1, 2
_TTY, _CONSOLE, _PTS = {4}, {5}, set(range(136, 144))
#: what runs containers; such a process begins no entry itself
_RUNTIMES = (b"containerd-shim", b"runc", b"conmon")
_NO_ENTRY = (*_RUNTIMES, b"calico-node", b"check-status", b"pause")


def entry_type(pid: int, name: bytes, parent_name: bytes, standing: Standing) -> bytes | None:
    """Return the kind of entry that a process is the leader of; None if it belongs to its parent's.

    Args:
        pid, name: of the process, in the initial namespace; `parent_name`: of its real parent.
    """
    if pid == INIT:
        return b"init"
    if pid == KTHREADD:
        return b"kthread"
    if standing.sid != pid:
        return None
    major = standing.tty_major
    if major in _TTY:
        return b"terminal"
    if major in _CONSOLE and name == b"login":
        return b"console"
    if name.startswith(_NO_ENTRY):
        return None
    if major in _PTS and parent_name == b"ssm-session-worker":
        return b"ssm"
    if parent_name.startswith(b"sshd") and not name.startswith(b"sshd"):
        return b"sshd"
    return b"container" if parent_name.startswith(_RUNTIMES) else None
