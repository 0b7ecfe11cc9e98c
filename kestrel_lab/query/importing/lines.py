"""The lines of a file that is read twice: plain, compressed, or not a file at all."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa

from kestrel_lab.schema.errors import DamagedError

#: A longer line is no event.
MAX_LINE = 16 << 20
_BOM = b"\xef\xbb\xbf"
_COMPRESSED: dict[bytes, Literal["gzip", "zstd"]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: its number from 1, where it begins, and what it holds, without white space around.

    Of a line that is too long only the beginning is there, more than `MAX_LINE` bytes.
    """

    number: int
    offset: int
    data: bytes


class Lines:
    """The lines of an open file, in order, and then again in any order.

    Attributes:
        hash: blake2b-128 (hex) of the bytes that `__iter__` came past.
        count: the lines it came past, blank ones among them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = blake2b(digest_size=16)
        self.count = 0

    @property
    def hash(self) -> str:
        """The hash of all bytes so far."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines that are not blank, without their ends."""
        offset, read = self._file.tell(), self._file.readline
        while data := read(MAX_LINE + 1):
            length = len(data)
            self._hash.update(data)
            more = data
            while not more.endswith(b"\n") and (more := read(MAX_LINE)):
                length += len(more)
                self._hash.update(more)
            self.count += 1
            skip = len(_BOM) if self.count == 1 and data.startswith(_BOM) else 0
            data = data[skip:]
            if text := data.strip():
                yield Line(self.count, offset + skip + len(data) - len(data.lstrip()), text)
            offset += length

    def at(self, offset: int, length: int) -> bytes:
        """Return the bytes of a line again."""
        return os.pread(self._file.fileno(), length, offset)


def _regular(source: BinaryIO) -> bool:
    """Return whether its bytes can be read again from where they lie."""
    try:
        return stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    except OSError:
        return False


def _plain(source: BinaryIO, codec: Literal["gzip", "zstd"]) -> BinaryIO:
    file = pa.PythonFile(cast("io.IOBase", source), "r")
    return cast("BinaryIO", pa.CompressedInputStream(file, codec))


@contextmanager
def open_lines(source: BinaryIO, folder: Path) -> Iterator[Lines]:
    """Open the lines of a file, of a compressed one (gzip, zstd), or of a pipe.

    Args:
        source: what to read; a regular file is read in place, all else is first copied.
        folder: where the copy lies, without a name.

    Raises:
        DamagedError: if it is not what its first bytes say.
    """
    head = source.peek(4)[:4] if hasattr(source, "peek") else b""
    codec = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
    if codec is None and _regular(source):
        yield Lines(source)
        return
    with tempfile.TemporaryFile(dir=folder) as copy:
        try:
            shutil.copyfileobj(_plain(source, codec) if codec else source, copy, 1 << 20)
        except (OSError, ValueError) as error:
            if codec is None or (isinstance(error, OSError) and error.errno):
                raise
            name = str(getattr(source, "name", "-"))
            raise DamagedError(f"the file is no whole {codec} stream: {error}", where=name) from error
        copy.seek(0)
        yield Lines(copy)
