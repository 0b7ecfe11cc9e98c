"""Categories and actions: the closed list of event kinds, one Arrow table per category.

An action's `code` is what the `action` column holds; codes are never reused. The ECS arrays
event.category and event.type are a function of the action.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of event: `code` (uint8) in table `table`, with its ECS words. Its `kind` is `state` where it tells what
    was there already."""

    table: str
    code: int
    name: str
    types: tuple[str, ...]
    hook: str
    categories: tuple[str, ...] | None = None
    kind: str = "event"

    @property
    def event_categories(self) -> tuple[str, ...]:
        """The values of event.category: the table's name, if nothing else is said."""
        return (self.table,) if self.categories is None else self.categories


ACTIONS: tuple[Action, ...] = (
    Action("process", 1, "fork", ("start",), "raw sched_process_fork"),
    Action("process", 2, "exec", ("start",), "raw sched_process_exec"),
    Action("process", 3, "end", ("end",), "raw sched_process_exit at group_dead"),
    Action("file", 10, "creation", ("creation",), "raw sys_exit open*/creat, FMODE_CREATED"),
    Action("file", 11, "open", ("access",), "raw sys_exit open* for writing, failed ones too"),
    Action("file", 12, "rename", ("change",), "raw sys_enter and sys_exit rename*"),
    Action("file", 13, "deletion", ("deletion",), "raw sys_enter and sys_exit unlink*, rmdir"),
    Action("file", 14, "chmod", ("change",), "raw sys_enter and sys_exit chmod, fchmod, fchmodat, fchmodat2"),
    Action("file", 15, "chown", ("change",), "raw sys_enter and sys_exit chown, lchown, fchown, fchownat"),
    Action("file", 16, "setxattr", ("change",), "raw sys_enter and sys_exit setxattr, l-, f- and -at"),
    Action("file", 17, "utimes", ("change",), "raw sys_enter and sys_exit utime, utimes, futimesat, utimensat"),
    Action("file", 18, "link", ("creation",), "raw sys_enter and sys_exit link, linkat"),
    Action("file", 19, "symlink", ("creation",), "raw sys_enter and sys_exit symlink, symlinkat"),
    Action("network", 20, "connection_attempted", ("start",),
           "raw inet_sock_set_state CLOSE to SYN_SENT; sys_exit connect where it failed before"),
    Action("network", 21, "connection_result", ("info",), "raw inet_sock_set_state leaving SYN_SENT"),
    Action("network", 22, "connection_accepted", ("start",), "raw sys_exit accept, accept4"),
    Action("network", 23, "unix_connect", ("access",), "raw sys_exit connect, AF_UNIX"),
    Action("network", 24, "bind", ("info",), "raw sys_exit bind"),
    Action("network", 25, "listen", ("info",), "raw sys_exit listen"),
    Action("network", 26, "datagram_sent", ("start",), "raw net_dev_queue, UDP, once an image and peer"),
    Action("network", 27, "disconnect_received", ("end",), "raw inet_sock_set_state to CLOSE"),
    Action("network", 28, "raw_socket", ("info",), "raw sys_exit socket, SOCK_RAW and AF_PACKET"),
    Action("network", 29, "lookup_requested", ("info",), "raw net_dev_queue, UDP to port 53"),
    Action("process", 30, "uid_change", ("change",), "raw sys_enter and sys_exit setuid, setreuid, setresuid"),
    Action("process", 31, "gid_change", ("change",), "raw sys_enter and sys_exit setgid, setregid, setresgid"),
    Action("process", 32, "session_id_change", ("change",), "raw sys_exit setsid"),
    Action("process", 33, "ptrace", ("access",), "raw sys_exit ptrace: attach, seize, traceme, poke, set registers"),
    Action("process", 34, "kill", ("change",), "raw signal_generate, from a process to another"),
    Action("process", 35, "memfd_create", ("info",), "raw sys_exit memfd_create"),
    Action("process", 36, "name_change", ("change",), "raw sys_exit prctl PR_SET_NAME"),
    Action("process", 37, "memory_executable", ("change",),
           "raw sys_exit mprotect, pkey_mprotect; mmap of memory that is anonymous or writable"),
    Action("process", 38, "process_vm_writev", ("change",), "raw sys_exit process_vm_writev"),
    Action("process", 39, "pidfd_getfd", ("access",), "raw sys_exit pidfd_getfd"),
    Action("process", 40, "unshare", ("change",), "raw sys_exit unshare"),
    Action("process", 41, "setns", ("change",), "raw sys_exit setns"),
    Action("file", 42, "truncate", ("change",), "raw sys_enter and sys_exit truncate, ftruncate"),
    Action("file", 43, "open_read", ("access",), "raw sys_exit open* without FMODE_WRITE; only if asked for"),
    Action("process", 44, "exec_failed", ("error",), "raw sys_exit execve, execveat"),
    Action("process", 45, "bpf_load", ("change",), "raw sys_exit bpf BPF_PROG_LOAD"),
    Action("file", 46, "modification", ("change",), "raw writeback_mark_inode_dirty, once an image and inode"),
    Action("file", 47, "mount", ("change",), "raw sys_enter and sys_exit mount, move_mount"),
    Action("file", 48, "unmount", ("change",), "raw sys_enter and sys_exit umount, umount2"),
    Action("file", 49, "chroot", ("change",), "raw sys_enter and sys_exit chroot"),
    Action("file", 50, "pivot_root", ("change",), "raw sys_enter and sys_exit pivot_root"),
    Action("file", 51, "load_module", ("start",), "raw sys_enter and sys_exit init_module, finit_module", ("driver",)),
    Action("file", 52, "unload_module", ("end",), "raw sys_enter and sys_exit delete_module", ("driver",)),
    Action("process", 53, "clock_change", ("change",), "raw sys_exit clock_settime, settimeofday, stime, *adjtime*"),
    Action("process", 54, "io_uring_setup", ("info",), "raw sys_exit io_uring_setup"),
    Action("file", 55, "cgroup_creation", ("info",), "raw cgroup_mkdir"),
    Action("process", 56, "existing_process", ("info",), "BPF iterator of tasks, at the start", kind="state"),
    Action("network", 57, "existing_socket", ("info",), "BPF iterator of files, at the start", kind="state"),
    Action("file", 58, "existing_mount", ("info",), "/proc/PID/mountinfo, at the start", kind="state"),
    Action("file", 59, "existing_module", ("info",), "/proc/modules, at the start", ("driver",), "state"),
    Action("process", 60, "existing_bpf", ("info",), "BPF iterators of programs and files, at the start",
           kind="state"),
    Action("file", 61, "content_hash", ("info",), "a thread of the recorder that reads what was executed"),
)  # fmt: skip

#: codes of what is captured only if it is asked for by name, not with everything
ON_REQUEST = frozenset(a.code for a in ACTIONS if a.name == "open_read")
