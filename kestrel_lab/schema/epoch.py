"""The epoch: the unit of commit, evaluation and fuel; the segment state it refers to; and the protocol of a source.

A column never holds strings: it holds codes into an append-only dictionary of its segment, and rows refer to
processes by their row in the segment's append-only entity table. An epoch may be used while its segment grows:
whatever an epoch refers to stands within the counts it carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.schema import BUILTIN, Schema

Array = npt.NDArray[Any]

MAX_ROWS = 65_536
MAX_BYTES = 32 << 20


class Strings(Protocol):
    """An append-only dictionary. Code 0 is the missing value; it is never looked up."""

    def __len__(self) -> int:
        """Return the number of codes, the missing one included."""
        ...

    def values(self, start: int, stop: int) -> list[bytes]:
        """Return the strings with codes `start` (1 or more) to `stop`, exclusive."""
        ...


class Rows(Protocol):
    """Columns of one table, in `event_id` order (or of entities, in row order)."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def column(self, name: str) -> Array:
        """Return a physical column as NumPy values (list columns: see `lists`); where null, the value is 0.

        Raises:
            KeyError: if the table has no such column.
        """
        ...

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return which rows have a value, or None if all have. Only for nullable columns; codes and refs use 0."""
        ...

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return (offsets, one more than rows; codes) of a `CODES` column."""
        ...


class Segment(Protocol):
    """What the epochs of one segment share. Append-only."""

    @property
    def index(self) -> int:
        """Position in the recording, from 0."""
        ...

    def strings(self, key: str) -> Strings:
        """Return the dictionary `table:column` (see `Schema.dictionary_keys`)."""
        ...

    @property
    def entities(self) -> Rows:
        """The entity table, row 0 being the unknown entity. May have grown past what an epoch refers to."""
        ...


GapCause = Literal["lost_ring", "lost_user", "recursion", "off", "stopped", "damaged", "expired"]


@dataclass(frozen=True, slots=True)
class Gap:
    """One row of the gap map: `count` events are missing (-1: unknown) between two boot times.

    Attributes:
        cause: which part of the ledger they are counted under.
        source: the name of the ring or probe.
        cpu: the CPU, -1 if not known.
        event_id: the first event_id given after the gap was found.
    """

    cause: GapCause
    source: str
    cpu: int
    count: int
    event_id: int
    ts_from_ns: int
    ts_to_ns: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """`seen = filtered + lost_ring + received`; `received = written + lost_user`; events per source name summed."""

    seen: int = 0
    filtered: int = 0
    lost_ring: int = 0
    received: int = 0
    written: int = 0
    lost_user: int = 0
    recursion: int = 0

    @property
    def closes(self) -> bool:
        """Whether both equations hold."""
        return (
            self.seen == self.filtered + self.lost_ring + self.received
            and self.received == self.written + self.lost_user
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    """A run of events in `event_id` order, split over tables.

    Attributes:
        number: position in the recording, from 0.
        first_event_id, rows: the ids are `first_event_id` to `first_event_id + rows - 1`, over all tables.
        ts_min_ns, ts_max_ns: least and greatest `ts_boot_ns` (ns, CLOCK_BOOTTIME).
        event_time_ns: the running maximum of `ts_boot_ns` over all events before this epoch (0 for none).
        clock_boot_ns, clock_wall_ns: one reading of both clocks; `ts_wall = ts_boot + wall - boot`.
        tables: table name to its rows; tables without rows are absent.
        string_counts: length of each dictionary at the end of this epoch; keys not named have not grown since.
        entity_count: rows of the entity table at the end of this epoch.
        late: whether any row has FLAG_LATE.
        gaps: rows of the gap map found since the epoch before.
    """

    number: int
    segment: Segment
    first_event_id: int
    rows: int
    ts_min_ns: int
    ts_max_ns: int
    event_time_ns: int
    clock_boot_ns: int
    clock_wall_ns: int
    tables: Mapping[str, Rows]
    string_counts: Mapping[str, int]
    entity_count: int
    late: bool = False
    gaps: tuple[Gap, ...] = ()

    @property
    def last_event_id(self) -> int:
        """The greatest event_id of the epoch."""
        return self.first_event_id + self.rows - 1

    @property
    def wall_offset_ns(self) -> int:
        """What to add to a boot time to get wall time, ns."""
        return self.clock_wall_ns - self.clock_boot_ns

    @property
    def event_time_after_ns(self) -> int:
        """Event time after the last event of this epoch."""
        return max(self.event_time_ns, self.ts_max_ns)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is true of a whole source: constants of the host, identities, and the schema of its events.

    `host` feeds the `Constant` fields; its values are text.
    """

    recording_id: str
    host: Mapping[str, str]
    schema: Schema = BUILTIN
    boot_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


End = Literal["sealed", "cut", "growing"]


class EpochSource(Protocol):
    """Where epochs come from: a live kernel, a recording (whole, growing, cut or packed), a test."""

    @property
    def info(self) -> SourceInfo:
        """What is true of the whole source."""
        ...

    @property
    def end(self) -> End:
        """How the source ends, final once `epochs` is exhausted. Only `sealed` resolves open windows."""
        ...

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        """Yield epochs from number `start` on, in order.

        Raises:
            DamagedError: where a stored epoch cannot be read.
        """
        ...
