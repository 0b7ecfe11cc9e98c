"""Elasticsearch's own cases for the matcher: sequences, missing events and samples, whole and cut.

That every case of the suite is right is shown elsewhere; here it is that no cut changes one.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from kestrel_lab.engine import Engine, Pack, pack_from_files
from kestrel_lab.engine.limits import Limits
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.flat import Layout, source_of
from tests.engine.machines import run
from tests.engine.reference import Event, Items
from tests.engine.support import toml
from tests.eql.corpora import CORPORA, corpus

SUITE = CORPORA / "es_eql_suite"


#: samples by dates whose format the data does not say: the mappings of Elasticsearch's indices do
DATES = "customDate"


def cases(file: str) -> list[Any]:
    """Return (query, expected) of the cases of a file, none where the corpora are not there."""
    if not SUITE.exists():
        return []
    found = tomllib.loads((SUITE / file).read_text())["queries"]
    return [pytest.param(c["query"], c["expected_event_ids"], id=c["name"]) for c in found
            if "size" not in c and not c["name"].startswith(DATES)]  # fmt: skip


def rows(*names: str) -> list[dict[str, Any]]:
    return [row for name in names for row in json.loads((corpus("es_eql_suite") / "data" / name).read_text())]


def alerts(query: str, events: Sequence[Any], layout: Layout, epoch_rows: int) -> list[Alert]:
    source = source_of(events, layout, epoch_rows=epoch_rows)
    pack: Pack = pack_from_files({"r.toml": toml("r", query)}, schema=source.info.schema)
    engine = Engine(pack, source.info, "live")
    return [*(a for epoch in source.epochs() for a in engine.process(epoch).alerts), *engine.finish(source.end)]


def grouped(ids: Sequence[int], size: int) -> list[tuple[int | None, ...]]:
    return [tuple(None if i == -1 else i for i in ids[n : n + size]) for n in range(0, len(ids), size)]


def of_source(found: Sequence[Alert]) -> list[tuple[int | None, ...]]:
    in_order = sorted(found, key=lambda a: a.sort_key)
    return [tuple(None if i is None else int(i) for i in a.source_ids) for a in in_order]  # type: ignore[arg-type]


@pytest.mark.parametrize("epoch_rows", [1, 5, 1_000])
@pytest.mark.parametrize(("query", "expected"), cases("test_missing_events.toml"))
def test_missing_events(query: str, expected: list[int], epoch_rows: int) -> None:
    layout = Layout(category="event_type", tiebreaker="sequence", id="sequence")
    found = of_source(alerts(query, rows("missing-events.json"), layout, epoch_rows))
    assert found == grouped(expected, len(found[0]) if found else 1)


@pytest.mark.parametrize("epoch_rows", [1, 1_000])
@pytest.mark.parametrize(("query", "expected"), cases("test_sample.toml"))
def test_samples(query: str, expected: list[Any], epoch_rows: int) -> None:
    layout = Layout(category="event_type", timestamp=None, id="id")
    events = rows("sample1.json", "sample2.json", "sample3.json")
    found = of_source(alerts(query, events, layout, epoch_rows))
    allowed = expected if expected and isinstance(expected[0], list) else [expected]
    assert sorted(found) in [sorted(grouped(ids, len(found[0]) if found else 1)) for ids in allowed]


def series() -> list[Any]:
    """Return (lines of the stages, expected lines) of each case of the series specification."""
    if not SUITE.exists():
        return []
    out: list[Any] = []
    text = [line.partition("//")[0].rstrip() for line in (SUITE / "sequences.series-spec").read_text().splitlines()]
    lines = [line for line in text if line]
    while lines:
        name, first, second = lines[0], lines.index(";"), lines.index(";", lines.index(";") + 1)
        out.append(pytest.param(lines[1:first], lines[first + 1 : second], id=name))
        lines = lines[second + 1 :]
    return out


@pytest.mark.parametrize(("stages", "expected"), series())
def test_series(stages: list[str], expected: list[str]) -> None:
    names: dict[int, str] = {}
    events: dict[int, dict[int, tuple[bytes, ...]]] = {}
    for number, line in enumerate(stages):
        for word in line.split():
            key, _, name = word.rpartition("|")
            time = int("".join(filter(str.isdigit, name)))
            names[time] = name
            events.setdefault(time, {})[number] = (key.encode(),)
    items = Items(tuple((number, False) for number in range(len(stages))), None, 10**6)
    in_order = [Event(time, time, events[time]) for time in sorted(events)]
    for cuts in ([], range(1, len(in_order))):
        found, _, _ = run(items, Limits(), in_order, list(cuts))
        told = [" ".join([f"{f.key.decode()}|{names[f.ids[0]]}" if f.key else names[f.ids[0]],
                          *(names[i] for i in f.ids[1:])]) for f in sorted(found, key=lambda f: f.ids[-1])]  # fmt: skip
        assert told == expected
