"""What was there already when a recording began, as events: processes, sockets and BPF programs with who holds them,
mounts, modules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.flags import OF_FILES
from kestrel_lab.capture.host import boot_ns
from kestrel_lab.capture.made import FileFact, Made, blank, copied, file_records, of_ring
from kestrel_lab.capture.program import Program
from kestrel_lab.capture.records import (
    ACT,
    CONNECTION,
    FOUND,
    FOUND_PROGRAM,
    FOUND_SOCKET,
    NAMESPACES,
    NET,
    NET_HAS_REMOTE,
    NET_INWARD,
)
from kestrel_lab.schema.errors import UnavailableError
from kestrel_lab.schema.schema import BUILTIN

PROC = Path("/proc")
PROCESS = BUILTIN.action_code("process", "existing_process")
SOCKET = BUILTIN.action_code("network", "existing_socket")
MOUNT = BUILTIN.action_code("file", "existing_mount")
MODULE = BUILTIN.action_code("file", "existing_module")
PROGRAM = BUILTIN.action_code("process", "existing_bpf")

Tasks = npt.NDArray[np.void]
_ESTABLISHED, _SYN_SENT, _SYN_RECV, _CLOSE, _LISTEN = 1, 2, 3, 7, 10
_TCP, _MNT = 6, NAMESPACES.index("mnt")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_MOUNT_BITS = {name: bit for bit, name in OF_FILES["mount"].items()}


def existing_processes(tasks: Tasks, now_ns: int) -> Made:
    """Return a record for each process (`records.TASK`)."""
    words, view = blank("proc", len(tasks))
    head = view["head"]
    head["who"], head["action"], head["ts"] = tasks["who"], PROCESS, now_ns
    view["standing"] = tasks["standing"]
    return of_ring("proc", words)


def existing_sockets(found: Tasks, tasks: Tasks) -> tuple[Made, tuple[list[int], npt.NDArray[np.void]]]:
    """Return a record for each socket that a process holds, and whose connections they are.

    Args:
        found: what the iterators tell (`records.FOUND`).
        tasks: the processes that are of interest.

    Returns:
        The records; the structs sock of TCP connections, and what the map of connections holds of each.
    """
    rows = _held(found[found["kind"] == FOUND_SOCKET], NET, tasks)
    records = np.ascontiguousarray(rows["record"][:, : NET.itemsize]).view(NET).reshape(-1)
    tcp = (records["protocol"] == _TCP) & np.isin(records["family"], (2, 10))
    listening = records[tcp & (records["state"] == _LISTEN)]
    ports = set(zip(listening["netns"].tolist(), listening["local_port"].tolist(), strict=True))
    stands = tcp & ~np.isin(records["state"], (_CLOSE, _LISTEN)) & (records["present"] & NET_HAS_REMOTE != 0)
    inward = np.array([(n, p) in ports for n, p in zip(records["netns"].tolist(), records["local_port"].tolist(),
                                                       strict=True)], np.bool_) & stands  # fmt: skip
    records["present"] |= np.where(inward, NET_INWARD, 0).astype(np.uint16)
    known = np.zeros(int(stands.sum()), CONNECTION)
    known["who"], known["inward"], known["found"] = records["head"]["who"][stands], inward[stands], 1
    known["since"] = np.where(records["state"][stands] == _SYN_SENT, 0, records["head"]["ts"][stands])
    return copied("net", records), (rows["id"][stands].tolist(), known)


def existing_programs(found: Tasks, tasks: Tasks, own_pid: int, *, everywhere: bool) -> Made:
    """Return a record for each BPF program and process that holds it, but not for the recorder's own.

    Args:
        everywhere: also those that no process is known to hold.
    """
    programs = found[found["kind"] == FOUND_PROGRAM]
    pids = _who(programs, ACT)["tgid"]
    programs = programs[~np.isin(programs["id"], programs["id"][pids == own_pid])]
    held = _held(programs, ACT, tasks)
    if everywhere:
        free = programs[(_who(programs, ACT)["tgid"] == 0) & ~np.isin(programs["id"], held["id"])]
        held = np.concatenate([held, free])
    return copied("act", np.ascontiguousarray(held["record"][:, : ACT.itemsize]).view(ACT).reshape(-1))


def existing_mounts(tasks: Tasks, now_ns: int) -> Made:
    """Return a record for each mount, as one process of each mount namespace sees it."""
    _, first = np.unique(tasks["standing"]["namespaces"][:, _MNT], return_index=True)
    facts = []
    for task in tasks[np.sort(first)]:
        try:
            text = (PROC / str(int(task["who"]["tgid"])) / "mountinfo").read_bytes()
        except OSError:  # it is gone
            continue
        facts += [FileFact(MOUNT, now_ns, task["who"], *fact) for fact in mounts(text)]
    return file_records(facts)


def mounts(text: bytes) -> Iterator[tuple[Sequence[bytes], int]]:
    """Yield the mounts of a text like /proc/self/mountinfo (proc(5)): point, source, type, what of the file system is
    mounted; and the flags, as mount(2) is given them."""
    for line in text.splitlines():
        before, _, after = line.partition(b" - ")
        fields, (kind, source) = before.split(b" "), after.split(b" ")[:2]
        flags = sum(_MOUNT_BITS.get(option, 0) for option in fields[5].split(b","))
        root = _unescaped(fields[3])
        yield (_unescaped(fields[4]), _unescaped(source), kind, b"" if root == b"/" else root), flags


def existing_modules(text: bytes, now_ns: int) -> Made:
    """Return a record for each module of a text like /proc/modules: name, size in bytes, ..."""
    lines = [line.split(b" ") for line in text.splitlines()]
    return file_records([FileFact(MODULE, now_ns, None, (line[0],), int(line[1])) for line in lines])


def loaded_modules() -> bytes:
    """Return /proc/modules, nothing where the kernel has none."""
    try:
        return (PROC / "modules").read_bytes()
    except OSError:
        return b""


def _who(rows: Tasks, record: np.dtype[np.void]) -> Tasks:
    whole = np.ascontiguousarray(rows["record"][:, : record.itemsize]).view(record).reshape(-1)
    return np.asarray(whole["head"]["who"])


def _held(rows: Tasks, record: np.dtype[np.void], tasks: Tasks) -> Tasks:
    """Return the rows of these processes, once for each process and thing held."""
    if not len(rows):
        return rows
    who = _who(rows, record)
    known = _keys(tasks["who"])
    mine = np.array([key in known for key in _in_order(who)], np.bool_)
    _, first = np.unique(np.stack([rows["id"], who["tgid"].astype(np.uint64)], axis=1), axis=0, return_index=True)
    once = np.zeros(len(rows), np.bool_)
    once[first] = True
    return rows[mine & once]


def _in_order(who: Any) -> list[tuple[int, int]]:
    return list(zip(who["tgid"].tolist(), who["start"].tolist(), strict=True))


def _keys(who: Any) -> set[tuple[int, int]]:
    return set(_in_order(who))


def _unescaped(text: bytes) -> bytes:
    """Return a text of mountinfo without its octal escapes."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), text)


