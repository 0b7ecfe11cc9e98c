from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.schema.errors import DamagedError, UsageError
from kestrel_lab.session.checkpoint import Checkpoint, checkpoint_key, restore, take
from kestrel_lab.session.drive import EngineSpec, LocalDriver
from kestrel_lab.session.replay import replay
from tests.session.scenario import memory, pack

WORLD = memory(240, epoch_rows=4, segment_epochs=10)
PACK = pack()
WHOLE = replay(WORLD, PACK)
SPEC = EngineSpec.of(PACK, "deterministic")
KEY = checkpoint_key(["a"], SPEC, PACK.hash)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(cuts=st.sets(st.integers(1, 59), min_size=1, max_size=4))
def test_going_on_from_any_checkpoint_gives_the_same(cuts: set[int]):
    driver = LocalDriver(SPEC, WORLD.info, PACK)
    alerts = []
    for epoch in WORLD.epochs():
        if epoch.number in cuts:
            stored = take(driver, epoch.number, KEY).to_bytes()
            driver = LocalDriver(EngineSpec.of(PACK, "live"), WORLD.info, PACK)
            restore(driver, Checkpoint.from_bytes(stored), KEY)
        alerts += [a for answer in driver.feed(epoch) for a in answer.alerts]
    alerts += [a for answer in driver.finish("sealed") for a in answer.alerts]
    assert sorted(alerts, key=lambda a: a.sort_key) == WHOLE.alerts
    assert Counter(driver.fuel) == Counter(WHOLE.fuel)  # a rule that the index decides spends none: absent or 0


def test_the_key_is_of_everything_that_decides():
    other = pack(shell=None)
    assert checkpoint_key(["b"], SPEC, PACK.hash) != KEY
    assert checkpoint_key(["a"], SPEC, other.hash) != KEY
    assert checkpoint_key(["a"], EngineSpec.of(PACK, "live"), PACK.hash) == KEY


def test_another_key_is_refused():
    stored = take(LocalDriver(SPEC, WORLD.info, PACK), 0, "other")
    with pytest.raises(UsageError):
        restore(LocalDriver(SPEC, WORLD.info, PACK), stored, KEY)


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_changed_byte_is_found(place: int, bit: int):
    data = bytearray(take(LocalDriver(SPEC, WORLD.info, PACK), 3, KEY).to_bytes())
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(DamagedError):
        Checkpoint.from_bytes(bytes(data))
