"""Opening a recording as a source that a whole run can be driven over, in this process or in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from kestrel_lab.recording import Damage, Recording, follow, open_recording
from kestrel_lab.schema.epoch import End, Epoch, EpochSource, SourceInfo

#: How often a worker looks for an epoch that its parent has already seen committed, seconds.
_LOOK_S = 0.002


class PassingDamage:
    """A recording as a source that passes over what cannot be read; `damage` says what that was."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @property
    def info(self) -> SourceInfo:
        """What is true of the whole recording."""
        return self.recording.info

    @property
    def end(self) -> End:
        """How the recording ends."""
        return self.recording.end

    @property
    def damage(self) -> Sequence[Damage]:
        """The ranges passed over so far."""
        return self.recording.damage

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        """Yield the readable epochs from number `start` on."""
        return self.recording.epochs(start, on_damage="skip")


def opener(source: EpochSource) -> Callable[[], EpochSource]:
    """Return a picklable function that opens the same source in another process.

    A recording is opened by its folder, or where it was unpacked to; any other source travels itself, so it must be
    picklable.
    """
    if isinstance(source, PassingDamage):
        return partial(open_path, source.recording.root)
    return partial(_same, source)


def as_source(source: EpochSource) -> EpochSource:
    """Return the source to drive an engine over: a recording is taken past its damage, any other as it is."""
    return PassingDamage(source) if isinstance(source, Recording) else source


def segment_hashes(source: EpochSource) -> list[str]:
    """Return the hashes that say which events a source holds: its journal's head, or its identity."""
    if isinstance(source, PassingDamage):
        return [source.info.recording_id, source.recording.head]
    return [source.info.recording_id]


def open_path(path: Path) -> PassingDamage:
    """Open a recording to be replayed, damaged or not."""
    return PassingDamage(open_recording(path))


def follow_path(path: Path) -> EpochSource:
    """Open a growing recording in a worker, which asks only for epochs that are committed or about to be seen."""
    return follow(path, wait=_look_again)


def _look_again(seconds: float) -> bool:
    time.sleep(min(seconds, _LOOK_S))
    return True


def _same(source: EpochSource) -> EpochSource:
    return source
