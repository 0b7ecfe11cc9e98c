"""What a live source is asked to capture, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kestrel_lab.capture.filters import Filters
from kestrel_lab.capture.records import RINGS
from kestrel_lab.schema.epoch import MAX_BYTES, MAX_ROWS
from kestrel_lab.schema.errors import UsageError


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """Settings of a `LiveSource`.

    Attributes:
        actions: action codes to capture; None for all. fork, exec and end always are.
        reads: whether opens for reading are captured too (`open_read`); they are most of what a machine does.
        hashes: whether what is executed is read and hashed.
        env: whether the environment of what is run is captured; secrets often stand there.
        cgroup: a cgroup v2 folder; only what happens in it or below is captured, the rest is not even counted.
        filters: what the kernel's programs leave out; never forks, execs and ends.
        ring_pages: sizes of rings in pages (powers of two), by name, where they differ from the defaults.
        epoch_ns, epoch_rows, epoch_bytes: an epoch closes this long after its first event, or at so many rows or
            bytes of columns.
        segment_rows, segment_strings, segment_bytes, segment_entities: a segment is closed at any of these: rows,
            distinct strings, their bytes, process images.
        segment_ns: and once its first event is so old, None for any age.
        start_state: whether the processes that already run are read at the start.
    """

    actions: frozenset[int] | None = None
    reads: bool = False
    hashes: bool = True
    env: bool = False
    cgroup: Path | None = None
    filters: Filters = field(default_factory=Filters)
    ring_pages: Mapping[str, int] = field(default_factory=dict)
    epoch_ns: int = 50_000_000
    epoch_rows: int = MAX_ROWS
    epoch_bytes: int = MAX_BYTES
    segment_rows: int = 1_000_000
    segment_strings: int = 200_000
    segment_bytes: int = 32 << 20
    segment_entities: int = 100_000
    segment_ns: int | None = None
    start_state: bool = True

    def __post_init__(self) -> None:
        """Check the ring sizes.

        Raises:
            UsageError: for a ring that does not exist, or a size that is no power of two.
        """
        for name, pages in self.ring_pages.items():
            if name not in RINGS:
                raise UsageError(f"there is no ring {name!r}", do="the rings are " + ", ".join(RINGS))
            if pages < 1 or pages & (pages - 1):
                raise UsageError(f"ring {name} cannot have {pages} pages", do="give it a power of two")
