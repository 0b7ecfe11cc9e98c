"""Names of the numbers that calls are given, as the kernel's headers have them without their prefixes."""

from __future__ import annotations

from collections.abc import Mapping

from kestrel_lab.schema.values import array_text

#: ptrace requests: include/uapi/linux/ptrace.h
REQUESTS: Mapping[int, bytes] = {
    0: b"traceme", 4: b"poketext", 5: b"pokedata", 13: b"setregs", 16: b"attach", 0x4205: b"setregset",
    0x4206: b"seize",
}  # fmt: skip
_NAMESPACES = {0x0002_0000: b"mount", 0x0200_0000: b"cgroup", 0x0400_0000: b"uts", 0x0800_0000: b"ipc",
               0x1000_0000: b"user", 0x2000_0000: b"pid", 0x4000_0000: b"net", 0x80: b"time"}  # fmt: skip
#: flags of acts by bit: include/uapi/linux/{sched,memfd}.h
OF_ACTS: Mapping[str, Mapping[int, bytes]] = {
    "unshare": _NAMESPACES | {0x200: b"fs", 0x400: b"files", 0x4_0000: b"sysvsem"},
    "setns": _NAMESPACES,
    "memfd_create": {1: b"cloexec", 2: b"allow_sealing", 4: b"hugetlb", 8: b"noexec_seal", 16: b"exec"},
}
PROTECTION: Mapping[int, bytes] = {1: b"read", 2: b"write", 4: b"execute"}
#: clocks that can be set: include/uapi/linux/time.h
CLOCKS: Mapping[int, bytes] = {0: b"realtime", 1: b"monotonic", 7: b"boottime", 11: b"tai"}
#: enum bpf_prog_type, from 0
BPF_TYPES = tuple(
    b"unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out "
    b"lwt_xmit sock_ops sk_skb cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 "
    b"sk_reuseport flow_dissector cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm "
    b"sk_lookup syscall netfilter".split()
)
_MOUNT = {1: b"ro", 2: b"nosuid", 4: b"nodev", 8: b"noexec", 16: b"sync", 32: b"remount", 64: b"mandlock",
         128: b"dirsync", 256: b"nosymfollow", 1024: b"noatime", 2048: b"nodiratime", 4096: b"bind",
         8192: b"move", 16384: b"rec", 32768: b"silent", 1 << 16: b"posixacl", 1 << 17: b"unbindable",
         1 << 18: b"private", 1 << 19: b"slave", 1 << 20: b"shared", 1 << 21: b"relatime",
         1 << 24: b"strictatime", 1 << 25: b"lazytime"}  # fmt: skip
#: flags of calls about files by bit: include/uapi/linux/{mount,module,fcntl}.h
OF_FILES: Mapping[str, Mapping[int, bytes]] = {
    "mount": _MOUNT,
    "existing_mount": _MOUNT,
    "unmount": {1: b"force", 2: b"detach", 4: b"expire", 8: b"nofollow"},
    "load_module": {1: b"ignore_modversions", 2: b"ignore_vermagic", 4: b"compressed_file"},
    "unload_module": {0o1000: b"trunc", 0o4000: b"nonblock"},
}  # fmt: skip


def names_of(of: Mapping[int, bytes], bits: int) -> bytes | None:
    """Return the JSON text of the names of bits; those without a name as one number."""
    names = [name for bit, name in of.items() if bits & bit]
    rest = bits & ~sum(of) & 0xFFFF_FFFF
    return array_text([*names, *([b"0x%x" % rest] if rest else [])]) if bits else None
