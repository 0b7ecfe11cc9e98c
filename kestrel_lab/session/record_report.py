"""What a recorder takes and gives back: the source it needs, its options, its progress, its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kestrel_lab.engine import Limits
from kestrel_lab.schema.alert import Mode, Skip
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.errors import KestrelError
from kestrel_lab.session.engine_process import LiveOptions
from kestrel_lab.session.live import LiveReport
from kestrel_lab.session.ring import Keeping

#: How long a finished recording waits for its engine to reach the end, seconds.
TAIL_S = 60.0


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

    @property
    def captured(self) -> frozenset[int]:
        """Codes of the actions that are captured now."""
        ...

    @property
    def filters(self) -> tuple[str, ...]:
        """What is left out of them all the same, in words."""
        ...

    def set_actions(self, actions: frozenset[int] | None) -> None:
        """Capture these actions from now on, None for all."""
        ...

    def poll(self, timeout_s: float) -> list[Epoch]:
        """Return the epochs that have closed, waiting up to `timeout_s` seconds for events."""
        ...

    def keep_contents(self, keeper: Any) -> None:
        """Let what is executed be kept where `begin` of the keeper tells (`RecordingWriter`)."""
        ...

    def stop(self) -> list[Epoch]:
        """Detach, drain, and return the last epochs."""
        ...

    def ledger(self) -> Ledger:
        """Return the counts, `written` and `lost_user` left 0."""
        ...

    def ledger_by_source(self) -> Mapping[str, Ledger]:
        """Return the counts of each source of events."""
        ...

    def hooks(self) -> Mapping[str, bool]:
        """Return whether each hook that was asked for is attached."""
        ...

    def pending_gaps(self) -> Sequence[Gap]:
        """Return gaps found after the last epoch."""
        ...


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """A moment of a recording, for a status line. Rates are over the time since the one before.

    Attributes:
        written: events that are committed.
        sources: the ledger of each source of events so far; with `hooks` only if figures were asked for.
        hooks: whether each hook is attached.
        expired: segments removed to keep it small.
        epochs_behind: how many committed epochs the rules have not seen, None if none look.
    """

    seconds: float
    events: int
    events_per_s: float
    lost: int
    alerts: int
    bytes: int
    engine_error: KestrelError | None = None
    written: int = 0
    sources: Mapping[str, Ledger] = field(default_factory=dict)
    hooks: Mapping[str, bool] = field(default_factory=dict)
    expired: int = 0
    epochs_behind: int | None = None


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What a recording became.

    Attributes:
        head: hash over the whole recording; empty if the disk was too full to end it.
        alerts, digest, skips: what the live engine raised and passed over; digest is empty without a finished engine.
        engine: its whole report, None if there was none or it did not finish; `engine_error` says why.
        failure: why recording ended early (a full disk), None if it did not.
        command_exit: exit code of the command recorded, negative for a signal; None without a command.
        expired: how many segments were removed to keep it small.
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
    expired: int = 0


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """How to record.

    Attributes:
        command: record until this command ends; it runs with the caller's environment, folder and terminal.
        duration_s: record so long.
        mode, limits, live: how the engine beside it runs.
        collect: keep the contents of executed files.
        keeping: how much of it is kept.
        figures: whether each progress tells of every source and hook too: to ask the kernel takes a moment.
        only_needed: capture what the pack that runs looks at, also after it has changed.
        tail_s: how long to wait for the engine after the recording is sealed.
    """

    command: Sequence[str] = ()
    duration_s: float | None = None
    mode: Mode = "live"
    limits: Limits = field(default_factory=Limits)
    live: LiveOptions = field(default_factory=LiveOptions)
    tail_s: float = TAIL_S
    collect: bool = False
    only_needed: bool = False
    keeping: Keeping = field(default_factory=Keeping)
    figures: bool = False
