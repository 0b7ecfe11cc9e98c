"""Spans: epochs taken together give what they give one by one, fuel and evictions included."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kestrel_lab.engine import Engine, Limits
from kestrel_lab.engine.scanning import columns
from kestrel_lab.engine.scanning.span import Span
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.epoch import Epoch
from tests.engine.support import MODES, QUERIES, pack_of, random_events
from tests.support.epochs import INFO, source

pytestmark = pytest.mark.slow

PACK = pack_of(QUERIES)


def world(seed: int, segment_epochs: int = 5) -> list[Epoch]:
    """Return epochs of 4 events whose clock pairs differ, as after a step of the wall clock."""
    stored = source(random_events(seed), epoch_rows=4, segment_epochs=segment_epochs).stored
    return [replace(e, clock_wall_ns=e.clock_wall_ns + 10**9 * (e.number // 3)) for e in stored]


def one_by_one(engine: Engine, epochs: Sequence[Epoch]) -> list[Alert]:
    return [a for e in epochs for a in engine.process(e).alerts]


def in_spans(engine: Engine, epochs: Sequence[Epoch], seed: int) -> list[Alert]:
    rng, out, at = random.Random(seed), list[Alert](), 0
    while at < len(epochs):
        stop = at + rng.randint(1, 6)
        while epochs[min(stop, len(epochs)) - 1].segment is not epochs[at].segment:
            stop -= 1
        out += engine.process_span(epochs[at:stop]).alerts
        at = stop
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(6))
def test_spans_change_nothing(seed: int, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WINDOW_ROWS", [16, 7, 16_384][seed % 3])
    limits = Limits(pending=2)
    apart, together = Engine(PACK, INFO, mode, limits), Engine(PACK, INFO, mode, limits)  # type: ignore[arg-type]
    alerts = one_by_one(apart, world(seed))
    assert in_spans(together, world(seed), seed) == alerts
    assert alerts
    assert together.fuel == apart.fuel
    assert together.evaluations == apart.evaluations
    assert together.evicted == apart.evicted
    assert together.state() == apart.state()


def test_a_rule_out_of_fuel_is_so_in_its_own_epoch_only() -> None:
    epochs = world(3, segment_epochs=1_000)
    probe = Engine(PACK, INFO, "live")
    one_by_one(probe, epochs)
    most = max(probe.fuel.values())
    limits = Limits()
    object.__setattr__(limits, "fuel", most // len(epochs))  # past the check at load, as no EQL rule can get
    apart, together = Engine(PACK, INFO, "live", limits), Engine(PACK, INFO, "live", limits)
    results = [apart.process(e) for e in epochs]
    span = together.process_span(epochs)
    exhausted = [x for r in results for x in r.exhausted]
    assert exhausted
    assert list(span.exhausted) == exhausted
    assert list(span.alerts) == [a for r in results for a in r.alerts]
    assert together.fuel == apart.fuel


def test_a_span_has_no_hole() -> None:
    epochs = world(1, segment_epochs=1_000)
    with pytest.raises(ValueError, match="consecutive"):
        Span([epochs[0], epochs[2]])
