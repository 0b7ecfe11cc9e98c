"""The struct members that the BPF programs read, each with the paths it may have in BTF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.capture.btf import Btf
from kestrel_lab.schema.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Group:
    """Offsets that stand or fall together. `needed_by` names the hooks that go without; empty: none can. The text
    compiles without an `optional` group, all of which is missing then; what needs none then does without.
    """

    paths: Mapping[str, tuple[str, ...]]
    needed_by: tuple[str, ...] = ()
    optional: bool = False


CORE = Group({
    "LEADER": ("task_struct.group_leader",),
    "START": ("task_struct.start_boottime", "task_struct.real_start_time"),
    "TGID": ("task_struct.tgid",),
    "PID": ("task_struct.pid",),
    "EXEC_ID": ("task_struct.self_exec_id",),
    "CRED": ("task_struct.cred",),
    "UID": ("cred.uid",),
    "CAP_PERMITTED": ("cred.cap_permitted",),
    "CAP_EFFECTIVE": ("cred.cap_effective",),
    "COMM": ("task_struct.comm",),
    "REAL_PARENT": ("task_struct.real_parent",),
    "FILES": ("task_struct.files",),
    "FDT": ("files_struct.fdt",),
    "FDS": ("fdtable.fd",),
    "MAX_FDS": ("fdtable.max_fds",),
    "FS": ("task_struct.fs",),
    "PWD": ("fs_struct.pwd",),
    "F_PATH": ("file.f_path",),
    "D_PARENT": ("dentry.d_parent",),
    "D_NAME": ("dentry.d_name.name", "dentry.__d_name.name"),
    "D_LEN": ("dentry.d_name.len", "dentry.__d_name.len"),
    "MNT": ("mount.mnt",),
    "MNT_PARENT": ("mount.mnt_parent",),
    "MNT_POINT": ("mount.mnt_mountpoint",),
    "MNT_ROOT": ("vfsmount.mnt_root",),
    "SIGNAL": ("task_struct.signal",),
    "SIGNAL_FLAGS": ("signal_struct.flags",),
    "SIGNAL_LIVE": ("signal_struct.live",),
    "GROUP_EXIT_CODE": ("signal_struct.group_exit_code",),
    "EXIT_CODE": ("task_struct.exit_code",),
    "MM": ("task_struct.mm",),
    "ARG_START": ("mm_struct.arg_start",),
    "ARG_END": ("mm_struct.arg_end",),
    "EXE_FILE": ("mm_struct.exe_file",),
    "ENV_START": ("mm_struct.env_start",),
    "ENV_END": ("mm_struct.env_end",),
    "BPRM_FILENAME": ("linux_binprm.filename",),
    "BPRM_INTERP": ("linux_binprm.interp",),
    "I_INO": ("inode.i_ino",),
    "I_SB": ("inode.i_sb",),
    "S_DEV": ("super_block.s_dev",),
    "F_INODE": ("file.f_inode",),
    "I_MODE": ("inode.i_mode",),
    "I_RDEV": ("inode.i_rdev",),
})  # fmt: skip

SYSCALLS = Group({
    "R_ORIG_AX": ("pt_regs.orig_ax",),
    "R_DI": ("pt_regs.di",),
    "R_SI": ("pt_regs.si",),
    "R_DX": ("pt_regs.dx",),
    "R_R10": ("pt_regs.r10",),
    "R_BX": ("pt_regs.bx",),
    "R_CX": ("pt_regs.cx",),
    "F_MODE": ("file.f_mode",),
    "F_FLAGS": ("file.f_flags",),
    "PRIVATE_DATA": ("file.private_data",),
    "SOCKET_SK": ("socket.sk",),
    "I_PRIVATE": ("inode.i_private",),
    "MNT_DEVNAME": ("mount.mnt_devname",),
    "MNT_SB": ("vfsmount.mnt_sb",),
    "S_TYPE": ("super_block.s_type",),
    "FS_NAME": ("file_system_type.name",),
    "PTRACED": ("task_struct.ptraced",),
    "PTRACE_ENTRY": ("task_struct.ptrace_entry",),
}, needed_by=("sys_enter", "sys_exit"))  # fmt: skip

SOCKETS = Group({
    "SK_FAMILY": ("sock_common.skc_family",),
    "SK_NUM": ("sock_common.skc_num",),
    "SK_SPORT": ("inet_sock.inet_sport",),
    "SK_DPORT": ("sock_common.skc_dport",),
    "SK_LOCAL": ("sock_common.skc_rcv_saddr",),
    "SK_REMOTE": ("sock_common.skc_daddr",),
    "SK_V6_LOCAL": ("sock_common.skc_v6_rcv_saddr",),
    "SK_V6_REMOTE": ("sock_common.skc_v6_daddr",),
    "SK_PROTOCOL": ("sock.sk_protocol",),
    "SK_ERR": ("sock.sk_err",),
    "SK_TYPE": ("sock.sk_type",),
    "SK_NET": ("sock_common.skc_net",),
    "SK_STATE": ("sock_common.skc_state",),
    "SK_SOCKET": ("sock.sk_socket",),
    "SOCKET_INODE": ("socket_alloc.vfs_inode",),
    "NET_INUM": ("net.ns.inum",),
    "TCP_RECEIVED": ("tcp_sock.bytes_received",),
    "TCP_SENT": ("tcp_sock.bytes_sent",),
    "TCP_RETRANS": ("tcp_sock.bytes_retrans",),
    "SK_FLAGS": ("sock.sk_flags", "sock_common.skc_flags"),
    "SKB_SK": ("sk_buff.sk",),
    "SKB_HEAD": ("sk_buff.head",),
    "SKB_DATA": ("sk_buff.data",),
    "SKB_LEN": ("sk_buff.len",),
    "SKB_DATA_LEN": ("sk_buff.data_len",),
    "SKB_NETWORK": ("sk_buff.network_header",),
    "SKB_TRANSPORT": ("sk_buff.transport_header",),
    "SKB_PROTOCOL": ("sk_buff.protocol",),
}, needed_by=("inet_sock_set_state", "sock_send_length", "net_dev_queue", "exit_socket"))  # fmt: skip

UNIX_SOCKETS = Group({
    "UNIX_ADDR": ("unix_sock.addr",),
    "UNIX_PEER": ("unix_sock.peer",),
    "UNIX_LEN": ("unix_address.len",),
    "UNIX_NAME": ("unix_address.name",),
}, needed_by=("names of unix sockets",), optional=True)  # fmt: skip

BPF_PROGRAMS = Group({
    "BPF_AUX": ("bpf_prog.aux",),
    "BPF_TYPE": ("bpf_prog.type",),
    "BPF_ID": ("bpf_prog_aux.id",),
    "BPF_NAME": ("bpf_prog_aux.name",),
    "BPF_LINK_PROG": ("bpf_link.prog",),
}, needed_by=("BPF programs that were there already",), optional=True)  # fmt: skip

SIGNALS = Group({"SI_CODE": ("kernel_siginfo.si_code", "siginfo.si_code")}, needed_by=("signal_generate",))

DIRTY = Group({
    "S_MOUNTS": ("super_block.s_mounts",),
    "S_ROOT": ("super_block.s_root",),
    "MNT_NS": ("mount.mnt_ns",),
    "I_DENTRY": ("inode.i_dentry",),
    "D_ALIAS": ("dentry.d_u.d_alias", "dentry.d_alias"),
    "I_GENERATION": ("inode.i_generation",),
    "I_ATIME": ("inode.i_atime_sec", "inode.__i_atime.tv_sec", "inode.i_atime.tv_sec"),
    "I_MTIME": ("inode.i_mtime_sec", "inode.__i_mtime.tv_sec", "inode.i_mtime.tv_sec"),
    "I_CTIME": ("inode.i_ctime_sec", "inode.__i_ctime.tv_sec", "inode.i_ctime.tv_sec"),
    "I_ATIME_NSEC": ("inode.i_atime_nsec", "inode.__i_atime.tv_nsec", "inode.i_atime.tv_nsec"),
    "I_MTIME_NSEC": ("inode.i_mtime_nsec", "inode.__i_mtime.tv_nsec", "inode.i_mtime.tv_nsec"),
    "I_CTIME_NSEC": ("inode.i_ctime_nsec", "inode.__i_ctime.tv_nsec", "inode.i_ctime.tv_nsec"),
}, needed_by=("writeback_mark_inode_dirty",))  # fmt: skip

#: how the mounts of a file system hang together: one of the two; without both the first one has to do
MOUNT_LIST = Group({"MNT_INSTANCE": ("mount.mnt_instance",)}, optional=True)
MOUNT_CHAIN = Group({"MNT_NEXT": ("mount.mnt_next_for_sb",)}, optional=True)

EXECUTABLE = Group({
    "EXE_LINKS": ("inode.i_nlink",),
    "EXE_CTIME": ("inode.i_ctime_sec", "inode.__i_ctime.tv_sec", "inode.i_ctime.tv_sec"),
    "EXE_CTIME_NSEC": ("inode.i_ctime_nsec", "inode.__i_ctime.tv_nsec", "inode.i_ctime.tv_nsec"),
}, needed_by=("executables",), optional=True)  # fmt: skip

NAMESPACES = Group({
    "NSPROXY": ("task_struct.nsproxy",),
    "CRED_USER_NS": ("cred.user_ns",),
    **{f"NS_{name.upper()}": (f"nsproxy.{name}_ns",) for name in ("mnt", "net", "uts", "ipc", "cgroup", "time")},
    "INUM_MNT": ("mnt_namespace.ns.inum",),
    "INUM_NET": ("net.ns.inum",),
    **{f"INUM_{name.upper()}": (f"{name}_namespace.ns.inum",)
       for name in ("pid", "user", "uts", "ipc", "cgroup", "time")},
}, needed_by=("namespaces",), optional=True)  # fmt: skip

CGROUPS = Group({
    "CGROUPS": ("task_struct.cgroups",),
    "CSS_DFL": ("css_set.dfl_cgrp",),
    "CSS_SUBSYS": ("css_set.subsys",),
    "CSS_CGROUP": ("cgroup_subsys_state.cgroup",),
    "CG_KN": ("cgroup.kn",),
    "CG_ROOT": ("cgroup.root",),
    "CG_HIERARCHY": ("cgroup_root.hierarchy_id",),
    "KN_ID": ("kernfs_node.id",),
}, needed_by=("cgroup_mkdir",), optional=True)  # fmt: skip

URING = Group({
    "IO_OPCODE": ("io_kiocb.opcode",),
    "IO_CMD": ("io_kiocb.cmd",),
    "IO_FILE": ("io_kiocb.file",),
    "CQE_RES": ("io_uring_cqe.res",),
    "FILENAME_NAME": ("filename.name",),
    "IO_OPEN_DFD": ("io_open.dfd",),
    "IO_OPEN_NAME": ("io_open.filename",),
    "IO_OPEN_FLAGS": ("io_open.how.flags",),
    "IO_UNLINK_DFD": ("io_unlink.dfd",),
    "IO_UNLINK_NAME": ("io_unlink.filename",),
    "IO_RENAME_OLD_DFD": ("io_rename.old_dfd",),
    "IO_RENAME_NEW_DFD": ("io_rename.new_dfd",),
    "IO_RENAME_OLD": ("io_rename.oldpath",),
    "IO_RENAME_NEW": ("io_rename.newpath",),
    "IO_XATTR_NAME": ("io_xattr.filename",),
    "IO_XATTR_KNAME": ("io_xattr.ctx.kname",),
    "IO_FTRUNC_LEN": ("io_ftrunc.len",),
    "IO_SOCKET_DOMAIN": ("io_socket.domain",),
    "IO_SOCKET_TYPE": ("io_socket.type",),
    "IO_SOCKET_PROTOCOL": ("io_socket.protocol",),
}, needed_by=("io_uring_submit_req", "io_uring_complete"))  # fmt: skip

LEADERS = Group({
    "SIGNAL_PIDS": ("signal_struct.pids",),
    "PID_LEVEL": ("pid.level",),
    "PID_NUMBERS": ("pid.numbers",),
    "UPID_NS": ("upid.ns",),
    "THREAD_PID": ("task_struct.thread_pid",),
}, needed_by=("leaders",), optional=True)  # fmt: skip

TERMINALS = Group({
    "TTY": ("signal_struct.tty",),
    "TTY_DRIVER": ("tty_struct.driver",),
    "TTY_INDEX": ("tty_struct.index",),
    "TTY_MAJOR": ("tty_driver.major",),
    "TTY_MINOR": ("tty_driver.minor_start",),
}, needed_by=("terminals",), optional=True)  # fmt: skip

AUDIT = Group({
    "LOGINUID": ("task_struct.loginuid",),
    "SESSIONID": ("task_struct.sessionid",),
}, needed_by=("audit ids",), optional=True)  # fmt: skip

COMPAT = Group({"TI_STATUS": ("task_struct.thread_info.status",)}, needed_by=("32-bit calls",), optional=True)

GROUPS = (
    CORE, SYSCALLS, SOCKETS, UNIX_SOCKETS, BPF_PROGRAMS, SIGNALS, DIRTY, MOUNT_LIST, MOUNT_CHAIN,
    EXECUTABLE, NAMESPACES, CGROUPS,
    URING, LEADERS, TERMINALS, AUDIT, COMPAT,
)  # fmt: skip


_DIRTY_PAGES = 4  # before it was an enumerator


@dataclass(frozen=True, slots=True)
class Offsets:
    """Resolved offsets by macro name (`OFF_` left out), and what is disabled for want of some.

    `disabled` maps a hook or feature to the paths that were not found.
    """

    values: Mapping[str, int]
    disabled: Mapping[str, tuple[str, ...]]
    exit_has_group_dead: bool
    has_task_regs: bool
    secureexec_bit: int | None = None
    pids_subsystem: int | None = None
    complete_has_cqe: bool = True
    dirty_pages: int = _DIRTY_PAGES

    def cflags(self) -> list[str]:
        """Return the compiler flags that carry them."""
        flags = [f"-DOFF_{name}={value}" for name, value in self.values.items()]
        span = 16 + max(self.values[name] for name in ("F_PATH", "F_MODE", "F_FLAGS", "F_INODE"))
        return [*flags, f"-DFILE_SPAN={-(-span // 8) * 8}", f"-DEXIT_HAS_GROUP_DEAD={int(self.exit_has_group_dead)}",
                f"-DHAS_TASK_REGS={int(self.has_task_regs)}",
            *([] if self.secureexec_bit is None else [f"-DBIT_SECUREEXEC={self.secureexec_bit}"]),
            f"-DPIDS_SUBSYS={self.pids_subsystem or 0}",
            f"-DDIRTY_PAGES={self.dirty_pages}",
            f"-DIO_COMPLETE_HAS_CQE={int(self.complete_has_cqe)}"]  # fmt: skip


def resolve_offsets(btf: Btf) -> Offsets:
    """Return the offsets of the kernel that `btf` describes.

    Raises:
        UnavailableError: if one is missing that nothing can do without; it names them.
    """
    values: dict[str, int] = {}
    disabled: dict[str, tuple[str, ...]] = {}
    for group in GROUPS:
        found = {n: next((o for o in map(btf.offset, p) if o is not None), None) for n, p in group.paths.items()}
        missing = [paths[0] for name, paths in group.paths.items() if found[name] is None]
        if not missing or not group.optional:
            values |= {name: offset for name, offset in found.items() if offset is not None}
        if missing and not group.needed_by and not group.optional:
            raise UnavailableError(
                f"this kernel has no {', '.join(missing)}", where="/sys/kernel/btf/vmlinux",
                do="report the kernel version: the recorder has to learn where that member went",
            )  # fmt: skip
        disabled |= dict.fromkeys(group.needed_by if missing else (), tuple(missing))
    for name in (n for g in (SYSCALLS, SOCKETS, SIGNALS, DIRTY, URING) for n in g.paths):
        values.setdefault(name, 0)  # its hook is not attached; the text must still compile
    return Offsets(
        values, disabled, btf.tracepoint_args("sched_process_exit") >= 2, btf.has_helper("bpf_task_pt_regs"),
        btf.bit("linux_binprm.secureexec"), btf.enumerator("cgroup_subsys_id.pids_cgrp_id"),
        btf.tracepoint_args("io_uring_complete") <= 3,
        btf.enumerator("inode_state_flags_t.I_DIRTY_PAGES") or _DIRTY_PAGES,
    )  # fmt: skip
