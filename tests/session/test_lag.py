from dataclasses import replace

from kestrel_lab.schema.alert import Skip
from kestrel_lab.session.lag import LagPolicy, coalesce
from tests.support.epochs import source

EPOCH = source([{"table": "file", "action": "open", "ts": 1_000}]).stored[0]


def decide(policy: LagPolicy, clock: list[int], age_s: float) -> bool:
    clock[0] = EPOCH.ts_max_ns + int(age_s * 1e9)
    return policy.skip(EPOCH) is not None


def test_skips_only_past_the_limit_and_goes_on_until_half_of_it():
    clock = [0]
    policy = LagPolicy(2.0, lambda: clock[0])
    ages = [0.0, 1.9, 2.0, 2.1, 1.5, 1.1, 1.0, 1.5, 2.0, 2.5]
    assert [decide(policy, clock, age) for age in ages] == [
        False, False, False, True, True, True, False, False, False, True
    ]  # fmt: skip


def test_a_skip_names_epoch_events_and_lag():
    policy = LagPolicy(1.0, lambda: EPOCH.ts_max_ns + 3_000_000_000)
    assert policy.skip(EPOCH) == Skip(0, 0, 1, 1, 3_000_000_000)


def test_events_of_the_future_have_no_lag():
    policy = LagPolicy(1.0, lambda: 0)
    assert policy.skip(replace(EPOCH, ts_max_ns=5)) is None
    assert policy.lag_ns == 0


def test_adjacent_skips_become_ranges():
    skips = [Skip(5, 5, 50, 59, 2), Skip(3, 3, 30, 39, 9), Skip(4, 4, 40, 49, 1), Skip(8, 8, 80, 89, 1)]
    assert coalesce(skips) == [Skip(3, 5, 30, 59, 9), Skip(8, 8, 80, 89, 1)]
    assert coalesce([]) == []
