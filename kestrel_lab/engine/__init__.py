"""Rule packs, runtimes, sequences, state and alerts."""

from kestrel_lab.engine.adhoc import query_pack
from kestrel_lab.engine.build import ENGINE_VERSION, engine_build
from kestrel_lab.engine.check import RuleCheck
from kestrel_lab.engine.engine import Engine, EpochResult
from kestrel_lab.engine.explain import RuleExplanation, StageFacts, explain_rule
from kestrel_lab.engine.keys import SHARDS
from kestrel_lab.engine.limits import PATIENT, Limits, usual_limits
from kestrel_lab.engine.matcher import Matcher
from kestrel_lab.engine.pack import Pack, Unsupported, check_pack, load_pack, pack_from_files
from kestrel_lab.engine.pipes import Pipes
from kestrel_lab.engine.rule import Rule
from kestrel_lab.engine.scan import Hits, Scan
from kestrel_lab.engine.scanner import Scanner
from kestrel_lab.engine.span import SPAN_ROWS
from kestrel_lab.engine.state import merge as merge_states
from kestrel_lab.engine.trace import Step, trace
from kestrel_lab.engine.travel import ready
from kestrel_lab.engine.verdict import EventVerdict, Part, StageVerdict, verdict

__all__ = [
    "ENGINE_VERSION",
    "PATIENT",
    "SHARDS",
    "SPAN_ROWS",
    "Engine",
    "EpochResult",
    "EventVerdict",
    "Hits",
    "Limits",
    "Matcher",
    "Pack",
    "Part",
    "Pipes",
    "Rule",
    "RuleCheck",
    "RuleExplanation",
    "Scan",
    "Scanner",
    "StageFacts",
    "StageVerdict",
    "Step",
    "Unsupported",
    "check_pack",
    "engine_build",
    "explain_rule",
    "load_pack",
    "merge_states",
    "pack_from_files",
    "query_pack",
    "ready",
    "trace",
    "usual_limits",
    "verdict",
]
