"""The manifest: what a recording is, readable by people; the journal is what counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kestrel_lab.recording.files import write_file
from kestrel_lab.recording.layout import FORMAT, JOURNAL, MAJOR, MANIFEST, MINOR, SCHEMA, long_hash
from kestrel_lab.schema.epoch import SourceInfo
from kestrel_lab.schema.errors import (
    DamagedError,
    IncompatibleError,
    KestrelError,
    PermissionMissingError,
    UsageError,
)
from kestrel_lab.schema.history import FORMER
from kestrel_lab.schema.schema import BUILTIN, Schema

#: sections whose hash the journal's first record holds
PINNED = ("source", "facts", "schema")


def new_manifest(info: SourceInfo, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a recording that begins."""
    return {
        "format": {"name": FORMAT, "major": MAJOR, "minor": MINOR},
        "source": {
            "recording_id": info.recording_id,
            "host": dict(info.host),
            "boot_id": info.boot_id,
            "extra": dict(info.extra),
        },
        "schema": {"file": SCHEMA, "fingerprint": info.schema.fingerprint} | _base(info.schema),
        "facts": dict(facts),
        "packs": [],
        "segments": [],
        "expired": [],
        "complete": False,
    }


def _base(schema: Schema) -> dict[str, str]:
    return {"base": schema.base} if schema.base else {}


def own_keys() -> frozenset[str]:
    """Return the top-level keys that this version writes; all others are kept as they are found."""
    return frozenset((*new_manifest(SourceInfo("", {}), {}), "head", "ledger"))


def pinned_hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each pinned section's canonical JSON."""
    return {name: long_hash(canonical(manifest.get(name))) for name in PINNED}


def canonical(data: Any) -> bytes:
    """Return JSON with sorted keys and no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest whole."""
    write_file(root / MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")


def read_manifest(root: Path) -> dict[str, Any]:
    """Return the manifest of a recording folder, unknown keys kept.

    Raises:
        UsageError: if it is no recording.
        DamagedError: if it is cut or no manifest.
        PermissionMissingError: if this user may not read it.
        IncompatibleError: if its format or its schema is of another version.
    """
    path = root / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        major, minor = manifest["format"]["major"], manifest["format"]["minor"]
        found = manifest["schema"]["fingerprint"]
        _ = manifest["source"]["recording_id"], manifest["source"]["host"], manifest["facts"]
    except FileNotFoundError:
        raise _none(root) from None
    except PermissionError:
        raise not_readable(root) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"the manifest is cut or damaged ({error})", where=str(path), do="restore it from a copy of the recording"
        ) from error
    if major != MAJOR:
        raise IncompatibleError(
            f"the recording has format {major}.{minor}; this version reads {MAJOR}.x", where=str(path),
            do="use a version of kestrel-lab that reads it",
        )  # fmt: skip
    base = manifest["schema"].get("base", found)
    if base != BUILTIN.fingerprint and base not in FORMER:
        raise IncompatibleError(
            f"the recording has schema {base}; this version has {BUILTIN.fingerprint}", where=str(path),
            do="use the version that recorded it; no up-converter is declared between the two",
        )  # fmt: skip
    return dict(manifest)


def source_info(root: Path, manifest: Mapping[str, Any]) -> SourceInfo:
    """Return the info of the source that was recorded; the schema of an imported one is in its lock.

    Raises:
        DamagedError: if the lock is needed, and missing or not what the manifest names.
    """
    source = manifest["source"]
    return SourceInfo(
        recording_id=source["recording_id"],
        host=source["host"],
        schema=_schema(root, manifest["schema"]),
        boot_id=source.get("boot_id", ""),
        extra=source.get("extra", {}),
    )


def _schema(root: Path, section: Mapping[str, Any]) -> Schema:
    if section["fingerprint"] == BUILTIN.fingerprint:
        return BUILTIN
    path = root / section.get("file", SCHEMA)
    try:
        schema = Schema.from_lock(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad_lock(path, "missing or damaged") from error
    if schema.fingerprint != section["fingerprint"]:
        raise _bad_lock(path, "not the one that the manifest names")
    return schema


def _bad_lock(path: Path, how: str) -> DamagedError:
    return DamagedError(f"the schema lock is {how}", where=str(path), do="restore it from a copy of the recording")


def not_readable(path: Path) -> PermissionMissingError:
    """Return the error for a recording that this user may not read."""
    return PermissionMissingError(
        "you may not read this recording", where=str(path), do="read it as the user who recorded it, often root"
    )


def _none(root: Path) -> KestrelError:
    if (root / JOURNAL).exists():
        return DamagedError("the manifest is missing", where=str(root), do="restore it from a copy of the recording")
    what = "is no recording: it has no manifest" if root.exists() else "does not exist"
    return UsageError(f"{root} {what}", do="give the NAME.krec folder or the packed NAME.krec.tar.zst")
