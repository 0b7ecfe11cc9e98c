"""Scans made ready to travel say what they said, with what rules have in common sent once."""

from __future__ import annotations

import pickle

import pytest

from kestrel_lab.engine import Hits, Scanner, ready
from tests.engine.support import QUERIES, pack_of, random_events
from tests.support.epochs import INFO, source

SEQUENCES = {rule: query for rule, query in QUERIES.items() if query.startswith("sequence")}


def said(block: Hits) -> tuple[object, ...]:
    sets, index = block.keys.found()
    captures = block.captures.take(range(len(block.event_id)))
    return block.rule_id, block.stage, block.event_id.tolist(), [sets[i] for i in index.tolist()], captures


@pytest.mark.parametrize("seed", range(3))
def test_it_says_the_same(seed: int) -> None:
    scanner = Scanner(pack_of(QUERIES), INFO, "live")
    for epoch in source(random_events(seed), epoch_rows=30).epochs():
        scan = scanner.scan(epoch)
        travelled = pickle.loads(pickle.dumps(ready(scan)))
        assert list(travelled.hits) == list(scan.hits)
        for rule_id, blocks in scan.hits.items():
            assert [said(b) for b in travelled.hits[rule_id]] == [said(b) for b in blocks]


def test_what_rules_have_in_common_is_sent_once() -> None:
    queries = {f"{rule}{n}": query for rule, query in SEQUENCES.items() for n in range(2)}
    scan = Scanner(pack_of(queries), INFO, "live").scan(source(random_events(1), epoch_rows=120).stored[0])
    hits = pickle.loads(pickle.dumps(ready(scan))).hits
    for rule in SEQUENCES:
        assert hits[f"{rule}0"]
        for one, other in zip(hits[f"{rule}0"], hits[f"{rule}1"], strict=True):
            assert one.keys.found()[0] is other.keys.found()[0]
            assert one.captures.source == other.captures.source
