"""The same options give the same events: in another process, under another hash seed, in other epochs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.session import synthesize
from kestrel_lab.synth import SyntheticSource, SynthOptions
from kestrel_lab.synth.dice import Dice, Spread, Wheel, below
from kestrel_lab.synth.options import GENERATOR
from tests.synth.told import digest, epochs

MANY = {"events": 70_000, "alerts": 4, "gaps": 3}
#: of the events of `MANY`; whoever makes them others raises `GENERATOR`, and this with it
GOLDEN = {1: "47ab4c3664164b738ec407aa4928bb73505f2609f260ea78b249cd0d120562ff"}


def files(folder: Path) -> dict[str, bytes]:
    """Return the sealed files of a recording."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.arrow"))}


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_with_another_hash_seed_writes_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    synthesize(SynthOptions(**MANY), tmp_path / "here.krec")
    code = (
        "import sys; from pathlib import Path; from kestrel_lab.session import synthesize\n"
        "from kestrel_lab.synth import SynthOptions\n"
        f"synthesize(SynthOptions(**{MANY!r}), Path(sys.argv[1]))"
    )
    there = str(tmp_path / "there.krec")
    subprocess.run([sys.executable, "-c", code, there], env=os.environ | {"PYTHONHASHSEED": hash_seed}, check=True)
    here = files(tmp_path / "here.krec")
    assert here
    assert here == files(Path(there))


def test_the_events_of_this_generator_are_these() -> None:
    assert digest(epochs(**MANY)) == GOLDEN[GENERATOR]


@pytest.mark.parametrize("rows", [1_000, 65_536])
def test_other_epochs_hold_the_same_events_and_the_same_gaps(rows: int) -> None:
    usual, others = epochs(**MANY), epochs(**MANY, epoch_rows=rows)
    assert len(usual) != len(others)
    assert digest(usual) == digest(others)
    assert [gap for e in usual for gap in e.gaps] == [gap for e in others for gap in e.gaps]
    assert len([gap for e in usual for gap in e.gaps]) == 3


def test_a_source_may_be_read_again_and_from_any_epoch() -> None:
    source = SyntheticSource(SynthOptions(events=20_000, epoch_rows=1_000))
    assert source.end == "growing"
    whole = [*source.epochs()]
    assert source.end == "sealed"
    rest = [*source.epochs(7)]
    assert [e.number for e in rest] == [e.number for e in whole][7:]
    assert digest(rest) == digest(whole[7:])
    first = [*islice(source.epochs(), 2)]
    assert source.end == "growing"
    assert digest(first) == digest(whole[:2])


def test_another_seed_and_other_options_give_other_events() -> None:
    found = {digest(epochs(**options)) for options in (
        {"events": 5_000}, {"events": 5_000, "seed": 2}, {"events": 5_000, "processes": 100},
        {"events": 5_000, "fresh": 0.1}, {"events": 5_000, "duration_s": 60.0}, {"events": 5_000, "alerts": 1},
    )}  # fmt: skip
    assert len(found) == 6


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.integers(0, 2**63 - 1), st.integers(0, 999))
def test_what_is_drawn_depends_on_the_key_alone(keys: list[int], seed: int, what: int) -> None:
    every = Dice(seed).draw(np.array(keys, np.uint64), what)
    one_by_one = [int(Dice(seed).draw(np.array([key], np.uint64), what)[0]) for key in keys]
    assert every.tolist() == one_by_one


@settings(deadline=None)
@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=40))
def test_a_wheel_chooses_by_weight(weights: Sequence[int]) -> None:
    bits = np.arange(65_536, dtype=np.uint64) << np.uint64(48)
    found = np.bincount(Wheel(weights).spin(bits), minlength=len(weights))
    assert np.abs(found - 65_536 * np.array(weights) / sum(weights)).max() <= 1


@given(st.lists(st.integers(0, 2**47 - 1), min_size=2, max_size=12).map(sorted))
def test_a_spread_keeps_to_its_quantiles(points: Sequence[int]) -> None:
    found = Spread(points).draw(np.arange(65_536, dtype=np.uint64) << np.uint64(48))
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1] <= points[-1]) == (points[0], True)
    assert below(np.array([7], np.uint64), 5).tolist() == [2]
