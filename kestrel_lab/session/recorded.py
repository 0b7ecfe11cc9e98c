"""What a recording says of the engine that ran beside it, and the replay that must give the same alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kestrel_lab.engine import Limits, pack_from_files
from kestrel_lab.recording import Recording
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Skip
from kestrel_lab.schema.epoch import End
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session.lag import coalesce
from kestrel_lab.session.replay import OnAlert, Replay, replay
from kestrel_lab.session.schedule import PackSchedule


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The live engine's run, from the recording alone.

    Attributes:
        schedule: which packs ran, and from which events on.
        skips: ranges it skipped past its lag.
        unreached: the epochs at the end that it never came to, None if it came to the last one.
        end: how the recording ended for it; only `sealed` resolved open windows.
        stopped: why it stopped early, empty if it did not or nobody could say.
        stopped_rules: epochs in which rules ran out of fuel or trapped.
        build: the build of the engine that ran, empty if the manifest does not say.
    """

    schedule: PackSchedule
    limits: Limits
    alerts: Sequence[Alert]
    skips: Sequence[Skip]
    unreached: Skip | None
    end: End
    build: str
    stopped: str = ""
    stopped_rules: Sequence[Exhausted] = ()

    @property
    def passed_over(self) -> list[Skip]:
        """Every range it did not evaluate."""
        return [*self.skips, *([self.unreached] if self.unreached else [])]


def live_run(recording: Recording) -> LiveRun | None:
    """Return what ran live beside a recording, None if no rules did."""
    if not recording.packs:
        return None
    facts: Mapping[str, Any] = recording.manifest["facts"].get("engine", {})
    limits = Limits(**facts.get("limits", {}))
    files = {use.pack_hash: files for use, files in recording.packs}
    packs = {pack_hash: pack_from_files(found, limits, recording.info.schema) for pack_hash, found in files.items()}
    return LiveRun(
        schedule=PackSchedule(tuple(use for use, _ in recording.packs), packs),
        limits=limits,
        alerts=recording.live_alerts,
        skips=coalesce(recording.skips),
        unreached=_unreached(recording),
        end="sealed" if recording.live.ended and recording.end == "sealed" else "growing",
        build=str(facts.get("build", "")),
        stopped=recording.live.stopped,
        stopped_rules=recording.exhausted,
    )


def recorded_rules(recording: Recording) -> PackSchedule:
    """Return the packs that ran live, and when.

    Raises:
        UsageError: if none did.
    """
    run = live_run(recording)
    if run is None:
        raise UsageError(
            "no rules ran during this recording", where=str(recording.path), do="Give rules to replay it with: --rules."
        )
    return run.schedule


def replay_as_live(
    recording: Recording, *, mode: Mode = "deterministic", workers: int = 1, on_alert: OnAlert | None = None
) -> Replay:
    """Replay a recording as the live engine saw it: its packs and when each ran, its limits and skips, and its end.

    The result has exactly the live alerts, or something is wrong.

    Raises:
        UsageError: if no rules ran live.
    """
    run = live_run(recording)
    if run is None:
        recorded_rules(recording)
        raise AssertionError
    return replay_run(recording, run, mode=mode, workers=workers, on_alert=on_alert)


def replay_run(
    recording: Recording, run: LiveRun, *, mode: Mode = "deterministic", workers: int = 1,
    on_alert: OnAlert | None = None,
) -> Replay:  # fmt: skip
    """Replay a live run from its description."""
    return replay(
        recording, run.schedule, mode=mode, workers=workers, limits=run.limits, on_alert=on_alert,
        skips=run.skips, stops_before=run.unreached.first_epoch if run.unreached else None, ends=run.end,
    )  # fmt: skip


def _unreached(recording: Recording) -> Skip | None:
    rest = [entry for entry in recording.index if entry.number > recording.live.progress]
    if not rest:
        return None
    first, last = rest[0], rest[-1]
    return Skip(first.number, last.number, first.first_event_id, last.first_event_id + last.rows - 1, 0)
