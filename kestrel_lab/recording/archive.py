"""A recording as one file: tar through zstandard. The same recording always gives the same bytes."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import zstandard

from kestrel_lab.recording.files import disk_limits, is_locked, sync_folder
from kestrel_lab.recording.layout import LOCK, LONG, PARTIAL, RESERVE
from kestrel_lab.recording.manifest import not_readable, read_manifest
from kestrel_lab.recording.names import safe_name
from kestrel_lab.schema.errors import DamagedError, KestrelError, UsageError

#: the archive's last member: size and blake2b-256 of each file
CHECKSUMS = "checksums.json"
_LEVEL = 3  # sealed files are compressed already
_CHUNK = 1 << 20
_PIECE = 2048  # what is decompressed at once: at the most it becomes 64 MiB


def pack(path: Path, out: Path) -> Path:
    """Write a recording as one file, mode 0600, and return its path.

    Raises:
        UsageError: if the recording is still being recorded, or `out` exists.
        LimitError: when the disk is full.
    """
    read_manifest(path)
    if is_locked(path / LOCK):
        raise UsageError("the recording is still growing", where=str(path), do="stop the recorder first")
    if out.exists():
        raise UsageError("the file exists", where=str(out), do="choose another name, or remove it")
    partial = out.with_name(out.name + PARTIAL)
    try:
        with disk_limits(out), open(partial, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            context = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with context.stream_writer(file, closefd=False) as stream:
                _write_tar(path, stream)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.rename(out)
    sync_folder(out.parent)
    return out


def unpack(file: Path, out: Path) -> Path:
    """Unpack a packed recording into the new folder `out` and return it.

    Raises:
        UsageError: if `file` is no packed recording, or `out` exists.
        DamagedError: if its checksums do not hold; nothing is left behind.
        LimitError: when the disk is full.
    """
    if out.exists():
        raise UsageError("the folder exists", where=str(out), do="choose another name, or move it away")
    partial = out.with_name(out.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with disk_limits(out):
            partial.mkdir(mode=0o700, parents=True)
            unpack_into(file, partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def unpack_into(file: Path, folder: Path) -> None:
    """Unpack into an empty folder; see `unpack`."""
    try:
        with open(file, "rb") as source:
            if source.read(4) != zstandard.FRAME_HEADER:
                raise UsageError("this is no packed recording", where=str(file), do="give a NAME.krec.tar.zst")
            source.seek(0)
            _read_tar(io.BufferedReader(_Frame(source)), folder)
    except FileNotFoundError:
        raise UsageError(f"{file} does not exist", do="give the packed recording's path") from None
    except PermissionError:
        if os.access(file, os.R_OK):
            raise
        raise not_readable(file) from None
    except (zstandard.ZstdError, tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(file, str(error)) from error


class _Frame(io.RawIOBase):
    """The content of a file that is one zstandard frame, whole: a stream reader takes one that lacks a part of its
    checksum.

    Raises, while it is read:
        EOFError: if the frame is cut, or something follows it.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._left:
            data = self._source.read(_PIECE)
            if self._frame.eof:
                if data or self._frame.unused_data:
                    raise EOFError("something follows its end")
                return 0
            if not data:
                raise EOFError("it is cut")
            self._left = self._frame.decompress(data)
        taken, self._left = self._left[: len(into)], self._left[len(into) :]
        into[: len(taken)] = taken
        return len(taken)


def _damaged(file: Path, why: str) -> KestrelError:
    return DamagedError(f"the packed recording is damaged: {why}", where=str(file), do="get another copy of the file")


def _write_tar(root: Path, stream: IO[bytes]) -> None:
    sums = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in _names(root):
            path = root / name
            digest, size = _hash(path)
            sums[name] = [size, digest]
            with open(path, "rb") as file:
                tar.addfile(_member(name, size), file)
        data = json.dumps(sums, indent=1, sort_keys=True).encode()
        tar.addfile(_member(CHECKSUMS, len(data)), io.BytesIO(data))


def _names(root: Path) -> Iterator[str]:
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        name = path.relative_to(root).as_posix()
        if path.name not in (LOCK, RESERVE) and not name.endswith(PARTIAL):
            yield name


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, 0
    return member


def _hash(path: Path) -> tuple[str, int]:
    digest, size = blake2b(digest_size=LONG), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _read_tar(stream: IO[bytes], folder: Path) -> None:
    found: dict[str, list[object]] = {}
    sums: dict[str, list[object]] | None = None
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise ValueError(f"{member.name!r} is no plain file")
            if member.name == CHECKSUMS:
                sums = json.load(source)
                continue
            try:
                name = safe_name(member.name)
            except UsageError as error:
                raise ValueError(error.what) from error
            found[name] = _extract(source, folder, name)
    # The frame's own checksum is looked at only when the stream is read to its end.
    while stream.read(_CHUNK):
        pass
    if sums is None or sums != found:
        wrong = sorted(set(found) ^ set(sums or {}) or {n for n in found if found[n] != (sums or {})[n]})
        raise ValueError("no checksums: it is cut" if sums is None else f"checksums differ: {', '.join(wrong)}")


def _extract(source: IO[bytes], folder: Path, name: str) -> list[object]:
    path = folder.joinpath(*name.split("/"))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = blake2b(digest_size=LONG), 0
    with open(path, "xb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
    return [size, digest.hexdigest()]
