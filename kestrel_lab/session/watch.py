"""Noticing that the rules on disk were edited while they run, once the edit is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from kestrel_lab.engine import Limits, Pack, load_pack
from kestrel_lab.schema.errors import KestrelError

#: (path, mtime in ns, size, inode) of each file, in order.
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]

#: Further files of a rule that was named as a file: these, in its folder.
_BESIDE = (".wasm", ".lua")


@dataclass(frozen=True, slots=True)
class RulePaths:
    """Where a pack was read from.

    Attributes:
        paths: absolute, as `load_pack` takes them.
        stamp: of their files, taken before they were read.
    """

    paths: tuple[Path, ...]
    skip_broken: bool
    stamp: Stamp

    @classmethod
    def of(cls, paths: Sequence[Path], *, skip_broken: bool = False) -> RulePaths:
        """Return the paths as they are now; load the pack after this."""
        absolute = tuple(path.absolute() for path in paths)
        return cls(absolute, skip_broken, stamp_of(absolute))


def stamp_of(paths: Sequence[Path]) -> Stamp:
    """Return what changes when a file of a pack does. What cannot be seen is left out."""
    out = []
    for path in paths:
        for file in _files(path):
            try:
                found = file.stat()
            except OSError:
                continue
            out.append((str(file), found.st_mtime_ns, found.st_size, found.st_ino))
    return tuple(out)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        for suffix in _BESIDE:
            yield from sorted(path.parent.glob(f"*{suffix}"))
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names))


class PackWatch:
    """Looks at the files of a pack from time to time.

    An edit is taken when two looks in a row saw the same files and reading them changed nothing: an editor that is in
    the middle of writing is left alone. An edit that is wrong is told of once, and the pack that runs stays.
    """

    def __init__(self, where: RulePaths, pack_hash: str, limits: Limits) -> None:
        """Take the paths and what was loaded from them."""
        self._where, self._hash, self._limits = where, pack_hash, limits
        self._done = self._seen = where.stamp

    def look(self) -> Pack | KestrelError | None:
        """Return a new pack, or what is wrong with the edit; None if there is nothing to say."""
        now, before = stamp_of(self._where.paths), self._seen
        self._seen = now
        if now == self._done or now != before:
            return None
        try:
            found: Pack | KestrelError = load_pack(self._where.paths, self._limits, skip_broken=self._where.skip_broken)
        except KestrelError as error:
            found = error
        if stamp_of(self._where.paths) != now:
            return None
        self._done = now
        if isinstance(found, Pack):
            if found.hash == self._hash:
                return None
            self._hash = found.hash
        return found
