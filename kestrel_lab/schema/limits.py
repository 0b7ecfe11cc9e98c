"""What the row of each kind of event may lack or get wrong: for the documentation."""

from __future__ import annotations

from collections.abc import Mapping

_NAME = "name read at entry and exit, a difference sets `raced`; path cut at 4,095 bytes (flag)"
_RING = "; io_uring: names are the kernel's copies, the folder is looked up at completion"
_PATH = "path cut at 4,095 bytes (flag)"
_SLOT = "a failed call's name is user memory, cut at 255 bytes (flag)"

#: by event.action
LIMITS: Mapping[str, str] = {
    "fork": "-",
    "exec": "argv and environment as they stand at exec, together up to 37,888 bytes (flags); "
            "the interpreter up to 255 bytes",
    "end": "-",
    "creation": _PATH + "; through io_uring too, into a registered file by name only",
    "open": _PATH + "; in vain: the name as given at exit, user memory; through io_uring too",
    "open_read": "as open",
    "rename": _NAME + _RING,
    "deletion": _NAME + _RING,
    "chmod": _NAME,
    "chown": _NAME + "; of the 32-bit call of 16 bits -1 is 65535",
    "setxattr": _NAME + _RING + "; the attribute's name up to 255 bytes",
    "utimes": _NAME + "; not which times",
    "link": _NAME + _RING,
    "symlink": _NAME + _RING,
    "truncate": _NAME + "; through io_uring too",
    "modification": "once an image and inode, again if 65,536 others came between; told by the times that a write "
                    "sets, so a file in memory that is written in the tick of its creation has none; on an overlay "
                    "the path is the upper layer's; of several mounts the one that shows all",
    "mount": _NAME + "; source up to 2,047 bytes, type up to 255",
    "unmount": _NAME,
    "chroot": _NAME,
    "pivot_root": _NAME,
    "load_module": "by descriptor the file's path, from memory no name; success is untested, CI's kernel has no "
                   "modules",
    "unload_module": "success is untested, CI's kernel has no modules",
    "cgroup_creation": _PATH,
    "connection_attempted": "failed before it began: addresses are user memory; that through io_uring has no row",
    "connection_result": "whose it is is forgotten after 65,536 other connections",
    "connection_accepted": "through io_uring too, not into a registered file",
    "unix_connect": "name as bound; in vain as given (user memory), through io_uring none",
    "bind": "in vain: the address is user memory; through io_uring too",
    "listen": "through io_uring too",
    "datagram_sent": "once an image, peer and port, again if 65,536 others came between; a socket that two processes "
                     "send on is that of the last one if the packet has to wait",
    "disconnect_received": "only of connections whose begin was seen, forgotten after 65,536 others",
    "raw_socket": "through io_uring too",
    "lookup_requested": "first question, up to 255 bytes of it; UDP to port 53, not over TCP, TLS or HTTPS",
    "uid_change": "only changes and refusals",
    "gid_change": "only changes and refusals",
    "session_id_change": "-",
    "ptrace": "the tracee is looked for among the eight newest of the tracer",
    "kill": "not between threads of one process",
    "memfd_create": _SLOT,
    "name_change": "prctl only, not by /proc/self/comm",
    "memory_executable": "not the protection before",
    "process_vm_writev": "not what was written",
    "pidfd_getfd": "-",
    "unshare": "-",
    "setns": "flags as given; not which namespace",
    "exec_failed": _SLOT,
    "bpf_load": "name and type as given, user memory",
    "clock_change": "the time as given, user memory; adjustments without it; suspend is untested",
    "io_uring_setup": "-",
    "existing_process": "the executable and argv from /proc, if the process still ran and is of this pid namespace",
    "existing_socket": "one row a process that holds it; unix sockets only if they or their peer have a name; "
                       "direction told by who listens; not those that no process holds",
    "existing_mount": "one process stands for its mount namespace; of those it cannot see none",
    "existing_module": "untested, CI's kernel has no modules",
    "existing_bpf": "one row a process that holds a program or a link to it; else nobody's",
    "content_hash": "once a content and path in a recording; read after the act: identity and time of change must be "
                    "those of the exec, else it failed with ESTALE; of a script the path's; too large: EFBIG",
}  # fmt: skip
