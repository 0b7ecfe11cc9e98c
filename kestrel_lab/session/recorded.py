"""What a recording says of the engine that ran beside it, and the replay that must give the same alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kestrel_lab.engine import Limits, Pack, pack_from_files
from kestrel_lab.recording import Recording
from kestrel_lab.schema.alert import Alert, Mode, PackUse, Skip
from kestrel_lab.schema.epoch import End
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session.lag import coalesce
from kestrel_lab.session.replay import OnAlert, Replay, replay


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The live engine's run, from the recording alone.

    Attributes:
        schedule: one row: from which event on the pack ran.
        skips: ranges it skipped past its lag.
        unreached: the epochs at the end that it never came to, None if it came to the last one.
        end: how the recording ended for it; only `sealed` resolved open windows.
        stopped: why it stopped early, empty if it did not or nobody could say.
        build: the build of the engine that ran, empty if the manifest does not say.
    """

    pack: Pack
    schedule: Sequence[PackUse]
    limits: Limits
    alerts: Sequence[Alert]
    skips: Sequence[Skip]
    unreached: Skip | None
    end: End
    build: str
    stopped: str = ""

    @property
    def passed_over(self) -> list[Skip]:
        """Every range it did not evaluate."""
        return [*self.skips, *([self.unreached] if self.unreached else [])]


def live_run(recording: Recording) -> LiveRun | None:
    """Return what ran live beside a recording, None if no rules did.

    Raises:
        UsageError: if more than one pack ran.
    """
    if not recording.packs:
        return None
    if len(recording.packs) > 1:
        raise UsageError(
            f"{len(recording.packs)} packs ran during this recording", where=str(recording.path),
            do="Replay it with one of them: --rules.",
        )  # fmt: skip
    use, files = recording.packs[0]
    facts: Mapping[str, Any] = recording.manifest["facts"].get("engine", {})
    return LiveRun(
        pack=pack_from_files(files, Limits(**facts.get("limits", {})), recording.info.schema),
        schedule=(use,),
        limits=Limits(**facts.get("limits", {})),
        alerts=recording.live_alerts,
        skips=coalesce(recording.skips),
        unreached=_unreached(recording),
        end="sealed" if recording.live.ended and recording.end == "sealed" else "growing",
        build=str(facts.get("build", "")),
        stopped=recording.live.stopped,
    )


def recorded_pack(recording: Recording) -> Pack:
    """Return the pack that ran live.

    Raises:
        UsageError: if none did, or more than one.
    """
    run = live_run(recording)
    if run is None:
        raise UsageError(
            "no rules ran during this recording", where=str(recording.path), do="Give rules to replay it with: --rules."
        )
    return run.pack


def replay_as_live(
    recording: Recording, *, mode: Mode = "deterministic", workers: int = 1, on_alert: OnAlert | None = None
) -> Replay:
    """Replay a recording as the live engine saw it: its pack, schedule, limits and skips, and where it stopped.

    The result has exactly the live alerts, or something is wrong.

    Raises:
        UsageError: if no rules ran live.
    """
    run = live_run(recording)
    if run is None:
        recorded_pack(recording)
        raise AssertionError
    return replay_run(recording, run, mode=mode, workers=workers, on_alert=on_alert)


def replay_run(
    recording: Recording, run: LiveRun, *, mode: Mode = "deterministic", workers: int = 1,
    on_alert: OnAlert | None = None,
) -> Replay:  # fmt: skip
    """Replay a live run from its description."""
    return replay(
        recording, run.pack, mode=mode, workers=workers, limits=run.limits, on_alert=on_alert,
        skips=run.passed_over, schedule=run.schedule, ends=run.end,
    )  # fmt: skip


def _unreached(recording: Recording) -> Skip | None:
    rest = [entry for entry in recording.index if entry.number > recording.live.progress]
    if not rest:
        return None
    first, last = rest[0], rest[-1]
    return Skip(first.number, last.number, first.first_event_id, last.first_event_id + last.rows - 1, 0)
