"""Recording a live source: what is started for it, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kestrel_lab.engine import Limits, Pack, engine_build
from kestrel_lab.recording import RecordingWriter
from kestrel_lab.schema.alert import Alert, Mode
from kestrel_lab.session.command import require_command
from kestrel_lab.session.drive import EngineSpec
from kestrel_lab.session.engine_process import EngineProcess, LiveOptions, NewPack
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S
from kestrel_lab.session.record_report import Capture, RecordOptions, RecordProgress, RecordReport
from kestrel_lab.session.recorder import Recorder
from kestrel_lab.session.ring import Keeping, Ring
from kestrel_lab.session.signals import Stop, stop_on_signals
from kestrel_lab.session.watch import RulePaths

if TYPE_CHECKING:
    from kestrel_lab.capture import CaptureConfig

_POLL_S = 0.02
_PROGRESS_S = 0.25


def record(
    config: CaptureConfig,
    out: Path,
    pack: Pack | None,
    *,
    command: Sequence[str] = (),
    duration: float | None = None,
    only_needed: bool = False,
    collect: bool = False,
    keeping: Keeping | None = None,
    figures: bool = False,
    workers: int = 1,
    max_lag_s: float = DEFAULT_MAX_LAG_S,
    mode: Mode = "live",
    limits: Limits | None = None,
    delay_per_epoch_s: float = 0.0,
    watch: RulePaths | None = None,
    on_alert: Callable[[Alert], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
    on_progress: Callable[[RecordProgress], None] | None = None,
    stop: Stop | None = None,
) -> RecordReport:
    """Record the live kernel until Ctrl-C, the duration, or the command's end.

    Args:
        out: the recording to make; it must not exist.
        pack: the rules to run beside it, None for none.
        duration: seconds.
        only_needed: capture only event types that some rule of the pack could match.
        collect: keep the contents of executed files in the recording.
        keeping: how much of it to keep; None for all.
        figures: tell of every source and hook in each progress.
        max_lag_s: an engine further behind than this skips; see `run_live`.
        watch: where the pack was read from: an edit there takes over at an epoch's boundary.
        on_alert, on_notice: called on a thread of their own; a notice says that other rules run, or that an edit is
            wrong.
        on_progress: called a few times a second.

    Raises:
        UnavailableError, PermissionMissingError: if the kernel cannot be observed.
        UsageError: if `out` exists or is being written.
    """
    from kestrel_lab.capture import LiveSource, require

    require()  # before the engine's process is started for nothing
    if keeping is not None and keeping.seconds is not None:
        config = replace(config, segment_ns=int(min(max(keeping.seconds / 10, 5), 300) * 1e9))
    if only_needed and pack is not None:
        config = replace(config, actions=pack.actions())
    options = RecordOptions(
        command,
        duration,
        mode,
        limits or Limits(),
        LiveOptions(workers, max_lag_s, delay_per_epoch_s, watch),
        collect=collect,
        only_needed=only_needed,
        keeping=keeping or Keeping(),
        figures=figures,
    )
    return record_from(LiveSource(config), out, pack, options, on_alert, on_progress, stop, config.actions, on_notice)


def record_from(
    capture: AbstractContextManager[Capture],
    out: Path,
    pack: Pack | None,
    options: RecordOptions,
    on_alert: Callable[[Alert], None] | None = None,
    on_progress: Callable[[RecordProgress], None] | None = None,
    stop: Stop | None = None,
    actions: frozenset[int] | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> RecordReport:
    """Record any live source; `record` does it with the kernel. `actions` is the capture filter, for the schedule."""
    require_command(options.command)
    stop = stop or Stop()
    ring = None if options.keeping.all else Ring(options.keeping)
    engine = None
    if pack is not None:
        engine = EngineProcess(EngineSpec.of(pack, options.mode, options.limits), options.live, _both(ring, on_alert))
    try:
        with stop_on_signals(stop), capture as source:
            facts = {**source.facts, "engine": _engine_facts(options)}
            writer = RecordingWriter(out, source.info, facts)
            if options.collect:
                source.keep_contents(writer)
            recorder = Recorder(source, writer, engine, on_progress, stop)
            recorder.captured, recorder.only_needed = actions, options.only_needed
            recorder.figures = options.figures
            recorder.on_notice, recorder.ring = on_notice or recorder.on_notice, ring
            recorder.capturing.begin()
            if pack is not None:
                recorder.use_pack(NewPack(pack.hash, pack.files, pack.actions()))
            return recorder.run(options)
    finally:
        if engine is not None:
            engine.close()


def _both(ring: Ring | None, on_alert: Callable[[Alert], None] | None) -> Callable[[Alert], None] | None:
    """Return what is called for an alert."""
    if ring is None:
        return on_alert

    def told(alert: Alert) -> None:
        ring.alert(alert)
        if on_alert is not None:
            on_alert(alert)

    return told


def _engine_facts(options: RecordOptions) -> dict[str, Any]:
    return {
        "build": engine_build(),
        "mode": options.mode,
        "limits": asdict(options.limits),
        "workers": options.live.workers,
        "max_lag_s": options.live.max_lag_s,
    }
