"""The bounded part of the differential test; `python -m tests.differential` runs as much as one likes."""

from __future__ import annotations

import pytest

from tests.differential.compare import batch, mismatches


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_run_differs_from_the_definition(seed: int) -> None:
    found = batch(1_000_000 + seed, rules=60, streams=12, public=False)
    assert found.pairs == 720
    assert not [str(mismatch) for mismatch in mismatches(found)]


@pytest.mark.slow
def test_public_rules_agree_as_well() -> None:
    found = batch(7, rules=118, streams=5)
    assert not [str(mismatch) for mismatch in mismatches(found)]


def test_a_batch_is_the_same_for_the_same_seed() -> None:
    one, two = batch(3, rules=20, streams=2), batch(3, rules=20, streams=2)
    assert one.rules == two.rules
    assert one.source.info.schema.fingerprint == two.source.info.schema.fingerprint
