"""Events in memory as a source of epochs, with a schema of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kestrel_lab.schema.epoch import End, Epoch, SourceInfo
from kestrel_lab.schema.flat.convert import text_of
from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.flat.flatten import Cell
from kestrel_lab.schema.flat.infer import Inference
from kestrel_lab.schema.flat.layout import FlatEvent, Layout
from kestrel_lab.schema.flat.rows import EPOCH_ROWS, EpochBuilder


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that was left out: how many came before it, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class FlatSource:
    """Epochs in memory. Satisfies `EpochSource`; can be pickled.

    Attributes:
        rejected: events that were left out.
    """

    stored: Sequence[Epoch]
    info: SourceInfo
    rejected: Sequence[Rejected] = ()
    end: End = "sealed"

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        """Yield epochs from number `start` on, in order."""
        yield from self.stored[start:]


def source_of(
    events: Iterable[Mapping[str, Any]], layout: Layout | None = None, *, epoch_rows: int = EPOCH_ROWS
) -> FlatSource:
    """Return a source of events given as JSON objects, in the order of (time, tiebreaker, as given).

    Args:
        layout: which fields say what an event is and when it happened.
        epoch_rows: events of an epoch.

    Raises:
        LimitError: if they have too many categories or fields.
    """
    layout = layout or Layout()
    inference, kept, rejected = Inference(), list[FlatEvent](), list[Rejected]()
    for number, event in enumerate(events):
        try:
            kept.append(layout.read(event, number))
        except RejectedError as error:
            rejected.append(Rejected(number, str(error)))
            continue
        inference.see(kept[-1])
    schema = inference.schema()
    builder, epochs = EpochBuilder(schema, epoch_rows), list[Epoch]()
    for place in order([e.time_ns for e in kept], [e.tie for e in kept]):
        builder.add(kept[place])
        if builder.full:
            epochs.append(builder.epoch())
    epochs += builder.rest()
    return FlatSource(epochs, SourceInfo(recording_id=schema.fingerprint, host={}, schema=schema), rejected)


_I64 = 1 << 63


def order(times: Sequence[int], ties: Sequence[Cell]) -> Sequence[int]:
    """Return the places of events in the order of (time, tiebreaker, place): numbers first, then text, then none.

    Args:
        ties: one for each event, or none at all.
    """
    places: list[int]
    if all(tie is None for tie in ties):
        places = np.argsort(np.array(times, "i8"), kind="stable").tolist()
        return places
    if all(type(tie) is int and -_I64 <= tie < _I64 for tie in ties):
        places = np.lexsort((np.array(ties, "i8"), np.array(times, "i8"))).tolist()
        return places
    keys = [(time, *_rank(tie)) for time, tie in zip(times, ties, strict=True)]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _rank(tie: Cell) -> tuple[int, Any]:
    if isinstance(tie, (int, float)):
        return 0, tie
    if tie is None:
        return 2, 0
    return 1, str(text_of(tie[0] if isinstance(tie, list) else tie))
