"""The files that were executed during a recording, as its `content_hash` events tell them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kestrel_lab.recording import Recording
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.values import Value

_ACTION = "content_hash"


@dataclass(frozen=True, slots=True)
class ExecutedFile:
    """A file that was executed.

    Attributes:
        event_id: of the event that tells of it.
        role: `image` or `script`.
        sha256: hexadecimal; empty where the file was not read: `reason` says why.
        size: bytes.
        kept: whether its content is in the recording.
    """

    event_id: int
    path: bytes
    role: str
    sha256: str
    size: int
    kept: bool
    reason: str


def executed_files(recording: Recording) -> Iterator[ExecutedFile]:
    """Yield what a recording tells of executed files, in event order; what is damaged is passed over."""
    action = next((a for a in recording.info.schema.actions if a.name == _ACTION), None)
    if action is None:
        return  # a recording of a former version, or an imported one
    names = ("event.sequence", "file.path", "kestrel.content.role", "file.hash.sha256", "file.size",
             "kestrel.content.kept", "kestrel.ret")  # fmt: skip
    for epoch in recording.epochs(on_damage="skip"):
        rows = epoch.tables.get(action.table)
        at = np.flatnonzero(rows.column("action") == action.code) if rows is not None else ()
        if len(at):
            values = [python_values(resolve(recording.info, epoch, action.table, name)) for name in names]
            for row in at:
                yield _file(*(column[row] for column in values))


def _file(
    event_id: Value, path: Value, role: Value, digest: Value, size: Value, kept: Value, ret: Value
) -> ExecutedFile:
    code = -ret if isinstance(ret, int) else 0
    return ExecutedFile(
        int(event_id) if isinstance(event_id, int) else 0, _bytes(path), _bytes(role).decode(),
        _bytes(digest).decode(), size if isinstance(size, int) else 0, kept is True, _reason(code),
    )  # fmt: skip


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b""


#: what an errno of such an event means
_REASONS = {
    errno.ENOENT: "gone before it could be read",
    errno.ESTALE: "changed since it was executed",
    errno.EFBIG: "too large",
    errno.EINVAL: "not a regular file",
    errno.ENOBUFS: "too many at once",
    errno.ETIMEDOUT: "the recording ended",
}


def _reason(code: int) -> str:
    return _REASONS.get(code, os.strerror(code)) if code else ""
