"""Synthetic events for tests and benchmarks: any number of them, made column by column, the same for the same seed."""

from kestrel_lab.synth.options import GENERATOR, SynthOptions
from kestrel_lab.synth.source import SyntheticSource

__all__ = ["GENERATOR", "SynthOptions", "SyntheticSource"]
