"""One batch: many rules over many streams, on every backend in every mode, and by definition."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Any

from kestrel_lab.engine import Engine, Limits, Pack, pack_from_files
from kestrel_lab.engine.predicate import Backend
from kestrel_lab.eql import compile_query
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.flat import FlatSource, source_of
from kestrel_lab.schema.schema import Schema
from tests.differential import vocabulary
from tests.differential.events import first_event, stream
from tests.differential.rules import Rules
from tests.engine.support import toml, unnarrowed
from tests.eql import naive

#: Backend, mode, and whether conditions are evaluated whole, what the index has decided of them included.
Run = tuple[Backend, Mode, bool]
RUNS: Sequence[Run] = [
    ("wasm", "live", False), ("wasm", "deterministic", False), ("lua", "live", False), ("lua", "deterministic", False),
    ("wasm", "live", True), ("lua", "live", True),
]  # fmt: skip
_LIMITS = Limits(ttl_ns=24 * 3600 * 10**9)  # longer than a stream, shorter than what lies between two

#: What a rule finds in a stream: event ids and the join key, sorted.
Found = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Batch:
    """Rules by id, the streams one after the other, and where each begins (event_id)."""

    rules: Mapping[str, str]
    source: FlatSource
    starts: Sequence[int]
    pack: Pack

    @property
    def pairs(self) -> int:
        """How many (rule, stream) pairs it is."""
        return len(self.rules) * len(self.starts)


@dataclass(frozen=True)
class Mismatch:
    """A pair of which one run finds something else than the definition."""

    rule: str
    run: Run
    events: Sequence[Mapping[str, Any]]
    expected: Found
    found: Found

    def __str__(self) -> str:
        events = "\n".join(f"  { ({k: v for k, v in e.items() if v is not None}) }" for e in self.events)
        backend, mode, whole = self.run
        run = f"{backend}-{mode}{'-whole' if whole else ''}"
        return f"{run}: {self.rule}\n{events}\n  expected {self.expected}\n  found    {self.found}"


def batch(seed: int, rules: int, streams: int, *, size: int = 8, public: bool = True) -> Batch:
    """Return a batch made from a seed; `size` events a stream. `public`: the public rules count among the rules."""
    rng = Random(seed)
    found = [stream(rng, number, size) for number in range(streams)]
    source = source_of([first_event(), *(event for events in found for event in events)], epoch_rows=61)
    starts = [2 + size * number for number in range(streams)]
    texts = chain(vocabulary.public_rules() if public else (), _drawn(rng, source.info.schema))
    chosen = {f"r{number:04}": text for number, text in enumerate(islice(texts, rules))}
    files = {f"{rule_id}.toml": toml(rule_id, text) for rule_id, text in chosen.items()}
    return Batch(chosen, source, starts, pack_from_files(files, _LIMITS, source.info.schema))


def mismatches(of: Batch) -> Iterator[Mismatch]:
    """Yield the pairs of which some run finds something else than the definition."""
    events = naive.events_of(of.source)
    runs = {run: _by_engine(of, *run) for run in RUNS}
    fields = of.source.info.schema.fields
    ends = [*of.starts[1:], len(events) + 1]
    for rule_id, text in of.rules.items():
        for number, (start, end) in enumerate(zip(of.starts, ends, strict=True)):
            own = events[start - 1 : end - 1]
            expected = sorted(((m.event_ids, m.key) for m in naive.run(text, own, fields)), key=repr)
            for run, found in runs.items():
                got = sorted(found.get((rule_id, number), []), key=repr)
                if got != expected:
                    yield Mismatch(text, run, own, expected, got)


def _drawn(rng: Random, schema: Schema) -> Iterator[str]:
    """Yield rules that compile, without end."""
    rules = Rules(rng)
    while True:
        text = rules.rule()
        try:
            compile_query(text, schema=schema)
        except RuleError:
            continue
        yield text


def _by_engine(of: Batch, backend: Backend, mode: Mode, whole: bool) -> dict[tuple[str, int], Found]:
    """Return what an engine finds, by rule and stream."""
    engine = Engine(unnarrowed(of.pack) if whole else of.pack, of.source.info, mode, _LIMITS, backend)
    alerts = [a for epoch in of.source.epochs() for a in engine.process(epoch).alerts]
    out: dict[tuple[str, int], Found] = {}
    for alert in [*alerts, *engine.finish(of.source.end)]:
        first = min(i for i in alert.event_ids if i is not None)
        number = bisect_right(of.starts, first) - 1
        if number >= 0:
            out.setdefault((alert.rule_id, number), []).append((alert.event_ids, alert.join_keys))
    return out
