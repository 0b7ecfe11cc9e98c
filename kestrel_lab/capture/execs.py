"""Columns that only execs have: the executable as a file, how it was named, what its descriptors are."""

from __future__ import annotations

import socket

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.addresses import ip_text
from kestrel_lab.capture.coded import coded, coded_numbers
from kestrel_lab.capture.ring import Records
from kestrel_lab.capture.standing import stdio_kind
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.epoch import Array

_STDIO = {f"process.Ext.{name}.type": fd for fd, name in enumerate(("stdin", "stdout", "stderr"))}


def exec_columns(segment: GrowingSegment, rec: Records) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns that only execs have, and which rows have a value, for records of one ring."""
    there = rec["inode"] != 0
    address = np.isin(rec["peer_family"], (socket.AF_INET, socket.AF_INET6))
    changed = rec["changed"] * np.uint64(1_000_000_000) + rec["changed_ns"]
    columns = stdio_columns(segment, rec["standing"])
    columns |= _texts(segment, rec)
    columns |= {
        "kestrel.secure_exec": rec["secure"].astype(np.uint8),
        "kestrel.executable.inode": rec["inode"],
        "kestrel.executable.device": rec["device"],
        "kestrel.executable.links": rec["links"],
        "kestrel.executable.changed_ns": np.where(there, changed, 0),
        "kestrel.executable.mode": coded_numbers(
            segment, "process:kestrel.executable.mode", rec["mode"], there, lambda mode: b"%04o" % (mode & 0o7777)
        ),
        "kestrel.stdin.port": np.where(address, rec["peer_port"], 0),
        "kestrel.stdin.ip": coded(
            segment, "process:kestrel.stdin.ip", [rec["peer_family"], rec["peer"], address],
            lambda row: ip_text(int(rec["peer_family"][row]), rec["peer"][row].tobytes()) if address[row] else None,
        ),
    }  # fmt: skip
    valid = {f"kestrel.executable.{name}": there for name in ("inode", "device", "links", "changed_ns")}
    return columns, valid | {"kestrel.secure_exec": np.ones(len(rec), np.bool_), "kestrel.stdin.port": address}


def stdio_columns(segment: GrowingSegment, standing: Records) -> dict[str, Array]:
    """Return what descriptors 0 to 2 are, by column, for `records.STANDING` rows."""
    return {column: _stdio(segment, column, standing) for column in _STDIO}


def _texts(segment: GrowingSegment, rec: Records) -> dict[str, Array]:
    """Return how the program was named. (An exec makes a process image: there Python runs for each anyway.)"""
    names, interpreters = list[bytes | None](), list[bytes | None]()
    starts = rec["exe_len"].astype(np.int64) + rec["cwd_len"]
    sizes = zip(starts.tolist(), rec["filename_len"].tolist(), rec["interp_len"].tolist(), strict=True)
    for text, (start, name, interpreter) in zip(rec["text"], sizes, strict=True):
        names.append(text[start : start + name].tobytes() or None)
        interpreters.append(text[start + name : start + name + interpreter].tobytes() or None)
    return {
        "process.Ext.filename": segment.strings("process:process.Ext.filename").codes(names),
        "kestrel.interpreter": segment.strings("process:kestrel.interpreter").codes(interpreters),
    }


def _stdio(segment: GrowingSegment, column: str, standing: Records) -> Array:
    fd = _STDIO[column]
    modes, devices = standing["modes"][:, fd], standing["devices"][:, fd]
    return coded(
        segment, f"process:{column}", [modes, devices], lambda row: stdio_kind(int(modes[row]), int(devices[row]))
    )
