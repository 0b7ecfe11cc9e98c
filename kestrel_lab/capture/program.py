"""The loaded BPF programs: the only module that imports `bcc`.

Everything is loaded, then each hook attached on its own; what cannot be attached is named in `off`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.bcc_module import import_bcc
from kestrel_lab.capture.filters import MOST_CGROUPS, PATH_SIZE, Filters
from kestrel_lab.capture.iterators import load_iterator, read_iterator
from kestrel_lab.capture.offsets import Offsets
from kestrel_lab.capture.records import FOUND, RECORD_VERSION, RINGS, SOURCES, TASK, size_flags
from kestrel_lab.capture.ring import Ring
from kestrel_lab.capture.syscalls import dispatch_entries, named_calls
from kestrel_lab.schema.errors import UnavailableError
from kestrel_lab.schema.resources import resource

PARTS = ("records.h", "common.h", "filters.h", "calls.h", "process.c", "network.c", "datagrams.c", "file.c",
         "modified.c", "cgroups.c", "uring.c", "acts.c", "syscalls.c", "existing.c")  # fmt: skip

#: raw tracepoint to the function that serves it, in the order they are attached
HOOKS: Mapping[str, str] = {
    "sched_process_exit": "on_exit",
    "sched_process_exec": "on_exec",
    "sched_process_fork": "on_fork",
    "inet_sock_set_state": "on_tcp_state",
    "sock_send_length": "on_sent",
    "net_dev_queue": "on_packet",
    "signal_generate": "on_signal",
    "cgroup_mkdir": "on_cgroup",
    "io_uring_submit_req": "on_io_submit",
    "io_uring_complete": "on_io_done",
    "writeback_mark_inode_dirty": "on_dirty",
    "sys_enter": "on_sys_enter",
    "sys_exit": "on_sys_exit",
}
#: functions that others go on with, by the array of programs that they do it through, in the order of their numbers
_TAILS: Mapping[str, tuple[str, ...]] = {
    "enters": ("enter_name",), "exits": ("exit_acted", "exit_named", "exit_socket"), "completions": ("done_file",),
}  # fmt: skip
_RAW_TRACEPOINT = 17
_NO_EXIST = 1
_FILTER_TABLES = {"comm": "filter_comms", "uid": "filter_uids", "port": "filter_ports"}
_FILTER_MAPS = (b"filter_comms", b"filter_uids", b"filter_ports", b"filter_paths")
_ITERATORS = ("task", "task_file", "bpf_prog")
#: path components a walk may take; fewer where a kernel's verifier refuses more
_DEPTHS = (2048, 512, 128)


@dataclass(frozen=True, slots=True)
class Counts:
    """The kernel's counters of one source on one CPU."""

    seen: int = 0
    filtered: int = 0
    seq: int = 0
    lost: int = 0


def source_text() -> str:
    """Return the BPF program's text: the parts one after the other, as BCC rewrites only the main file."""
    folder = resource("bpf")
    return "\n".join((folder / part).read_text() for part in PARTS)


