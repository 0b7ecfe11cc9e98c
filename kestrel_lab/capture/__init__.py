"""The live kernel as a source of epochs, and the only place that imports `bcc` (when a source is entered)."""

from kestrel_lab.capture.checks import Check, probe, require
from kestrel_lab.capture.config import CaptureConfig
from kestrel_lab.capture.filters import parse_filters
from kestrel_lab.capture.source import LiveSource
from kestrel_lab.capture.written import Written, footprint

__all__ = [
    "CaptureConfig",
    "Check",
    "LiveSource",
    "Written",
    "footprint",
    "parse_filters",
    "probe",
    "require",
]
