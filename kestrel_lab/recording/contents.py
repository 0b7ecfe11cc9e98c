"""Contents of executed files inside a recording: one zstandard file each, named by the sha256 of what is in it."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING

import zstandard

from kestrel_lab.recording.damage import Damage
from kestrel_lab.recording.files import sync_folder
from kestrel_lab.recording.journal import JournalWriter
from kestrel_lab.recording.layout import CONTENTS, PARTIAL
from kestrel_lab.recording.names import safe_name
from kestrel_lab.schema.errors import DamagedError, LimitError

if TYPE_CHECKING:
    from kestrel_lab.recording.reader import Recording
    from kestrel_lab.recording.writer import RecordingWriter

#: a recording keeps no more than this, bytes before compression
BUDGET = 4 << 30
_CHUNK = 1 << 20
_LEVEL = 3


class ContentStore:
    """The contents of a recording that is being written. They come from a thread of their own.

    Args:
        root: the recording's folder.
        journal: where it is noted that one is there.
        budget: bytes, before compression, that are kept at the most.
    """

    def __init__(self, root: Path, journal: JournalWriter, budget: int = BUDGET) -> None:
        self._root, self._journal, self._left = root, journal, budget
        self._kept = set[str]()
        self._lock = threading.Lock()
        self._closed = False

    def begin(self) -> ContentWriter:
        """Return a new content to be filled."""
        return ContentWriter(self, self._root / CONTENTS, self._left)

    def take(self, name: str, size: int, file: Path | None) -> bool:
        """Take a file that holds a content under its name, unless there is one; return whether there is one now."""
        with self._lock:
            if self._closed or name in self._kept or file is None:
                return name in self._kept
            path = _path(self._root, name)
            try:
                file.rename(path)
                sync_folder(file.parent)
                self._journal.append({"k": "content", "sha256": name, "size": size})
            except (OSError, LimitError):
                path.unlink(missing_ok=True)
                return False
            self._kept.add(name)
            self._left -= size
            return True

    def close(self) -> None:
        """Take no more; what is still on its way is forgotten."""
        with self._lock:
            self._closed = True
        for partial in (self._root / CONTENTS).glob(f"*{PARTIAL}"):
            partial.unlink(missing_ok=True)


class ContentWriter:
    """A content on its way into a recording. A disk that is full is no error: then the content is not kept.

    Args:
        room: bytes that there is room for.
    """

    def __init__(self, store: ContentStore, folder: Path, room: int) -> None:
        self._store, self._room = store, room
        self._out: tuple[IO[bytes], zstandard.ZstdCompressionWriter] | None = None
        self._path = folder / f"{uuid.uuid4().hex}{PARTIAL}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            file = open(self._path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115
        except OSError:
            return
        self._out = file, zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._room -= len(chunk)
        if self._out is None:
            return
        try:
            self._out[1].write(chunk)
        except OSError:
            self._room = -1
        if self._room < 0:
            self.drop()

    def keep(self, digest: bytes, size: int) -> bool:
        """Store what was written under its sha256 (hexadecimal), unless it is there; return whether it is there now.

        Args:
            size: bytes.
        """
        whole = False
        if self._out is not None:
            file, stream = self._out
            with suppress(OSError):
                stream.flush(zstandard.FLUSH_FRAME)
                file.flush()
                os.fsync(file.fileno())
                whole = True
        there = self._store.take(digest.decode(), size, self._path if whole else None)
        self.drop()
        return there

    def drop(self) -> None:
        """Forget it."""
        if self._out is not None:
            with suppress(OSError):
                self._out[0].close()
            self._out = None
            self._path.unlink(missing_ok=True)


def read_content(recording: Recording, digest: str) -> Iterator[bytes]:
    """Yield a content in chunks.

    Args:
        digest: its sha256, hexadecimal.

    Raises:
        DamagedError: if it is missing or, once all was read, not what was stored.
    """
    found, size = sha256(), 0
    path = _path(recording.root, safe_name(digest))
    try:
        with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            while chunk := stream.read(_CHUNK):
                found.update(chunk)
                size += len(chunk)
                yield chunk
    except FileNotFoundError:
        raise _damaged(recording, digest, "is missing") from None
    except zstandard.ZstdError as error:
        raise _damaged(recording, digest, f"is damaged ({error})") from None
    if found.hexdigest() != digest or size != recording.contents.get(digest):
        raise _damaged(recording, digest, "is not what was stored")


def copy_contents(recording: Recording, writer: RecordingWriter) -> list[Damage]:
    """Copy what is kept into another recording, and return what could not be copied."""
    lost = []
    for digest, size in recording.contents.items():
        content = writer.begin()
        try:
            for chunk in read_content(recording, digest):
                content.write(chunk)
        except DamagedError as error:
            content.drop()
            lost.append(Damage(-1, -1, -1, (), error.what))
        else:
            content.keep(digest.encode(), size)
    return lost


def _path(root: Path, digest: str) -> Path:
    return root / CONTENTS / f"{digest}.zst"


def _damaged(recording: Recording, digest: str, what: str) -> DamagedError:
    return DamagedError(f"content {digest} {what}", where=str(recording.path), do="restore it from a copy")
