"""Flat events, JSON objects of any shape, as epochs: what import, tests of rules and tests of the language build on."""

from kestrel_lab.schema.flat.errors import RejectedError
from kestrel_lab.schema.flat.layout import Layout
from kestrel_lab.schema.flat.source import FlatSource, Rejected, source_of

__all__ = ["FlatSource", "Layout", "Rejected", "RejectedError", "source_of"]
