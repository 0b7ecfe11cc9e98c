"""The rule packs inside a recording: a folder for each, by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kestrel_lab.recording.files import disk_limits, write_file
from kestrel_lab.recording.index import PackRecord
from kestrel_lab.recording.layout import PACKS, long_hash
from kestrel_lab.recording.names import safe_name
from kestrel_lab.schema.errors import DamagedError


def write_pack(root: Path, pack_hash: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a pack. It does not run by that: the journal says when it does.

    Args:
        files: by path relative to the pack, with forward slashes.

    Raises:
        UsageError: for a file name that would leave the folder.
        LimitError: when the disk is full.
    """
    folder = root / PACKS / safe_name(pack_hash)
    paths = {name: folder.joinpath(*safe_name(name).split("/")) for name in files}
    for name, path in paths.items():
        with disk_limits(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, files[name])


def read_pack(root: Path, pack: PackRecord, shown: Path) -> dict[str, bytes]:
    """Return the files of one pack.

    Args:
        shown: what the user calls the recording.

    Raises:
        DamagedError: if one is missing or not what was stored.
    """
    folder = root / PACKS / safe_name(pack.use.pack_hash)
    out = {}
    for name, digest in pack.files.items():
        path = folder / safe_name(name)
        data = path.read_bytes() if path.is_file() else None
        if data is None or long_hash(data) != digest:
            raise DamagedError(
                f"file {name} of pack {pack.use.pack_hash} {'is missing' if data is None else 'is damaged'}",
                where=str(shown), do="give the rules with --rules",
            )  # fmt: skip
        out[name] = data
    return out
