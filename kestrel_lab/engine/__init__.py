"""Rule packs, runtimes, sequences, state and alerts."""

from kestrel_lab.engine.adhoc import query_pack
from kestrel_lab.engine.build import ENGINE_VERSION, engine_build
from kestrel_lab.engine.engine import Engine, EpochResult
from kestrel_lab.engine.explaining.explain import RuleExplanation, StageFacts, explain_rule
from kestrel_lab.engine.explaining.trace import Step, trace
from kestrel_lab.engine.explaining.verdict import EventVerdict, Part, StageVerdict, verdict
from kestrel_lab.engine.hits.keys import SHARDS
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.hits.travel import ready
from kestrel_lab.engine.limits import PATIENT, Limits, usual_limits
from kestrel_lab.engine.matching.matcher import Matcher
from kestrel_lab.engine.matching.pipes import Pipes
from kestrel_lab.engine.matching.state import merge as merge_states
from kestrel_lab.engine.packs.check import RuleCheck
from kestrel_lab.engine.packs.pack import Pack, Unsupported, check_pack, load_pack, pack_from_files
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.scanning.scanner import Scanner
from kestrel_lab.engine.scanning.span import SPAN_ROWS

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
