"""Recording: capture first, commit next, and an engine beside it that never holds either up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from kestrel_lab.recording import AlertLog, RecordingWriter
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.epoch import Epoch, Ledger
from kestrel_lab.schema.errors import KestrelError, LimitError
from kestrel_lab.session.capturing import Capturing
from kestrel_lab.session.command import Command
from kestrel_lab.session.engine_process import EngineProcess, NewPack
from kestrel_lab.session.lag import boot_clock_ns
from kestrel_lab.session.live import LiveReport
from kestrel_lab.session.record_report import Capture, RecordOptions, RecordProgress, RecordReport
from kestrel_lab.session.ring import Ring
from kestrel_lab.session.signals import Stop

_POLL_S = 0.05
_PROGRESS_S = 0.25
_LOOK_NS = 1_000_000_000


def _note_death(recording: Path, error: KestrelError) -> None:
    """Write into the alert log why the engine stopped, since it could not."""
    try:
        AlertLog(recording).stopped(error.what)
    except KestrelError:
        return  # the disk is full, or an orphan of the engine still holds the log: where it stopped stands there anyway


class Recorder:
    """The state of one recording."""

    def __init__(
        self,
        source: Capture,
        writer: RecordingWriter,
        engine: EngineProcess | None,
        on_progress: Callable[[RecordProgress], None] | None,
        stop: Stop,
    ) -> None:
        self.source, self.writer, self.engine = source, writer, engine
        self.capturing = Capturing(source, writer)
        self.on_progress, self.stop = on_progress, stop
        self.events = self.epochs = self.lost = 0
        self.failure: KestrelError | None = None
        self.captured: frozenset[int] | None = None  # actions, None for all
        self.only_needed = False
        self.ring: Ring | None = None
        self.figures = False
        self.look_every_ns, self.look_ns = _LOOK_NS, 0  # for what need not be kept
        self.kept = 0  # how many calls to keep were heard
        self.on_notice: Callable[[str], None] = lambda _: None
        self.next_event_id = 0
        self.edited: SimpleQueue[NewPack] = SimpleQueue()
        self.began = time.monotonic()
        self.shown = (self.began, 0)

    def run(self, options: RecordOptions) -> RecordReport:
        """Capture until something says stop; seal; let the engine finish."""
        if self.engine:
            self.engine.start(self.writer.path, self.offer_pack, self.on_notice)
        command = None
        try:
            command = Command(options.command) if options.command else None
            self._capture(options.duration_s, command)
        finally:
            exit_code = command.end() if command else None
            ledger, head = self._seal()
        seconds = time.monotonic() - self.began
        live = self._finish_engine(options.tail_s)
        return RecordReport(
            path=self.writer.path,
            head=head,
            ledger=ledger,
            events=self.events,
            epochs=self.epochs,
            bytes=self.writer.bytes_written,
            seconds=seconds,
            alerts=self.engine.alerts if self.engine else 0,
            digest=live.digest if live else "",
            skips=live.skips if live else (),
            engine=live,
            engine_error=self.engine.error if self.engine else None,
            failure=self.failure,
            command_exit=exit_code,
            interrupted=self.stop.signal is not None,
            expired=self.ring.gone if self.ring else 0,
        )

    def offer_pack(self, pack: NewPack) -> None:
        """Take edited rules, on the engine's thread: store them here, so that capture has only to name them."""
        try:
            self.writer.store_pack(pack.hash, pack.files)
        except KestrelError as error:
            self.on_notice(f"the edited rules cannot be stored, the others go on: {error.render()}")
            return
        self.edited.put(pack)

    def use_pack(self, pack: NewPack) -> None:
        """Let a pack run from the next epoch on; what it needs is captured, if only that is."""
        if self.only_needed and pack.actions != self.captured:
            self.captured = pack.actions
            self.capturing.change(pack.actions, self.next_event_id)
        use = PackUse(self.next_event_id, pack.hash, tuple(sorted(self.captured or ())))
        self.writer.add_pack(use, pack.files)

    def _take_edits(self) -> None:
        while not self.edited.empty() and self.failure is None:
            try:
                self.use_pack(self.edited.get())
            except LimitError as error:
                self.failure = error

    def _capture(self, duration_s: float | None, command: Command | None) -> None:
        ends = self.began + duration_s if duration_s is not None else float("inf")
        while not self.stop.requested and self.failure is None and time.monotonic() < ends:
            over = command is not None and command.over
            self._take_edits()
            self._commit(self.source.poll(_POLL_S))
            self._expire()
            self._progress()
            if over or (self.engine and self.engine.reader_error):
                return

    def _commit(self, epochs: Sequence[Epoch]) -> None:
        for epoch in epochs:
            self.lost += sum(max(0, gap.count) for gap in epoch.gaps)
            if self.failure is not None:
                continue
            try:
                self.capturing.committing(epoch)
                self.writer.commit(epoch)
            except LimitError as error:
                self.failure = error
                continue
            if self.ring:
                self.ring.committed(epoch)
            self.events += epoch.rows
            self.epochs += 1
            self.next_event_id = epoch.last_event_id + 1
            if self.engine:
                self.engine.ring()

    def _expire(self) -> None:
        """Remove what need not be kept; hear calls to keep what is there."""
        if self.ring is None or self.failure is not None:
            return
        now = boot_clock_ns()
        if self.stop.keeps == self.kept and now < self.look_ns:
            return
        self.look_ns = now + self.look_every_ns
        if self.stop.keeps != self.kept:
            self.kept = self.stop.keeps
            self.ring.keep_all(now)
            self.on_notice("what is there is kept, and what follows for a while")
        try:
            sealed = self.writer.sealed
            for index, why in self.ring.due(now, sealed, self._seen()) if sealed else ():
                if self.writer.expire(index, why):
                    self.ring.went(index)
        except LimitError as error:
            self.failure = error

    def _seen(self) -> int | None:
        """Return the last epoch that the rules have seen, None if none look."""
        if self.engine is None or not self.engine.running:
            return None
        return self.engine.done

    def _seal(self) -> tuple[Ledger, str]:
        self._commit(self.source.stop())
        found = self.source.ledger()
        ledger = replace(found, written=self.events, lost_user=found.received - self.events)
        head = ""
        try:
            self.writer.add_gaps(self.source.pending_gaps())
        except LimitError as error:
            self.failure = self.failure or error
        try:
            head = self.writer.close(ledger)
        except LimitError as error:
            self.failure = self.failure or error
        if self.engine:
            self.engine.ring()
        return ledger, head

    def _finish_engine(self, tail_s: float) -> LiveReport | None:
        if self.engine is None:
            return None
        ends = time.monotonic() + tail_s
        while not self.engine.join(0.05) and not self.stop.hurry and time.monotonic() < ends:
            self._progress()
        if self.engine.running:
            self.engine.stop()
            self.engine.join(2.0)
        if self.engine.error is not None:
            _note_death(self.writer.path, self.engine.error)
        if self.engine.reader_error:
            raise self.engine.reader_error
        return self.engine.report

    def _progress(self) -> None:
        now, (before, events) = time.monotonic(), self.shown
        if self.on_progress is None or now - before < _PROGRESS_S:
            return
        self.shown = (now, self.events)
        self.on_progress(
            RecordProgress(
                seconds=now - self.began,
                events=self.events,
                events_per_s=(self.events - events) / (now - before),
                lost=self.lost,
                alerts=self.engine.alerts if self.engine else 0,
                bytes=self.writer.bytes_written,
                engine_error=self.engine.error if self.engine else None,
                written=self.events,
                sources=self.source.ledger_by_source() if self.figures else {},
                hooks=self.source.hooks() if self.figures else {},
                expired=self.ring.gone if self.ring else 0,
                epochs_behind=None if (seen := self._seen()) is None else self.epochs - 1 - seen,
            )
        )
