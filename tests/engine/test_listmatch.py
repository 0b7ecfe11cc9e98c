"""Tests of lists and of what lists are joined to, against the definition; vectors; what a condition implies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.packs.gates import Clause, implied, ordered
from kestrel_lab.engine.text.classes import Classes
from kestrel_lab.engine.text.elements import Elements
from kestrel_lab.engine.text.vectors import Unions, Vectors
from kestrel_lab.eql import compile_query
from kestrel_lab.eql.ir import TextTest
from kestrel_lab.eql.regex import translate
from kestrel_lab.eql.texttest import passes
from kestrel_lab.schema.access import Coded, Dictionary, Lists
from kestrel_lab.schema.build import GrowingStrings
from kestrel_lab.schema.derive import basename, dirname, extension
from kestrel_lab.schema.schema import BUILTIN

_WORDS = [b"a", b"-c", b"/tmp/x", b"b c", b"", b"AB", b"x" * 40, b"\xff", b"-", b"a-c"]
lists = st.lists(st.lists(st.sampled_from(_WORDS), max_size=4), min_size=1, max_size=8)
_patterns = st.sampled_from(
    [
        b"*a*",
        b"a*",
        b"*-c /tmp*",
        b"-*c*",
        b"*",
        b"",
        b"a",
        b"* *",
        b"*b c*",
        b"*x*x*",
        b"*" + b"x" * 40,
        b"?",
        b"*\xff*",
    ]
)
_likes = st.builds(
    lambda fold, found: TextTest("f", "like", fold, tuple(sorted({p.lower() if fold else p for p in found}))),
    st.booleans(), st.lists(_patterns, min_size=1, max_size=3),
)  # fmt: skip
_literals = st.builds(
    lambda op, p: TextTest("f", op, False, (p,)),
    st.sampled_from(["equal", "prefix", "suffix", "contains", "less"]), st.sampled_from([b"a", b"-c /", b"", b"a a"]),
)  # fmt: skip
_regexes = st.builds(
    lambda p, fold: TextTest("f", "regex", False, (translate(p, fold=fold),)),
    st.sampled_from([".*-c.*", "a", ".*c /t.*", "[ab]+", ".*(a|b).*", "-.?c", ""]), st.booleans(),
)  # fmt: skip
tests = st.lists(st.one_of(_likes, _literals, _regexes), max_size=6)


def dictionary(found: list[list[bytes]], *, joined: bool) -> Dictionary:
    """A dictionary of lists; code 0 is the empty list, which is missing."""
    strings = GrowingStrings()
    codes = [[], *([strings.code(word) for word in words] for words in found)]
    offsets = np.cumsum([0, *map(len, codes)])
    items = np.array([code for of_one in codes for code in of_one], np.int32)
    values = [None, *((b" ".join(words) if joined else tuple(words)) if words else None for words in found)]
    elements = Dictionary("e", lambda: len(strings), lambda a, b: strings.values(a, b))
    made = Lists(lambda: (offsets, items), elements, joined)
    return Dictionary("d", lambda: len(codes), lambda a, b: values[a:b], None, made)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(lists, tests, st.booleans(), st.data())
def test_lists_and_joined_lists_pass_what_the_definition_says(found, chosen, joined, data) -> None:  # type: ignore[no-untyped-def]
    chosen = list({(t.op, t.fold, t.patterns): t for t in chosen}.values())
    elements = Elements()
    others = Classes(chosen[::2], np.zeros((len(chosen[::2]), 64), np.uint8), elements, joined=not joined)
    classes = Classes(chosen, np.zeros((len(chosen), 64), np.uint8), elements, joined=joined)
    classes.enter(0)
    if data.draw(st.booleans()):  # who asks first makes no difference
        others.enter(0)
        others.of(Coded(np.arange(len(found) + 1), dictionary(found, joined=not joined)), range(len(chosen[::2])))
    coded = Coded(np.arange(len(found) + 1), dictionary(found, joined=joined))
    asked = data.draw(st.permutations(range(len(chosen))))
    for test in asked:  # in any order, one at a time, the answers stay
        classes.of(coded, [test])
    numbers = classes.of(coded)
    bits = classes.bits[numbers]
    for number, test in enumerate(chosen):
        for row, words in enumerate([[], *found]):
            values = [b" ".join(words)] if joined and words else words
            assert bits[row, number] == any(passes(test, v) for v in values), (test, words)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 140), st.lists(st.lists(st.integers(0, 400), max_size=5), min_size=1, max_size=9),
       st.integers(0, 2**32 - 1), st.sampled_from([0, 8, 1_024]), st.sampled_from([0, 2, 64]))  # fmt: skip
def test_a_list_of_vectors_has_what_any_of_them_has(
    width: int, lists: list[list[int]], seed: int, tabled: int, long: int
) -> None:
    table = np.random.default_rng(seed).random((90, width)) < 0.1
    vectors = Vectors(width)
    unions = Unions(vectors)
    with pytest.MonkeyPatch.context() as patch:  # with a table of pairs, without one, and where it is outgrown
        patch.setattr("kestrel_lab.engine.text.vectors._TABLED", tabled)
        patch.setattr("kestrel_lab.engine.text.vectors._LONG", long)
        for half in (table[:40], table):
            numbers = vectors.number(half)
            flat = numbers[np.array([n % len(half) for items in lists for n in items], np.int64)]
            found = unions.of(flat, np.array([*map(len, lists)]))
            wanted = [half[np.array(items, np.int64) % len(half)].any(axis=0) for items in lists]
            assert (vectors.bits[found] == wanted).all()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=70, max_size=70), min_size=1, max_size=12))
def test_equal_vectors_have_one_number(rows: list[list[bool]]) -> None:
    vectors, table = Vectors(70), np.array([*rows, *rows], np.bool_)
    numbers = vectors.number(table)
    assert (vectors.bits[numbers] == table).all()
    assert len({tuple(row) for row in rows}) == len(set(numbers.tolist()))


def clauses_of(query: str) -> tuple[Clause, ...]:
    (stage,) = compile_query(query).stages
    return ordered(implied(stage.expr, BUILTIN.fields).clauses, BUILTIN.fields)


def gates(condition: str) -> list[set[tuple[str, tuple[bytes, ...], bool]]]:
    return [
        {(t.field, t.patterns, holds) for t, holds in clause} for clause in clauses_of(f"process where {condition}")
    ]


def test_a_condition_joined_by_or_has_a_clause_if_each_part_has_one() -> None:
    name, args = ("process.name", (b"a",), True), ("process.args", (b"x",), True)
    assert gates('process.args == "x" and process.name == "a"') == [{name}, {args}]
    assert gates('(process.name == "a" and process.pid > 1) or process.args == "x"') == [{name, args}]
    assert gates('process.name == "a" or process.pid > 1') == []
    assert gates('not process.name == "a"') == [{("process.name", (b"a",), False)}]
    assert gates('not process.name like "a?c"') == []
    assert gates('(process.name == "a" and process.args == "x") or not user.id == "0"') == [
        {name, ("user.id", (b"0",), False)}, {args, ("user.id", (b"0",), False)},
    ]  # fmt: skip
    assert gates('event.action == "exec" and host.os.type == "linux"') == [{("host.os.type", (b"linux",), True)}]


def test_what_is_derived_is_gated_by_the_string_it_is_part_of_first() -> None:
    wide, narrow = clauses_of('file where file.extension == "so" or file.name like "*x?yy"')
    assert {(t.field, t.op, t.patterns) for t, _ in wide} == {("file.path", "contains", (p,)) for p in (b".so", b"yy")}
    assert {t.field for t, _ in narrow} == {"file.extension", "file.name"}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["extension", "name", "directory"]),
    st.sampled_from(["==", ":", "like", "like~", "in", "in~"]),
    st.lists(st.sampled_from(["so", "SO", "*o", "?so", "a/*", "/", "*", "x", ".x"]), min_size=1, max_size=2),
    st.lists(st.sampled_from([b"/", b"a", b".so", b".SO", b"x", b"."]), max_size=6).map(b"".join),
)
def test_a_path_passes_what_is_implied_of_it(part: str, op: str, patterns: list[str], path: bytes) -> None:
    value = f'"{patterns[0]}"' if op == "==" else "(" + ", ".join(f'"{p}"' for p in patterns) + ")"
    made = {"file.path": path, "file.name": basename(path), "file.extension": extension(path),
            "file.directory": dirname(path)}  # fmt: skip
    clauses = clauses_of(f"file where file.{part} {op} {value}")
    holds = [any((v := made[t.field]) is not None and passes(t, v) for t, _ in clause) for clause in clauses]
    assert holds == sorted(holds, reverse=True)  # the first ones are implied by the last
