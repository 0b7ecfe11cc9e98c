"""Programs that do known acts: one runs in a cgroup of its own while it is recorded, and says what it did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kestrel_lab.capture import CaptureConfig

from .support import Event, Seen, capture, joining, own_cgroup, run

#: system calls by number, by the 64-bit table and by the 32-bit one; memory that both can address
CALLS = r"""
import ctypes, errno, json, mmap, os, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
LOW = libc.mmap(None, 65536, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, -1, 0)  # MAP_32BIT

def call64(nr, *args):
    found = libc.syscall(nr, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return -ctypes.get_errno() if found < 0 else found

def call32(nr, *args):
    code = b"\x53\x56\x57" + b"\xb8" + nr.to_bytes(4, "little")  # push rbx, rsi, rdi; mov eax
    for reg, value in zip((0xBB, 0xB9, 0xBA, 0xBE, 0xBF), args):  # mov ebx, ecx, edx, esi, edi
        code += bytes([reg]) + (value & 0xFFFFFFFF).to_bytes(4, "little")
    code += b"\xcd\x80\x5f\x5e\x5b\xc3"  # int 0x80; pop rdi, rsi, rbx; ret
    ctypes.memmove(LOW, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(LOW)()

at = 8192
def put(value):
    global at
    start, at = at, (at + len(value) + 7) & -8
    ctypes.memmove(LOW + start, value, len(value))
    return LOW + start

def text(value):
    return put(value + b"\0")

told = {"actor": os.getpid()}
def child(name, act):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, json.dumps(act()).encode())
        os._exit(0)
    told[name] = pid
    os.close(write)
    told[name + " gave"] = json.loads(os.read(read, 4096) or b"null")
    assert os.waitpid(pid, 0)[1] == 0, name

def tell():
    with open(sys.argv[1] + "/told", "w") as file:
        json.dump(told, file)
"""


def record_actor(*folders: Path, code: str, **more: Any) -> tuple[Seen, dict[str, Any]]:
    """Return what was seen of a program that got the folders' paths, and what it told in the first of them. `more` is
    for the capture.
    """
    command = [sys.executable, "-c", code, *map(str, folders)]
    with own_cgroup() as cgroup:
        seen = capture(lambda s: run(s, *joining(cgroup, *command)), CaptureConfig(cgroup=cgroup, **more))
    told = folders[0] / "told"
    return seen, json.loads(told.read_text()) if told.exists() else {}


class Story:
    """What an actor did, and what was seen of it.

    Args:
        folder: the actor's.
        code: its program.
        more: for the capture.
    """

    def __init__(self, folder: Path, code: str, **more: Any) -> None:
        self.folder = folder
        self.seen, self.told = record_actor(folder, code=code, **more)

    def acts(self, child: str, action: str) -> list[Event]:
        """Return the events of an action by one of its children, in order."""
        return self.seen.of(action, process__pid=self.told[child])
