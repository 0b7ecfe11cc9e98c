"""Lines that could not be imported: the first ones to be told, all of them in a file beside the recording."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from kestrel_lab.query.importing.lines import MAX_LINE, Line
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.values import to_json

SUFFIX = ".rejects.ndjson"
#: How many are kept in memory, to be told.
TOLD = 10
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no event, and why."""

    line: int
    reason: str


class Rejects:
    """The reject file of a recording; it is made with the first reject, and goes again unless `keep` is called.

    Attributes:
        path: where it is.
        count: how many lines were rejected.
        first: the first of them.
    """

    def __init__(self, recording: Path) -> None:
        """Take the recording's path.

        Raises:
            UsageError: if there is such a file already.
        """
        self.path = recording.with_name(recording.name + SUFFIX)
        self.count = 0
        self.first: list[Reject] = []
        self._file: BinaryIO | None = None
        self._kept = False
        if self.path.exists():
            raise UsageError("the reject file exists", where=str(self.path), do="move it away")

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            if not self._kept:
                self.path.unlink()

    def add(self, line: Line, reason: str) -> None:
        """Write a line down with its number, the reason, and its text (as `$bytes` where it is not UTF-8)."""
        self.count += 1
        if len(self.first) < TOLD:
            self.first.append(Reject(line.number, reason))
        if self._file is None:
            self._file = os.fdopen(os.open(self.path, _NEW, 0o600), "wb")
        found = {"line": line.number, "reason": reason}
        if len(line.data) <= MAX_LINE:
            found |= {"text": to_json(line.data)}
        self._file.write(json.dumps(found, separators=(",", ":")).encode() + b"\n")

    def keep(self) -> None:
        """Keep the file, if there is one."""
        self._kept = True
