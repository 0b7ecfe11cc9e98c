"""The recorder's second thread: seals closed segments in order and makes the journal durable about once a second."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kestrel_lab.recording.journal import JournalWriter
from kestrel_lab.recording.layout import sealed_folder
from kestrel_lab.recording.opened import OpenSegment
from kestrel_lab.recording.records import SealRecord
from kestrel_lab.recording.seal import Sealing, seal_segment
from kestrel_lab.schema.errors import LimitError

_SYNC_SECONDS = 1.0


class Sealer:
    """Takes segments that got their last epoch. A segment that cannot be sealed stays in its streams, still valid."""

    def __init__(self, root: Path, journal: JournalWriter, on_seal: Callable[[SealRecord], None]) -> None:
        self._root, self._journal, self._on_seal = root, journal, on_seal
        self.failed: list[tuple[OpenSegment, str]] = []
        self.previous = ""  #: hash of the last seal
        self.open_bytes = 0  #: bytes of streams that wait
        self._queue: deque[OpenSegment] = deque()
        self._wake = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="kestrel-sealer", daemon=True)
        self._thread.start()

    def submit(self, segment: OpenSegment) -> None:
        """Seal a segment when those before it are done; returns at once."""
        with self._wake:
            self.open_bytes += segment.size
            self._queue.append(segment)
            self._wake.notify()

    def finish(self) -> None:
        """Seal what waits and end the thread."""
        with self._wake:
            self._stop = True
            self._wake.notify()
        self._thread.join()

    def retry(self) -> None:
        """Try the failed segments again, in this thread, once there is more space."""
        failed, self.failed = self.failed, []
        for segment, _ in failed:
            self._seal(segment)

    def _run(self) -> None:
        synced = 0
        while True:
            with self._wake:
                if not self._queue and not self._stop:
                    self._wake.wait(_SYNC_SECONDS)
                segment = self._queue.popleft() if self._queue else None
                if segment is None and self._stop:
                    return
            if segment is not None:
                self._seal(segment)
            elif self._journal.length != synced:
                synced = self._journal.length
                # A disk that fails here fails again at the next seal or at close, where somebody is told.
                with suppress(LimitError, OSError):
                    self._journal.sync()

    def _seal(self, segment: OpenSegment) -> None:
        segment.close()
        work = Sealing(self._root, segment.schema, segment.index, segment.records, segment.held)
        try:
            record = seal_segment(work, self.previous, self._journal.state())
            self._commit(record)
        except Exception as error:  # whatever it is, the streams are whole and recording goes on
            self.failed.append((segment, str(error)))
            return
        self.previous = record.hash
        # Only now do the streams count for nothing.
        shutil.rmtree(segment.folder, ignore_errors=True)
        with self._wake:
            self.open_bytes -= segment.size
        self._on_seal(record)

    def _commit(self, record: SealRecord) -> None:
        try:
            self._journal.append(record.to_json())
            self._journal.sync()
        except LimitError:
            shutil.rmtree(sealed_folder(self._root, record.segment), ignore_errors=True)
            raise
