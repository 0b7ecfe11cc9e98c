"""The journal: one self-checking line a record. What it holds was committed; a torn last line was not.

A line is the blake2b-128 (hex) of its payload, a space, the payload (JSON without line breaks), a line feed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kestrel_lab.recording.files import Appender
from kestrel_lab.recording.layout import LONG, SHORT, short_hash

_HEX = 2 * SHORT


class JournalWriter:
    """Appends records; safe to share between threads."""

    def __init__(self, path: Path, length: int = 0, prefix: bytes = b"") -> None:
        """Open at `length`; `prefix` is what stands before it."""
        self._file = Appender(path, length)
        self._hash = blake2b(prefix, digest_size=LONG)
        self._lock = threading.Lock()

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._file.length

    def append(self, record: Mapping[str, Any]) -> int:
        """Append one record and return its size in bytes.

        Raises:
            LimitError: when the disk is full; the journal is as it was.
        """
        line = encode_line(record)
        with self._lock:
            self._file.append(line)
            self._hash.update(line)
        return len(line)

    def state(self) -> tuple[int, str]:
        """Return (bytes, blake2b-256 hex) of all that was written."""
        with self._lock:
            return self._file.length, self._hash.copy().hexdigest()

    def sync(self) -> None:
        """Make it durable."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def encode_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as its journal line."""
    payload = json.dumps(record, separators=(",", ":")).encode()
    return short_hash(payload).encode() + b" " + payload + b"\n"


def decode_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line (without its line feed), or None if it is damaged."""
    payload = line[_HEX + 1 :]
    if line[:_HEX] != short_hash(payload).encode() or line[_HEX : _HEX + 1] != b" ":
        return None
    record = json.loads(payload)
    return record if isinstance(record, dict) else None


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line of the journal: where it begins and what it says (None: damaged)."""

    offset: int
    record: dict[str, Any] | None


class JournalTail:
    """Reads a journal from its start, and again whatever was appended since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self.offset = 0  #: where the unread rest begins

    def read(self) -> list[JournalLine]:
        """Return the whole lines that have appeared since the last call.

        Raises:
            FileNotFoundError: if there is no journal.
        """
        with open(self._path, "rb") as file:
            file.seek(self.offset + len(self._rest))
            data = self._rest + file.read()
        lines: list[JournalLine] = []
        *whole, self._rest = data.split(b"\n")
        for line in whole:
            lines.append(JournalLine(self.offset, decode_line(line)))
            self.offset += len(line) + 1
        return lines

    @property
    def torn(self) -> int:
        """Bytes of a last line that is not whole."""
        return len(self._rest)
