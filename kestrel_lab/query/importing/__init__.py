"""Import: a file of events, one JSON object a line, becomes a sealed recording."""

from kestrel_lab.query.importing.importer import ImportReport, import_events
from kestrel_lab.query.importing.rejects import Reject

__all__ = ["ImportReport", "Reject", "import_events"]