class Existing:
    """What is there now.

    Args:
        program: gives what the kernel's iterators tell; is told of connections, so that their ends have an owner.
        scope: ids of the cgroups that are of interest, None for all and for what is in none.

    Attributes:
        unread: why sockets and BPF programs could not be told, empty if they could.
    """

    def __init__(self, program: Program, scope: frozenset[int] | None) -> None:
        self._whole, self._now, tasks = scope is None, boot_ns(), program.tasks()
        self.unread = ""
        try:
            self._found = program.found()
        except UnavailableError as error:
            self._found, self.unread = np.empty(0, FOUND), error.what
        self._tasks = tasks if scope is None else tasks[np.isin(tasks["standing"]["cgroup"], list(scope))]
        self._sockets, connections = existing_sockets(self._found, self._tasks)
        program.add_connections(*connections)

    def records(self, actions: frozenset[int]) -> Iterator[Made]:
        """Yield the records of these actions."""
        if PROCESS in actions:
            yield existing_processes(self._tasks, self._now)
        if SOCKET in actions:
            yield self._sockets
        if MOUNT in actions:
            yield existing_mounts(self._tasks, self._now)
        if PROGRAM in actions:
            yield existing_programs(self._found, self._tasks, os.getpid(), everywhere=self._whole)
        if MODULE in actions and self._whole:
            yield existing_modules(loaded_modules(), self._now)

    def processes(self) -> Iterator[tuple[np.void, int]]:
        """Yield who runs (`records.WHO`), each with the number of its mount namespace."""
        yield from zip(self._tasks["who"], self._tasks["standing"]["namespaces"][:, _MNT].tolist(), strict=True)
