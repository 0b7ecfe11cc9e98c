"""Names, version numbers and hashes of the format; see docs/recording-format.md."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

FORMAT = "kestrel-recording"
MAJOR = 1
MINOR = 1

SUFFIX = ".krec"
PACKED_SUFFIX = ".krec.tar.zst"

MANIFEST = "manifest.json"
LOCK = "lock"
RESERVE = "reserve"
SCHEMA = "schema.json"
JOURNAL = "journal"
PACKS = "packs"
CONTENTS = "contents"
OPEN = "open"
SEGMENTS = "segments"
LIVE = "live"
SEAL = "seal.json"
PARTIAL = ".partial"

ENTITY = "entity"
STRINGS = "strings"

#: hash of the bytes one epoch appended, of a record batch, of a journal line
SHORT = 16
#: hash of a seal, of a manifest section, of a pack's file; and the head
LONG = 32


def short_hash(data: bytes | memoryview) -> str:
    """Return blake2b-128 of some bytes, hex."""
    return blake2b(data, digest_size=SHORT).hexdigest()


def long_hash(data: bytes | memoryview) -> str:
    """Return blake2b-256 of some bytes, hex."""
    return blake2b(data, digest_size=LONG).hexdigest()


def open_folder(root: Path, segment: int) -> Path:
    """Return the folder of a segment's streams while it is open."""
    return root / OPEN / f"{segment:06d}"


def sealed_folder(root: Path, segment: int) -> Path:
    """Return the folder of a sealed segment."""
    return root / SEGMENTS / f"{segment:06d}"
