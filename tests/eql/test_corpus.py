"""Rules that others wrote compile, or are refused for a reason that has a name."""

from __future__ import annotations

import json
from collections import Counter

from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.schema.errors import RuleError
from tests.eql.corpora import corpus

COMPILED = 112  #: of 118, with the language of today; may only grow


def test_public_rules_compile_or_are_refused_by_name() -> None:
    reasons: Counter[str] = Counter()
    compiled = 0
    rules = json.loads(corpus("elastic_linux_eql_sample.json").read_text())
    for rule in rules:
        try:
            module = lower_wasm(compile_query(rule["query"], path=rule["name"]))
        except RuleError as error:
            reasons[error.what] += 1
        else:
            compiled += 1
            assert max(module.cost_per_row) < 2_000
    assert compiled >= COMPILED
    assert compiled + reasons.total() == len(rules)
    assert all("not supported yet" in reason for reason in reasons), reasons
