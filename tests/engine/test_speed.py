"""What the index leaves to evaluate. `python -m tests.engine.test_speed` prints events/s of both modes."""

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


def cost(pack: Pack, epochs: list[Epoch], mode: Mode) -> tuple[float, float]:
    """Return (CPU time an event, us; rule evaluations an event)."""
    engine = Engine(pack, INFO, mode)
    began = time.process_time()
    for epoch in epochs:
        engine.process(epoch)
    events = sum(epoch.rows for epoch in epochs)
    return (time.process_time() - began) / events * 1e6, engine.evaluations / events


@pytest.mark.slow
def test_the_index_leaves_little_of_the_starter_pack_to_evaluate() -> None:
    pack = load_pack([resource("rules")])
    assert cost(pack, list(Machine().epochs(2)), "live")[1] < 2.5


@pytest.mark.slow
def test_rules_that_cannot_match_are_not_evaluated() -> None:
    """However many they are."""
    needles = {
        f"r{n}": f'process where process.args like ("*needle{n}*", "hay{n}*") and process.name == "bash"'
        for n in range(1000)
    }
    assert cost(pack_of(needles), list(Machine().epochs(2)), "live")[1] == 0


def main() -> None:
    """Print a line for each mode."""
    pack, epochs = load_pack([resource("rules")]), list(Machine().epochs(8))
    for mode in MODES:
        us, evaluations = cost(pack, epochs, mode)
        print(
            f"{mode:13} {1e6 / us:>12,.0f} events/s of CPU  {us:.2f} us an event  "
            f"{evaluations:.2f} rule evaluations an event  {len(pack.rules)} rules"
        )


if __name__ == "__main__":
    main()
