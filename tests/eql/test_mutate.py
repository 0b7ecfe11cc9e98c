"""Mutants of queries: each changes one thing, says where it stands, and still compiles."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress

import pytest

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.mutate import Mutation, mutations
from kestrel_lab.eql.parse import parse
from kestrel_lab.eql.query import check_query
from tests.eql.corpora import corpus


def changes(query: str) -> list[tuple[str, str]]:
    return [(m.condition, m.change) for m in mutations(parse(query))]


def test_each_leaf_is_negated_and_taken_for_true_and_false() -> None:
    query = 'process where not (process.name == "a" or process.args : ("b*", "c")) and process.pid > 5'
    assert changes(query) == [
        (leaf, change)
        for leaf in ('process.name == "a"', 'process.args : ("b*", "c")', "process.pid > 5")
        for change in ("is negated", "is always true", "is always false")
    ]


def test_a_condition_that_is_compared_is_looked_into() -> None:
    found = changes("process where null == (process.pid > -1)")
    assert found[0] == ("process.pid > -1", "is negated")
    assert len(found) == 3


def test_the_parts_of_a_sequence() -> None:
    query = """sequence by process.entity_id with maxspan=90s
      [process where true] by process.pid with runs=3
      ![file where true] by process.pid
      [network where true] by process.pid
      until [process where true] by process.pid | head 5"""
    assert changes(query) == [
        ("by process.entity_id", "is dropped"),
        ("by process.pid", "is dropped"),
        ("maxspan=90s", "is endless"),
        ("with runs=3", "is 2"),
        ("with runs=3", "is 4"),
        ("![...]", "is dropped"),
        ("until", "is dropped"),
        ("| head 5", "is dropped"),
    ]


def test_a_missing_event_dropped_from_two_items_leaves_an_event_query() -> None:
    (dropped,) = [
        m
        for m in mutations(parse("sequence with maxspan=1m [process where true] ![file where true]"))
        if m.condition == "![...]"
    ]
    assert check_query(dropped.query, Scope()).kind == "event"


def test_long_lists_are_cut_in_the_text() -> None:
    ((text, _), *_) = changes('process where process.name in ("a", "b", "c", "d", "e")')
    assert text == 'process.name in ("a", "b", "c", ...)'


def test_calls_and_optional_names() -> None:
    query = 'process where ?process.name like~ "a" and not endsWith~(process.name, "b")'
    assert [text for text, _ in changes(query)][::3] == ['?process.name like~ "a"', 'endsWith~(process.name, "b")']


@pytest.mark.slow
def test_mutants_of_real_rules_compile_and_stand_where_they_say() -> None:
    seen = 0
    for rule in json.loads(corpus("elastic_linux_eql_sample.json").read_text()):
        try:
            query = parse(rule["query"])
            check_query(query, Scope())
        except QueryError:
            continue  # counted by test_corpus.py
        for found in mutations(query):
            assert found.query != query
            _compile(found)
            here = rule["query"][found.pos :].lstrip("?")
            assert found.change != "is negated" or here.startswith(found.condition.lstrip("?").split()[0].split("(")[0])
            seen += 1
    assert seen > 1_000


def _compile(found: Mutation) -> None:
    may_be_none = found.change in ("is dropped", "is 1")  # what is left of a sequence
    with suppress(QueryError) if may_be_none else nullcontext():
        check_query(found.query, Scope())
