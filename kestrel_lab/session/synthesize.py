"""A synthetic recording: made events written by the writer of real ones, marked as made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kestrel_lab.recording import RecordingWriter
from kestrel_lab.schema.epoch import Ledger
from kestrel_lab.schema.errors import LimitError
from kestrel_lab.session.signals import Stop, stop_on_signals

if TYPE_CHECKING:
    from kestrel_lab.synth import SynthOptions

_PROGRESS_S = 0.25

#: Called a few times a second with the events written so far and the bytes on disk.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SynthReport:
    """What was written.

    Attributes:
        events, epochs: how many; fewer than asked for if it was stopped.
        lost: what the planted gaps say is missing.
        bytes: on disk.
        seconds: of wall time.
        failure: why it ended early, other than by a signal.
        interrupted: whether a signal ended it.
    """

    path: Path
    head: str
    ledger: Ledger
    events: int
    epochs: int
    lost: int
    bytes: int
    seconds: float
    failure: LimitError | None
    interrupted: bool


def synthesize(
    options: SynthOptions, out: Path, *, on_progress: OnProgress | None = None, stop: Stop | None = None
) -> SynthReport:
    """Write a synthetic recording, which is sealed; a signal seals what there is.

    Args:
        out: the recording's folder; it must not exist.

    Raises:
        UsageError: if `out` exists or cannot be made.
        LimitError: when the disk is so full that not even what there is can be sealed.
    """
    from kestrel_lab.synth import SyntheticSource

    stop, tell = stop or Stop(), on_progress or (lambda *_: None)
    source = SyntheticSource(options)
    began = shown = time.monotonic()
    events = epochs = lost = 0
    failure: LimitError | None = None
    with stop_on_signals(stop):
        writer = RecordingWriter(out, source.info, source.facts)
        for epoch in source.epochs():
            if stop.requested:
                break
            try:
                writer.commit(epoch)
            except LimitError as error:
                failure = error
                break
            events, epochs = events + epoch.rows, epochs + 1
            lost += sum(gap.count for gap in epoch.gaps)
            if (now := time.monotonic()) - shown >= _PROGRESS_S:
                shown = now
                tell(events, writer.bytes_written)
        ledger = Ledger(seen=events + lost, lost_ring=lost, received=events, written=events)
        head = writer.close(ledger)
    return SynthReport(
        out, head, ledger, events, epochs, lost, writer.bytes_written, time.monotonic() - began, failure,
        stop.signal is not None,
    )  # fmt: skip