class Program:
    """The BPF programs of one recorder.

    Args:
        offsets: resolved struct offsets.
        headers: the header tree to compile against.
        ring_pages: sizes of rings that differ from the defaults.

    Raises:
        UnavailableError: if bcc is missing or an impostor, or the kernel refuses the programs.
    """

    def __init__(self, offsets: Offsets, headers: Path, ring_pages: Mapping[str, int]) -> None:
        self._bcc = import_bcc()
        self._offsets = offsets
        self._pages = {name: ring_pages.get(name, kind.pages) for name, kind in RINGS.items()}
        self.text_sha256 = sha256(source_text().encode()).hexdigest()
        self._functions: dict[str, Any] = {}
        self._attached: set[str] = set()
        self.off: dict[str, str] = {}
        with _environment("BCC_KERNEL_SOURCE", str(headers)):
            self._bpf: Any = self._load()
        self.rings = [
            Ring(name, kind, self._bpf[f"ring_{name}".encode()].map_fd, self._pages[name])
            for name, kind in RINGS.items()
        ]
        for name, tails in _TAILS.items():
            for place, function in enumerate(tails):
                if function not in offsets.disabled:
                    self._bpf[name.encode()][ctypes.c_int(place)] = ctypes.c_int(self._functions[function].fd)
        table = self._bpf[b"dispatch"]
        for number, entry in dispatch_entries().items():
            table[ctypes.c_int(number)] = ctypes.c_uint32(entry)
        table = self._bpf[b"named_calls"]
        for number, line in named_calls().items():
            table[ctypes.c_int(number)] = table.Leaf.from_buffer_copy(line)

    def _load(self) -> Any:
        error: Exception | None = None
        for depth in _DEPTHS:
            try:
                bpf = self._bcc.BPF(text=source_text().encode(), cflags=self._cflags(depth))
                for function in (*chain(*_TAILS.values()), *HOOKS.values()):
                    self._functions[function] = bpf.load_func(function.encode(), _RAW_TRACEPOINT)
                for kind in _ITERATORS:  # now, or the recorder would record that it loads them
                    with suppress(UnavailableError):
                        load_iterator(bpf, kind)
                self.walk_depth = depth
                return bpf
            except Exception as failure:  # bcc raises bare Exception
                error = failure
        raise UnavailableError(
            "the kernel did not take the BPF programs", detail=str(error)[-2000:],
            do="run `kestrel-lab doctor`; the compiler's and the verifier's words stand above",
        ) from error  # fmt: skip

    def _cflags(self, depth: int) -> list[str]:
        return [
            *self._offsets.cflags(),
            *size_flags(),
            *(f"-DPAGES_{name.upper()}={pages}" for name, pages in self._pages.items()),
            f"-DRECORD_VERSION={RECORD_VERSION}",
            f"-DWALK_DEPTH={depth}",
            "-Wno-everything",
        ]

    def configure(
        self, actions: int, scope_id: int, scope_level: int, own_tgid: int, *, env: bool = False, filters: int = 0
    ) -> None:
        """Set the pushdown bits, the cgroup scope (id 0: none), the recorder's own process, whether environments
        are read, and which filters hold (their values are set before). Takes effect at once."""
        table = self._bpf[b"config"]
        value = table.Leaf()
        value.actions, value.scope_id, value.scope_level, value.own_tgid = actions, scope_id, scope_level, own_tgid
        value.flags, value.filters = int(env), filters
        table[ctypes.c_int(0)] = value

    def set_filters(self, filters: Filters) -> None:
        """Give the programs the values of filters; which ones hold is said by `configure`."""
        for what, table in _FILTER_TABLES.items():
            for key, keeps in filters.of(what):
                self._put(table, key, bytes([keeps]))
        for key, keeps in filters.of("path"):
            text = key.ljust(PATH_SIZE, b"\0")
            self._put("filter_paths", (8 * len(key)).to_bytes(4, sys.byteorder) + text, bytes([keeps]))
        cgroups = sorted(filters.of("cgroup"), key=lambda one: one[0][8:][::-1])  # by level
        for place in range(MOST_CGROUPS):
            key, keeps = cgroups[place] if place < len(cgroups) else (bytes(12), False)
            self._put("filter_cgroups", place.to_bytes(4, sys.byteorder), key + int(keeps).to_bytes(4, sys.byteorder))

    def _put(self, table: str, key: bytes, value: bytes, flags: int = 0) -> None:
        self._bcc.lib.bpf_update_elem(self._bpf[table.encode()].map_fd, key, value, flags)

    def attach(self, hooks: frozenset[str]) -> None:
        """Attach exactly these of `HOOKS`; the others are detached."""
        for name, function in HOOKS.items():
            if name in hooks and name not in self._attached and name not in self._offsets.disabled:
                try:
                    self._bpf.attach_raw_tracepoint(tp=name.encode(), fn_name=function.encode())
                    self._attached.add(name)
                except Exception as failure:  # bcc raises bare Exception
                    self.off[name] = str(failure)
        for name in sorted(self._attached - hooks):
            self._bpf.detach_raw_tracepoint(tp=name.encode())
            self._attached.discard(name)

    @property
    def attached(self) -> frozenset[str]:
        """The hooks that are attached now."""
        return frozenset(self._attached)

    def counters(self) -> dict[str, list[Counts]]:
        """Return the kernel's counters: source name to one entry a CPU."""
        table = self._bpf[b"counters"]
        return {
            source: [Counts(c.seen, c.filtered, c.seq, c.lost) for c in table[ctypes.c_int(index)]]
            for index, source in enumerate(SOURCES)
        }

    def recursion(self) -> dict[str, int]:
        """Return how often each program was not run because it was running on that CPU already."""
        return {name: _recursion_misses(self._functions[function].fd) for name, function in HOOKS.items()}

    def tasks(self) -> npt.NDArray[np.void]:
        """Return one row (`records.TASK`) a process, from the BPF task iterator.

        Raises:
            UnavailableError: if the kernel has no task iterator.
        """
        return np.frombuffer(read_iterator(self._bcc, self._bpf, "task"), TASK)

    def found(self) -> npt.NDArray[np.void]:
        """Return rows (`records.FOUND`) of every socket and BPF program that there is, for each process that holds it;
        of a program also one that is nobody's.

        Raises:
            UnavailableError: if the kernel has no such iterators.
        """
        if "exit_socket" in self._offsets.disabled:
            raise UnavailableError("this kernel's sockets cannot be read")
        read = [read_iterator(self._bcc, self._bpf, kind) for kind in _ITERATORS[1:]]
        return np.frombuffer(b"".join(read), FOUND)

    def add_connections(self, sockets: Sequence[int], values: npt.NDArray[np.void]) -> None:
        """Say whose connections are that were there already (`records.CONNECTION`), by struct sock; those that the
        programs know by now stay."""
        for key, value in zip(np.array(sockets, np.uint64), values, strict=True):
            self._put("connections", key.tobytes(), value.tobytes(), _NO_EXIST)

    def reset(self) -> None:
        """Detach everything and forget what was captured: the programs are as when they were loaded."""
        self.attach(frozenset())
        self.off.clear()
        for ring in self.rings:
            ring.discard()
        for name in (b"connections", b"attempted", b"senders", b"peers", b"dirtied", *_FILTER_MAPS):
            self._bpf[name].clear()
        counters = self._bpf[b"counters"]
        for index in range(len(SOURCES)):
            counters[ctypes.c_int(index)] = (counters.Leaf * counters.total_cpu)()

    def close(self) -> None:
        """Detach everything and release the maps."""
        self.attach(frozenset())
        for ring in self.rings:
            ring.close()
        self._bpf.cleanup()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the compiler alone: commands that are recorded must not inherit it."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _recursion_misses(fd: int) -> int:
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        if line.startswith("recursion_misses:"):
            return int(line.split()[1])
    return 0
