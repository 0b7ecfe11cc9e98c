"""The naive evaluator against Elasticsearch's own expectations, as far as it knows the language."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.eql.errors import QueryError
from tests.eql import naive
from tests.eql.corpora import corpus

SETS = {
    "test_queries.toml": ("endgame_test_data.json", 75),
    "additional_test_queries.toml": ("endgame_test_data.json", 22),
    "test_extra.toml": ("extra.json", 34),
}
#: what differs by design or by data, and why
KNOWN = {
    "sequenceWithVersionRangeCheck": "a version type, which this project has not",
    "sequenceWithVersionRangeCheck2": "a version type",
    "optionalDefaultNullValueFieldEqualNull": "a mapping that stands a string for null",
    "optionalDefaultNullValueFieldEqualDefaultValue": "a mapping that stands a string for null",
    "sequenceOptionalFieldAsQueryKeysOnly": "compares two fields, which the language forbids; both are null",
}


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return tuple(_bytes(v) for v in value) if isinstance(value, list) else value


def _events(path: Path) -> list[dict[str, Any]]:
    out = []
    for event in json.loads(path.read_text()):
        found = {k: _bytes(v) for k, v in event.items()}
        found["event.sequence"] = event.get("serial_event_id", event.get("sequence"))
        found["ts"] = int(event.get("@timestamp", 0)) * 10**6 or event.get("timestamp", 0) * 100
        found["event.category"] = (event["event_type"].encode(),)
        out.append(found)
    return sorted(out, key=lambda e: e["ts"] if "sequence" in e else e["event.sequence"])


@pytest.mark.parametrize("name", SETS)
def test_it_agrees_with_the_suite_of_elasticsearch(name: str) -> None:
    folder = corpus("es_eql_suite")
    data, least = SETS[name]
    events = _events(folder / "data" / data)
    queries = tomllib.loads((folder / name).read_text())["queries"]
    wrong, right = [], 0
    for query in queries:
        try:
            found = naive.run(query["query"], events)
        except (QueryError, NotImplementedError):
            continue
        ids = [i for match in found for i in match.event_ids]
        if ids == query["expected_event_ids"]:
            right += 1
        elif query["name"] not in KNOWN:
            wrong.append((query["name"], query["query"], ids, query["expected_event_ids"]))
    assert not wrong
    assert right >= least


def _specs(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield name, stage lines and expected lines of each case."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith("//")]
    while lines:
        name, end = lines[0].strip(), lines.index(";")
        after = lines.index(";", end + 1)
        yield name, lines[1:end], lines[end + 1 : after]
        lines = lines[after + 1 :]


def test_sequences_agree_with_the_series_of_elasticsearch() -> None:
    count = 0
    for name, stages, expected in _specs(corpus("es_eql_suite/sequences.series-spec").read_text()):
        events, keyed = [], False
        for number, line in enumerate(stages):
            for word in line.split():
                key, _, point = word.rpartition("|")
                keyed = keyed or bool(key)
                stamp = int(point[1:])
                events.append(
                    {
                        "event.sequence": stamp,
                        "ts": stamp,
                        "event.category": (b"ABCDEFGH"[number : number + 1],),
                        "key": key.encode(),
                    }
                )
        query = (
            f"sequence {'by key' if keyed else ''} {' '.join(f'[{c} where true]' for c in 'ABCDEFGH'[: len(stages)])}"
        )
        found = naive.run(query, sorted(events, key=lambda e: e["event.sequence"]))
        want = [tuple(int(w.rpartition("|")[2][1:]) for w in line.split()) for line in expected]
        assert [m.event_ids for m in found] == want, name
        count += 1
    assert count == 25
