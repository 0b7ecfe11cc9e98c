"""Cases whose events are as an import gives them: any fields, and a schema of their own."""

from __future__ import annotations

from itertools import islice
from typing import Any

from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.flat import Layout, source_of
from kestrel_lab.session.ruletest.file import CaseFile

_BEGIN_NS = 1_700_000_000 * 10**9
_APART_NS = 10**9  #: from the end of a case to the beginning of the next


def imported_cases(file: CaseFile) -> tuple[SourceInfo, list[list[Epoch]], list[dict[str, Any]]]:
    """Return the epochs of each case, an epoch for each event, and the fields of every event in order.

    Raises:
        RuleError: if an event cannot be imported.
    """
    events, places, begin_ns = list[dict[str, Any]](), list[str](), _BEGIN_NS
    for case in file.cases:
        for number, event in enumerate(case.events, 1):
            events.append({**event.fields, "@timestamp": begin_ns + event.at_ns})
            places.append(f"{case.where} event {number}")
        begin_ns += case.events[-1].at_ns + _APART_NS
    source = source_of(events, Layout(unit="ns"), epoch_rows=1)
    for rejected in source.rejected:
        raise RuleError(f"the event cannot be imported: {rejected.reason}", where=places[rejected.number])
    epochs = source.epochs()
    return source.info, [list(islice(epochs, len(case.events))) for case in file.cases], events
