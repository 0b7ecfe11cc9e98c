"""The bounded part of the differential test; `python -m tests.differential` runs as much as one likes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from kestrel_lab.engine import Limits, pack_from_files
from tests.differential.compare import batch, mismatches
from tests.engine.support import toml


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


@pytest.mark.slow
def test_what_is_ordered_against_a_field_that_is_not_there_is_null_but_not_the_constant() -> None:
    """As an operand it is unknown: `(a < ?nowhere) == true` is no null test, so `... != false` holds."""
    found = batch(2029, rules=1, streams=8)
    left = ("process.pid", "length(file.path)", "process.name", "t.floats", "add(process.pid, 1)", "3", "@timestamp")
    forms = ("{}", "({}) == true", "(({}) == true) != false", "({}) != false", "({}) == null", "not ({})",
             "({}) == (process.pid > 0)", "(({}) or process.pid > 3) == true")  # fmt: skip
    orders = [f"{a} {op} {b}" for one in left for op in ("<", ">=") for a, b in ((one, "?t.no"), ("?t.no", one))]
    rules = {f"r{n:03}": f"any where {form.format(o)}" for n, (form, o) in enumerate(product(forms, orders))}
    files = {f"{rule_id}.toml": toml(rule_id, query) for rule_id, query in rules.items()}
    pack = pack_from_files(files, Limits(ttl_ns=24 * 3600 * 10**9), found.source.info.schema)
    ordered = replace(found, rules=rules, pack=pack)
    assert not [str(mismatch) for mismatch in mismatches(ordered)]
