"""Columns of an epoch from raw records: the common ones, and those of each table. No Python runs per event here,
except where an event makes a process image.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.acts import act_columns
from kestrel_lab.capture.intern import group, masked
from kestrel_lab.capture.ring import Records
from kestrel_lab.capture.standing import stdio_kind
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import FLAG_RELATIVE_PATH
from kestrel_lab.schema.schema import BUILTIN

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Valid = dict[str, npt.NDArray[np.bool_]]
#: records of one ring, and the rows of the table they go to
Part = tuple[Records, npt.NDArray[np.intp]]

FORK, EXEC, END = (BUILTIN.action_code("process", name) for name in ("fork", "exec", "end"))
CREATION, OPEN = (BUILTIN.action_code("file", name) for name in ("creation", "open"))
ATTEMPT, RESULT, ACCEPT = (
    BUILTIN.action_code("network", f"connection_{name}") for name in ("attempted", "result", "accepted")
)
_UNKNOWN_RET = 1
_STDIO = {f"process.Ext.{name}.type": fd for fd, name in enumerate(("stdin", "stdout", "stderr"))}


def coded(segment: GrowingSegment, key: str, columns: Sequence[Array], text: Callable[[int], bytes | None]) -> Array:
    """Return dictionary codes of rows; `text` gives the value of a row and is asked once per distinct row."""
    first, inverse = group(*columns)
    return segment.strings(key).codes([text(row) for row in first.tolist()])[inverse]


def process_columns(segment: GrowingSegment, parts: Sequence[Part], action: Array) -> tuple[Columns, Valid]:
    """Return the columns of the process table."""
    rows = len(action)
    status, filename = np.zeros(rows, np.uint32), np.zeros(rows, np.int32)
    stdio = {column: np.zeros(rows, np.int32) for column in _STDIO}
    success = segment.strings("process:event.outcome").code(b"success")
    more: Columns = {"event.outcome": np.full(rows, success, np.int32)}
    valid: Valid = {}
    code = segment.strings("process:process.Ext.filename").code
    for rec, at in parts:
        if "status" in (rec.dtype.names or ()):
            status[at] = rec["status"]
            continue
        if "target_pid" in (rec.dtype.names or ()):
            _scatter(rows, at, act_columns(segment, rec), more, valid)
            continue
        for column, codes in stdio.items():
            codes[at] = _stdio(segment, column, rec["standing"])
        for row, one in zip(at.tolist(), rec, strict=True):
            start = int(one["exe_len"]) + int(one["cwd_len"])
            filename[row] = code(one["text"][start : start + int(one["filename_len"])].tobytes() or None)
    ended = action == END
    columns: Columns = (
        stdio
        | more
        | {
            "process.exit_code": (status >> 8 & 0xFF).astype(np.int32),
            "process.Ext.exit_signal": (status & 0x7F).astype(np.int32),
            "process.Ext.filename": filename,
        }
    )
    return columns, valid | {"process.exit_code": ended, "process.Ext.exit_signal": ended}


def _scatter(
    rows: int, at: npt.NDArray[np.intp], found: tuple[Columns, Valid], columns: Columns, valid: Valid
) -> None:  # fmt: skip
    """Put columns of some rows of a table where they belong."""
    for given, into in zip(found, (columns, valid), strict=True):
        for name, values in given.items():
            whole = into.setdefault(name, np.zeros(rows, values.dtype))
            whole[at] = values


def _stdio(segment: GrowingSegment, column: str, standing: Records) -> Array:
    fd = _STDIO[column]
    modes, devices = standing["modes"][:, fd], standing["devices"][:, fd]
    return coded(
        segment, f"process:{column}", [modes, devices], lambda row: stdio_kind(int(modes[row]), int(devices[row]))
    )


def file_columns(segment: GrowingSegment, parts: Sequence[Part], flags: Array) -> tuple[Columns, Valid]:
    """Return the columns of the file table; may set bits in `flags`."""
    rows = len(flags)
    columns: Columns = {
        "file.path": np.zeros(rows, np.int32),
        "file.Ext.original.path": np.zeros(rows, np.int32),
        "file.inode": np.zeros(rows, np.uint64),
        "file.Ext.device": np.zeros(rows, np.uint32),
        "file.Ext.open_flags": np.zeros(rows, np.uint32),
    }
    present = np.zeros(rows, np.bool_)
    for rec, at in parts:
        columns["file.inode"][at] = rec["inode"]
        columns["file.Ext.device"][at] = rec["dev"]
        columns["file.Ext.open_flags"][at] = rec["open_flags"]
        present[at] = rec["present"] != 0
        path, original, more = _paths(segment, rec)
        columns["file.path"][at] = path
        columns["file.Ext.original.path"][at] = original
        flags[at] |= more
    columns["event.outcome"] = np.full(rows, segment.strings("file:event.outcome").code(b"success"), np.int32)
    return columns, dict.fromkeys(("file.inode", "file.Ext.device", "file.Ext.open_flags"), present)


def _paths(segment: GrowingSegment, rec: Records) -> tuple[Array, Array, Array]:
    lens = np.ascontiguousarray(rec["lens"])
    sizes = lens.sum(axis=1, dtype=np.int64)
    words = masked(rec["text"], sizes)
    opened = np.isin(rec["head"]["action"], (OPEN, CREATION))
    first, inverse = group(words, lens.view(np.uint64).reshape(-1), opened)
    path, original = segment.strings("file:file.path").code, segment.strings("file:file.Ext.original.path").code
    codes = np.zeros((3, len(first)), np.int32)
    for i, row in enumerate(first.tolist()):
        text = words[row, : -(-int(sizes[row]) // 8)].tobytes()[: int(sizes[row])]
        if opened[row]:
            codes[0, i] = path(text or None)
            continue
        old, new, relative = _named(text, lens[row].tolist())
        codes[:, i] = path(new if new is not None else old), original(old if new is not None else None), relative
    return codes[0][inverse], codes[1][inverse], codes[2][inverse].astype(np.uint32)


def _named(text: bytes, lens: Sequence[int]) -> tuple[bytes | None, bytes | None, int]:
    """Return the old path, the new one of a rename, and flags, of (directory, name) once or twice."""
    parts, at = [], 0
    for length in lens:
        parts.append(text[at : at + length])
        at += length
    found = [join_name(parts[0], parts[1])]
    if parts[2] or parts[3]:
        found.append(join_name(parts[2], parts[3]))
    relative = any(path is not None and not path.startswith(b"/") for path in found)
    return found[0], found[1] if len(found) > 1 else None, FLAG_RELATIVE_PATH if relative else 0


def join_name(folder: bytes, name: bytes) -> bytes | None:
    """Return a name as given, in a folder: empty and `.` parts are left out, `..` stays (it may cross a link)."""
    if not name:
        return None
    whole = name if name.startswith(b"/") or not folder else folder + b"/" + name
    parts = [part for part in whole.split(b"/") if part not in (b"", b".")]
    return (b"/" if whole.startswith(b"/") else b"") + b"/".join(parts)


def network_columns(segment: GrowingSegment, parts: Sequence[Part], action: Array) -> tuple[Columns, Valid]:
    """Return the columns of the network table."""
    ((rec, _),) = parts  # one ring serves it
    inward = action == ACCEPT
    ports = (
        np.where(inward, rec["remote_port"], rec["local_port"]),
        np.where(inward, rec["local_port"], rec["remote_port"]),
    )
    source = np.where(inward[:, None], rec["remote"], rec["local"])
    destination = np.where(inward[:, None], rec["local"], rec["remote"])
    ret, family = rec["ret"], rec["family"]
    known = ret != _UNKNOWN_RET
    columns: Columns = {
        "source.ip": _addresses(segment, "source.ip", family, source),
        "source.port": ports[0],
        "destination.ip": _addresses(segment, "destination.ip", family, destination),
        "destination.port": ports[1],
        "network.transport": np.full(len(action), segment.strings("network:network.transport").code(b"tcp"), np.int32),
        "network.type": _types(segment, family, destination),
        "network.direction": coded(
            segment, "network:network.direction", [inward], lambda row: b"ingress" if inward[row] else b"egress"
        ),
        "kestrel.ret": np.where(known, ret, 0),
        "event.outcome": coded(
            segment, "network:event.outcome", [action, ret], lambda row: _outcome(int(action[row]), int(ret[row]))
        ),
    }
    return columns, {"source.port": ports[0] != 0, "destination.port": ports[1] != 0, "kestrel.ret": known}


def _outcome(action: int, ret: int) -> bytes:
    if action == ATTEMPT:
        return b"unknown"
    return b"success" if ret == 0 else b"failure"


def _addresses(segment: GrowingSegment, column: str, family: Array, words: Array) -> Array:
    return coded(
        segment, f"network:{column}", [family, words], lambda row: ip_text(int(family[row]), words[row].tobytes())
    )


def _types(segment: GrowingSegment, family: Array, words: Array) -> Array:
    def text(row: int) -> bytes:
        return b"ipv6" if b":" in ip_text(int(family[row]), words[row].tobytes()) else b"ipv4"

    return coded(segment, "network:network.type", [family, words], text)


def ip_text(family: int, raw: bytes) -> bytes:
    """Return the canonical text of an address; an IPv4 address mapped into IPv6 is written as IPv4."""
    if family != socket.AF_INET6:
        return socket.inet_ntoa(raw[:4]).encode()
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address).encode()
