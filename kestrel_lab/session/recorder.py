"""Recording: capture first, commit next, and an engine beside it that never holds either up."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kestrel_lab.engine import Limits, Pack, engine_build
from kestrel_lab.recording import AlertLog, RecordingWriter
from kestrel_lab.schema.alert import Alert, Mode, PackUse, Skip
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.errors import KestrelError, LimitError, UsageError
from kestrel_lab.session.drive import EngineSpec
from kestrel_lab.session.engine_process import EngineProcess, LiveOptions
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S
from kestrel_lab.session.live import LiveReport
from kestrel_lab.session.signals import Stop, stop_on_signals

if TYPE_CHECKING:
    from kestrel_lab.capture import CaptureConfig

_POLL_S = 0.02
_PROGRESS_S = 0.25
#: How long a finished recording waits for its engine to reach the end.
TAIL_S = 60.0
#: How long a command may take to end once asked to.
_COMMAND_GRACE_S = 5.0


class Capture(Protocol):
    """What a recorder needs of a live source: `capture.LiveSource`, or a test's."""

    @property
    def info(self) -> SourceInfo:
        """What is true of the whole source."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest says of kernel and probes."""
        ...

    def poll(self, timeout_s: float) -> list[Epoch]:
        """Return the epochs that have closed, waiting up to `timeout_s` seconds for events."""
        ...

    def stop(self) -> list[Epoch]:
        """Detach, drain, and return the last epochs."""
        ...

    def ledger(self) -> Ledger:
        """Return the counts, `written` and `lost_user` left 0."""
        ...

    def pending_gaps(self) -> Sequence[Gap]:
        """Return gaps found after the last epoch."""
        ...


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """A moment of a recording, for a status line. Rates are over the time since the one before."""

    seconds: float
    events: int
    events_per_s: float
    lost: int
    alerts: int
    bytes: int
    engine_error: KestrelError | None = None


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What a recording became.

    Attributes:
        head: hash over the whole recording; empty if the disk was too full to end it.
        alerts, digest, skips: what the live engine raised and passed over; digest is empty without a finished engine.
        engine: its whole report, None if there was none or it did not finish; `engine_error` says why.
        failure: why recording ended early (a full disk), None if it did not.
        command_exit: exit code of the command recorded, negative for a signal; None without a command.
        interrupted: whether Ctrl-C or SIGTERM ended it.
    """

    path: Path
    head: str
    ledger: Ledger
    events: int
    epochs: int
    bytes: int
    seconds: float
    alerts: int = 0
    digest: str = ""
    skips: Sequence[Skip] = ()
    engine: LiveReport | None = None
    engine_error: KestrelError | None = None
    failure: KestrelError | None = None
    command_exit: int | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """How to record.

    Attributes:
        command: record until this command ends; it runs with the caller's environment, folder and terminal.
        duration_s: record so long.
        mode, limits, live: how the engine beside it runs.
        tail_s: how long to wait for the engine after the recording is sealed.
    """

    command: Sequence[str] = ()
    duration_s: float | None = None
    mode: Mode = "live"
    limits: Limits = field(default_factory=Limits)
    live: LiveOptions = field(default_factory=LiveOptions)
    tail_s: float = TAIL_S


def record(
    config: CaptureConfig,
    out: Path,
    pack: Pack | None,
    *,
    command: Sequence[str] = (),
    duration: float | None = None,
    only_needed: bool = False,
    workers: int = 1,
    max_lag_s: float = DEFAULT_MAX_LAG_S,
    mode: Mode = "live",
    limits: Limits | None = None,
    delay_per_epoch_s: float = 0.0,
    on_alert: Callable[[Alert], None] | None = None,
    on_progress: Callable[[RecordProgress], None] | None = None,
    stop: Stop | None = None,
) -> RecordReport:
    """Record the live kernel until Ctrl-C, the duration, or the command's end.

    Args:
        out: the recording to make; it must not exist.
        pack: the rules to run beside it, None for none.
        duration: seconds.
        only_needed: capture only event types that some rule of the pack could match.
        max_lag_s: an engine further behind than this skips; see `run_live`.
        on_alert: called on a thread of its own.
        on_progress: called a few times a second.

    Raises:
        UnavailableError, PermissionMissingError: if the kernel cannot be observed.
        UsageError: if `out` exists or is being written.
    """
    from kestrel_lab.capture import LiveSource

    if only_needed and pack is not None:
        config = replace(config, actions=pack.actions())
    options = RecordOptions(
        command, duration, mode, limits or Limits(), LiveOptions(workers, max_lag_s, delay_per_epoch_s)
    )
    return record_from(LiveSource(config), out, pack, options, on_alert, on_progress, stop, config.actions)


def record_from(
    capture: AbstractContextManager[Capture],
    out: Path,
    pack: Pack | None,
    options: RecordOptions,
    on_alert: Callable[[Alert], None] | None = None,
    on_progress: Callable[[RecordProgress], None] | None = None,
    stop: Stop | None = None,
    actions: frozenset[int] | None = None,
) -> RecordReport:
    """Record any live source; `record` does it with the kernel. `actions` is the capture filter, for the schedule."""
    if options.command and shutil.which(options.command[0]) is None:
        raise UsageError(f"there is no command {options.command[0]!r}", do="Give one that is on the PATH.")
    stop = stop or Stop()
    engine = None
    if pack is not None:
        engine = EngineProcess(EngineSpec.of(pack, options.mode, options.limits), options.live, on_alert)
    try:
        with stop_on_signals(stop), capture as source:
            facts = {**source.facts, "engine": _engine_facts(options)}
            recorder = _Recorder(source, RecordingWriter(out, source.info, facts), engine, on_progress, stop)
            if pack is not None:
                recorder.writer.add_pack(PackUse(0, pack.hash, tuple(sorted(actions or ()))), pack.files)
            return recorder.run(options)
    finally:
        if engine is not None:
            engine.close()


def _engine_facts(options: RecordOptions) -> dict[str, Any]:
    return {
        "build": engine_build(),
        "mode": options.mode,
        "limits": asdict(options.limits),
        "workers": options.live.workers,
        "max_lag_s": options.live.max_lag_s,
    }


def _note_death(recording: Path, error: KestrelError) -> None:
    """Write into the alert log why the engine stopped, since it could not."""
    try:
        AlertLog(recording).stopped(error.what)
    except KestrelError:
        return  # the disk is full, or an orphan of the engine still holds the log: where it stopped stands there anyway


class _Recorder:
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
        self.on_progress, self.stop = on_progress, stop
        self.events = self.epochs = self.lost = 0
        self.failure: KestrelError | None = None
        self.began = time.monotonic()
        self.shown = (self.began, 0)

    def run(self, options: RecordOptions) -> RecordReport:
        """Capture until something says stop; seal; let the engine finish."""
        if self.engine:
            self.engine.start(self.writer.path)
        command = None
        try:
            command = _Command(options.command) if options.command else None
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
        )

    def _capture(self, duration_s: float | None, command: _Command | None) -> None:
        ends = self.began + duration_s if duration_s is not None else float("inf")
        while not self.stop.requested and self.failure is None and time.monotonic() < ends:
            over = command is not None and command.over
            self._commit(self.source.poll(_POLL_S))
            self._progress()
            if over or (self.engine and self.engine.reader_error):
                return

    def _commit(self, epochs: Sequence[Epoch]) -> None:
        for epoch in epochs:
            self.lost += sum(max(0, gap.count) for gap in epoch.gaps)
            if self.failure is not None:
                continue
            try:
                self.writer.commit(epoch)
            except LimitError as error:
                self.failure = error
                continue
            self.events += epoch.rows
            self.epochs += 1
            if self.engine:
                self.engine.ring()

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
            )
        )


class _Command:
    """The command being recorded."""

    def __init__(self, arguments: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(list(arguments))
        except OSError as error:
            raise UsageError(f"cannot run {arguments[0]}: {error.strerror}", do="Give a command that exists.") from None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def end(self) -> int:
        """Ask it to end if it has not, and return its exit code."""
        if not self.over:
            self._process.terminate()
        try:
            return self._process.wait(_COMMAND_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
