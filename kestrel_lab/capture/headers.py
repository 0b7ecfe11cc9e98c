"""Kernel headers for BCC to compile against.

Any version's do, because structs are read only at offsets from BTF. Debian splits them over two packages; BCC wants
one tree, so the two are overlaid as symbolic links in a folder that only root can write to.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from kestrel_lab.schema.errors import PermissionMissingError, UnavailableError

CACHE = Path("/var/cache/kestrel-lab")
SOURCES = Path("/usr/src")
MEND = "apt-get install linux-headers-amd64 (any version's headers do)"


def find_headers(*, build: bool = True) -> Path:
    """Return a complete header tree: BCC_KERNEL_SOURCE, the running kernel's own, or a merged Debian tree.

    Args:
        build: whether a merged tree may be made; without it the place where it would be is returned.

    Raises:
        UnavailableError: if there is none.
        PermissionMissingError: if the only one could be changed by another user.
    """
    named = os.environ.get("BCC_KERNEL_SOURCE")
    if named:
        return _checked(Path(named))
    own = Path("/lib/modules") / os.uname().release / "build"
    if _is_tree(own):
        return _checked(own.resolve())
    pairs = sorted(_debian_pairs(), key=lambda pair: pair[0].name)
    if not pairs:
        raise UnavailableError("no kernel headers were found", where=str(SOURCES), do=MEND)
    arch, common = pairs[-1]
    target = CACHE / f"headers-{arch.name.removeprefix('linux-headers-')}"
    if not build or _is_tree(target):
        return _checked(target) if target.exists() else target
    _merge(_checked(common), _checked(arch), target)
    return _checked(target)


def _is_tree(path: Path) -> bool:
    return (path / "include/linux/kconfig.h").is_file() and (path / "include/generated/autoconf.h").is_file()


def _debian_pairs() -> list[tuple[Path, Path]]:
    pairs = []
    for arch in SOURCES.glob("linux-headers-*-amd64"):
        common = arch.with_name(arch.name.removesuffix("-amd64") + "-common")
        if common.is_dir():
            pairs.append((arch, common))
    return pairs


def _checked(path: Path) -> Path:
    """Return the path if it and every folder above it belong to root and only root can write to them."""
    if not path.is_dir():
        raise UnavailableError("there is no such folder of kernel headers", where=str(path), do=MEND)
    real = path.resolve()
    for part in (real, *real.parents):
        info = part.stat()
        if info.st_uid != 0 or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionMissingError(
                "kernel headers that others can change would run in the kernel", where=str(part),
                do="name a folder in BCC_KERNEL_SOURCE that only root can write to",
            )  # fmt: skip
    return path


def _merge(common: Path, arch: Path, target: Path) -> None:
    """Build the overlay beside its place and rename it there; another process may have been faster."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        _overlay(common, building)
        _overlay(arch, building)
        building.rename(target)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)
        if not _is_tree(target):
            raise


def _overlay(source: Path, target: Path) -> None:
    for folder, _, files in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(exist_ok=True)
        for name in files:
            link = into / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path(folder) / name)
