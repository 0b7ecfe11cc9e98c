"""An engine driven over a source: modes, digest, proof and diff. What every face calls."""

from kestrel_lab.session.captured import blind_rules
from kestrel_lab.session.causes import Cause, CauseKind, Difference, describe
from kestrel_lab.session.chain import Diff
from kestrel_lab.session.checkpoint import Checkpoint
from kestrel_lab.session.child import ProcessDiedError
from kestrel_lab.session.diff import diff_rules
from kestrel_lab.session.diff_recordings import diff_recordings
from kestrel_lab.session.explain import EventExplanation, epoch_of, explain_event, rule_of
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S
from kestrel_lab.session.live import LiveReport, run_live
from kestrel_lab.session.prove import Proof, ProofRow, prove
from kestrel_lab.session.record_report import RecordProgress, RecordReport
from kestrel_lab.session.recorded import LiveRun, live_run, recorded_rules, replay_as_live
from kestrel_lab.session.recording import record
from kestrel_lab.session.replay import Replay, replay
from kestrel_lab.session.ring import Keeping
from kestrel_lab.session.schedule import PackSchedule, PackSwitch, always
from kestrel_lab.session.search import Search, search
from kestrel_lab.session.signals import Stop
from kestrel_lab.session.synthesize import SynthReport, synthesize
from kestrel_lab.session.watch import RulePaths

__all__ = [
    "DEFAULT_MAX_LAG_S",
    "Cause",
    "CauseKind",
    "Checkpoint",
    "Diff",
    "Difference",
    "EventExplanation",
    "Keeping",
    "LiveReport",
    "LiveRun",
    "PackSchedule",
    "PackSwitch",
    "ProcessDiedError",
    "Proof",
    "ProofRow",
    "RecordProgress",
    "RecordReport",
    "Replay",
    "RulePaths",
    "Search",
    "Stop",
    "SynthReport",
    "always",
    "blind_rules",
    "describe",
    "diff_recordings",
    "diff_rules",
    "epoch_of",
    "explain_event",
    "live_run",
    "prove",
    "record",
    "recorded_rules",
    "replay",
    "replay_as_live",
    "rule_of",
    "run_live",
    "search",
    "synthesize",
]
