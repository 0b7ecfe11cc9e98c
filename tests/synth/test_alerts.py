"""The starter pack alerts on the planted stories, on each as it says, and on nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from kestrel_lab.engine import Pack, load_pack
from kestrel_lab.schema.resources import resource
from kestrel_lab.session import always, replay
from kestrel_lab.synth import SyntheticSource, SynthOptions
from kestrel_lab.synth.stories import STORIES


@pytest.fixture(scope="module")
def starter() -> Pack:
    return load_pack([resource("rules")])


def expected(stories: int) -> Counter[str]:
    return Counter(rule for number in range(stories) for rule in STORIES[number % len(STORIES)].rules)


@pytest.mark.parametrize(("seed", "duration"), [(1, 86_400.0), (2, 3_600.0), (3, 30.0)])
def test_each_story_raises_its_alerts_and_nothing_else_does(starter: Pack, seed: int, duration: float) -> None:
    options = SynthOptions(events=150_000, seed=seed, alerts=12, duration_s=duration)
    found = replay(SyntheticSource(options), always(starter), mode="live")
    assert Counter(alert.rule_id for alert in found.alerts) == expected(12)
    assert not found.exhausted


def test_without_stories_there_are_no_alerts(starter: Pack) -> None:
    for processes in (0, None, 100_000):
        source = SyntheticSource(SynthOptions(events=300_000, seed=9, processes=processes, fresh=0.1))
        assert not replay(source, always(starter), mode="live").alerts


def test_the_stories_are_spread_evenly_in_time(starter: Pack) -> None:
    options = SynthOptions(events=100_000, alerts=24)
    alerts = replay(SyntheticSource(options), always(starter), mode="live").alerts
    times = sorted(alert.ts_boot_ns for alert in alerts)
    hours = Counter((time - 3_600_000_000_000) // 3_600_000_000_000 for time in times)
    assert set(hours) == set(range(24))


def test_the_alerts_do_not_depend_on_mode_or_epochs(starter: Pack) -> None:
    digests = {
        replay(
            SyntheticSource(SynthOptions(events=70_000, alerts=4, epoch_rows=rows)), always(starter), mode=mode
        ).digest
        for rows, mode in ((16_384, "live"), (999, "live"), (65_536, "deterministic"))
    }
    assert len(digests) == 1
