"""Every EQL rule as Lua, with and without the JIT: the alerts of the WebAssembly, event for event."""

from __future__ import annotations

import pytest

from kestrel_lab.engine import Engine
from kestrel_lab.engine.scanning import columns
from kestrel_lab.schema.alert import Alert, Mode
from kestrel_lab.schema.epoch import Epoch
from tests.engine.support import MODES, QUERIES, pack_of, random_events
from tests.support.epochs import INFO, source

pytestmark = pytest.mark.slow

PACK = pack_of(QUERIES)


def alerts(engine: Engine, epochs: list[Epoch]) -> list[Alert]:
    return [*(a for epoch in epochs for a in engine.process(epoch).alerts), *engine.finish("sealed")]


@pytest.mark.parametrize("seed", range(8))
def test_lua_raises_the_alerts_of_webassembly(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WINDOW_ROWS", [16_384, 16, 7][seed % 3])
    epochs = list(source(random_events(seed, 300), epoch_rows=40).epochs())
    want = alerts(Engine(PACK, INFO, "live"), epochs)
    assert len({a.rule_id for a in want}) > 8
    engines = [Engine(PACK, INFO, mode, backend="lua") for mode in MODES]
    for engine in engines:
        assert alerts(engine, epochs) == want
    assert engines[0].fuel == engines[1].fuel


@pytest.mark.parametrize("mode", MODES)
def test_spans_change_nothing_in_lua(mode: Mode) -> None:
    epochs = list(source(random_events(3, 200), epoch_rows=20).epochs())
    apart, together = (Engine(PACK, INFO, mode, backend="lua") for _ in range(2))
    want = [a for epoch in epochs for a in apart.process(epoch).alerts]
    assert list(together.process_span(epochs).alerts) == want
    assert together.fuel == apart.fuel
