"""Rules that others wrote compile as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kestrel_lab.eql import compile_query, lower_lua, lower_wasm
from tests.eql.corpora import CORPORA, corpus


def rules() -> list[dict[str, Any]]:
    """Return the public sample; without it there is nothing to try."""
    path = CORPORA / "elastic_linux_eql_sample.json"
    return json.loads(path.read_text()) if path.exists() else []


def test_the_sample_is_there() -> None:
    assert len(json.loads(corpus("elastic_linux_eql_sample.json").read_text())) == 118


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["name"])
def test_a_public_rule_compiles_unchanged(rule: dict[str, Any]) -> None:
    program = compile_query(rule["query"], path=rule["name"])
    assert max(lower_wasm(program).cost_per_row) < 2_000
    assert lower_lua(program).slots == lower_wasm(program).slots
    assert program.rewrites
