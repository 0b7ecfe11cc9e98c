"""Join keys are equal within one type alone, in the engine and by definition."""

from __future__ import annotations

import pytest

from kestrel_lab.engine import query_pack
from kestrel_lab.schema.flat import Layout, source_of
from tests.engine.support import run
from tests.eql import naive


@pytest.mark.parametrize(
    ("left", "right", "joined"), [(5, 5, True), (5, 5.0, False), (0.0, -0.0, True), (2.5, 2.5, True), ("A", "a", False)]
)
def test_equality_is_typed(left: object, right: object, joined: bool) -> None:
    events = [{"event.category": "a", "left": left}, {"event.category": "b", "right": right}]
    source = source_of(events, Layout(timestamp=None))
    query, schema = "sequence [a where true] by left [b where true] by right", source.info.schema
    wanted = [(1, 2)] if joined else []
    assert [alert.event_ids for alert in run(query_pack(query, schema=schema), source)] == wanted
    assert [match.event_ids for match in naive.run(query, naive.events_of(source), schema.fields)] == wanted
