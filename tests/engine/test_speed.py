"""Speed over large epochs. `python -m tests.engine.test_speed` prints events/s of both modes."""

from __future__ import annotations

import time

import pytest

from kestrel_lab.engine import Engine, Pack, load_pack
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.resources import resource
from tests.engine.support import MODES, pack_of
from tests.engine.synthetic import Machine
from tests.support.epochs import INFO


def cpu_us_an_event(pack: Pack, epochs: list[Epoch], mode: Mode) -> tuple[float, float]:
    """Return (CPU time an event, us; rule evaluations an event)."""
    engine = Engine(pack, INFO, mode)
    began = time.process_time()
    for epoch in epochs:
        engine.process(epoch)
    events = sum(epoch.rows for epoch in epochs)
    return (time.process_time() - began) / events * 1e6, engine.evaluations / events


@pytest.mark.slow
def test_the_starter_pack_costs_under_three_microseconds_an_event() -> None:
    epochs = list(Machine().epochs(4))
    pack = load_pack([resource("rules")])
    assert min(cpu_us_an_event(pack, epochs, "deterministic")[0] for _ in range(3)) < 3.0


@pytest.mark.slow
def test_a_thousand_rules_cost_little_more_than_ten() -> None:
    epochs = list(Machine().epochs(3))

    def cost(rules: int) -> float:
        needles = {
            f"r{n}": f'process where process.args like ("*needle{n}*", "hay{n}*") and process.name == "bash"'
            for n in range(rules)
        }
        return min(cpu_us_an_event(pack_of(needles), epochs, "live")[0] for _ in range(3))

    assert cost(1000) < 5 * cost(10)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["", "by process.entity_id", "by host.id, process.entity_id", "by process.args"])
def test_a_sequence_that_begins_with_every_event_holds_half_a_million_events_a_second(by: str) -> None:
    epochs = list(Machine().epochs(4))
    end = '[process where event.type == "end" and process.exit_code == 77]'
    pack = pack_of({"r": f"sequence {by} with maxspan=1m [any where true] {end}"})
    assert min(cpu_us_an_event(pack, epochs, "deterministic")[0] for _ in range(3)) < 2.0


def main() -> None:
    """Print a line for each mode."""
    pack, epochs = load_pack([resource("rules")]), list(Machine().epochs(8))
    for mode in MODES:
        cost, evaluations = cpu_us_an_event(pack, epochs, mode)
        print(
            f"{mode:13} {1e6 / cost:>12,.0f} events/s of CPU  {cost:.2f} us an event  "
            f"{evaluations:.2f} rule evaluations an event  {len(pack.rules)} rules"
        )


if __name__ == "__main__":
    main()
