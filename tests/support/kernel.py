"""Whether eBPF works on this machine, asked of the kernel itself and not of the code under test."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from functools import cache
from pathlib import Path

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _ARRAY = 0, 2


@cache
def why_no_ebpf() -> str | None:
    """Return why kernel tests cannot run here, or None where they must."""
    if os.geteuid() != 0:
        return "not root"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no BTF"
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        return f"unknown machine {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("<5I", _ARRAY, 4, 8, 1, 0).ljust(128, b"\0")
    fd = libc.syscall(number, _MAP_CREATE, ctypes.c_char_p(attributes), len(attributes))
    if fd < 0:
        return f"bpf(2) refuses a map: {os.strerror(ctypes.get_errno())}"
    os.close(fd)
    return None
