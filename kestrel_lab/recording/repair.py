"""A readable copy of a damaged or cut recording."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from kestrel_lab.recording.contents import copy_contents
from kestrel_lab.recording.damage import Damage
from kestrel_lab.recording.layout import LIVE, LOCK
from kestrel_lab.recording.manifest import own_keys
from kestrel_lab.recording.opening import open_recording
from kestrel_lab.recording.reader import Recording
from kestrel_lab.recording.writer import RecordingWriter
from kestrel_lab.schema.epoch import Epoch, Gap
from kestrel_lab.schema.errors import DamagedError, UsageError


def repair(src: Path, dst: Path) -> list[Damage]:
    """Copy what can be read of a recording into the new folder `dst`; never touches `src`.

    Epoch numbers and event_ids stay; what is lost becomes rows of the gap map with cause `damaged`. A recording that
    was cut stays one that was cut.

    Returns:
        What could not be copied.

    Raises:
        UsageError: if `dst` exists, or the recording is still growing.
        DamagedError: if nothing can be read.
        LimitError: when the disk is full.
    """
    recording = open_recording(src)
    try:
        if recording.end == "growing":
            raise UsageError("the recording is still growing", where=str(src), do="stop the recorder first")
        return _copy(recording, dst)
    finally:
        recording.close()


def _copy(recording: Recording, dst: Path) -> list[Damage]:
    keep = {k: v for k, v in recording.manifest.items() if k not in own_keys()}
    keep["repaired"] = {"head": recording.head, "end": recording.end}
    writer = RecordingWriter(dst, recording.info, recording.manifest["facts"], keep=keep)
    lost = [*_copy_packs(recording, writer), *copy_contents(recording, writer)]
    for use in recording.captures:
        writer.add_capture(use)
    copier = _Copier(recording, writer)
    for epoch in recording.epochs(on_damage="skip"):
        copier.commit(epoch)
    copier.finish()
    writer.add_gaps(recording.journal.loose_gaps)
    live = recording.root / LIVE
    if live.is_dir():
        shutil.copytree(live, dst / LIVE, ignore=shutil.ignore_patterns(LOCK))
    writer.close(recording.ledger, end="sealed" if recording.end == "sealed" else "cut")
    return [*recording.damage, *lost]


def _copy_packs(recording: Recording, writer: RecordingWriter) -> list[Damage]:
    lost = []
    for pack in recording.journal.packs:
        try:
            writer.add_pack(pack.use, recording.pack_files(pack))
        except DamagedError as error:
            lost.append(Damage(-1, -1, -1, (), error.what))
    return lost


class _Copier:
    """Commits epochs, and says what is missing between them."""

    def __init__(self, recording: Recording, writer: RecordingWriter) -> None:
        self._recording, self._writer = recording, writer
        first = recording.index[0] if recording.index else None
        self._next = (0, first.first_event_id if first and first.number == 0 else None)
        self._ts = 0

    def commit(self, epoch: Epoch) -> None:
        self._missing(epoch.number, epoch.first_event_id, epoch.ts_min_ns)
        own = tuple(gap for gap in epoch.gaps if gap.cause != "expired")  # the copy's journal says it again
        self._writer.commit(replace(epoch, gaps=own))
        self._next = epoch.number + 1, epoch.last_event_id + 1
        self._ts = epoch.ts_max_ns

    def finish(self) -> None:
        """Say what is missing after the last epoch that could be read."""
        ends = [(r.number + 1, r.last_event_id + 1, r.ts_max_ns) for r in self._recording.index[-1:]]
        ends += [(d.epochs[-1] + 1, d.last_event_id + 1, self._ts) for d in self._recording.damage if d.epochs]
        if ends:
            self._missing(*max(ends))

    def _missing(self, number: int, event_id: int, ts_ns: int) -> None:
        first, first_id = self._next
        if number <= first:
            return
        gone = [one for one in self._recording.expired if first <= one.first_epoch < number]
        for one in gone:
            self._writer.note_expired(one)
        if sum(one.last_epoch - one.first_epoch + 1 for one in gone) == number - first:
            return
        count = -1 if first_id is None else event_id - first_id
        self._writer.note_missing((first, number - 1), (event_id if first_id is None else first_id, event_id - 1),
                                  "damaged in the recording this is a copy of")  # fmt: skip
        self._writer.add_gaps([Gap("damaged", "recording", -1, count, event_id, self._ts, max(self._ts, ts_ns))])
        for record in self._recording.index:
            if first <= record.number < number:
                self._writer.add_gaps(record.gaps)
