"""The fast matcher against the definition of one test on one value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.text.single import single
from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.eql.ir import TextOp, TextTest
from kestrel_lab.eql.texttest import passes
from kestrel_lab.eql.wildcard import matches
from kestrel_lab.schema.access import Text

SCRAPS = [b"a", b"A", b"b", b"/", b"ab", b"*", b"?", b"\xc3\xa9", b"\xc3", b"\xa9", b"\xe2\x82\xac", b"\xff", b"."]
values = st.lists(st.sampled_from(SCRAPS), max_size=8).map(b"".join)
patterns = st.lists(st.sampled_from([*SCRAPS[:8], SCRAPS[10]]), max_size=6).map(b"".join)
OPS: list[TextOp] = ["prefix", "suffix", "contains", "equal", "like", "less", "less_equal", "greater", "greater_equal"]

LISTS = ("equal", "like", "prefix", "suffix", "contains")


def make(op: TextOp, fold: bool, found: list[bytes]) -> TextTest:
    fold = fold and op in LISTS
    found = [p.lower() for p in found] if fold else found
    return TextTest("f", op, fold, tuple(sorted(set(found))) if op in LISTS else (found[0],))


tests = st.builds(make, st.sampled_from(OPS), st.booleans(), st.lists(patterns, min_size=1, max_size=4))


def expected(test: TextTest, value: Text) -> bool:
    if value is None:
        return False
    return any(passes(test, v) for v in (value if isinstance(value, tuple) else (value,)))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(tests, max_size=12),
    st.lists(st.one_of(values, st.none(), st.lists(values, min_size=1, max_size=4).map(tuple)), max_size=6),
)
def test_the_matcher_agrees_with_the_definition(chosen: list[TextTest], found: list[Text]) -> None:
    matcher = Matcher(chosen)
    want = [[expected(t, v) for t in chosen] for v in found]
    assert matcher.bits(found).tolist() == want
    assert matcher.bits(found).tolist() == want  # remembered elements change nothing


@settings(max_examples=300, deadline=None)
@given(tests, values)
def test_one_value_passes_as_in_a_column(test: TextTest, value: bytes) -> None:
    assert single(test)(value) is passes(test, value)


def slow(pattern: str, value: str) -> bool:
    """The textbook recursion over characters."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(slow(pattern[1:], value[i:]) for i in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and slow(pattern[1:], value[1:])


@settings(max_examples=300, deadline=None)
@given(patterns, values)
def test_the_definition_agrees_with_the_textbook(pattern: bytes, value: bytes) -> None:
    want = slow(pattern.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
    assert matches(pattern, value) == want


@pytest.mark.parametrize(
    ("pattern", "value", "want"),
    [
        (b"*", b"", True),
        (b"?", b"", False),
        (b"", b"", True),
        (b"", b"a", False),
        (b"/etc/*", b"/etc/a/b", True),
        (b"/etc/*", b"/etc/", True),
        (b"a*a", b"a", False),
        (b"caf?", b"caf\xc3\xa9", True),
        (b"caf??", b"caf\xc3\xa9", False),
        (b"*??", b"\xe2\x82\xac", False),
        (b"a?c", b"a\xffc", True),
        (b"a?c", b"a\xc3c", True),
        (b"a?c", b"a\xe2\x82c", False),
        (b"a??c", b"a\xe2\x82c", True),
        (b"a\\*", b"a\\b", True),
        (b"*.sh", b"x.SH", False),
        (b"?", b"*", True),
        (b"a*b", b"a\nb", True),
        (b"a?b", b"a\nb", True),
    ],
)
def test_wildcards(pattern: bytes, value: bytes, want: bool) -> None:
    assert matches(pattern, value) is want
    assert Matcher([TextTest("f", "like", False, (pattern,))]).bits([value]).tolist() == [[want]]


def test_folding_is_ascii() -> None:
    test = TextTest("f", "equal", True, ("\u00e9k".encode(),))
    assert Matcher([test]).bits(["\u00e9K".encode(), "\u00c9k".encode(), "\u00e9\u212a".encode()]).tolist() == [
        [True], [False], [False],
    ]  # fmt: skip


def test_addresses_are_compared_as_addresses() -> None:
    test = TextTest("f", "address", False, (b"10.0.0.1", b"fe80::1"))
    found = [b"10.0.0.1", b"::ffff:10.0.0.1", b"fe80:0:0::1", b"FE80::1", b"10.0.0.2", b"nothing", b"\xff", None]
    assert Matcher([test]).bits(found)[:, 0].tolist() == [True, True, True, True, False, False, False, False]


def test_blocks_of_addresses() -> None:
    found = [b"10.9.9.9", b"11.0.0.1", b"fe80::1", b"::1", b"::2", b"::ffff:10.0.0.1", b"nothing", None]
    wanted = {
        b"10.0.0.0/8": [0, 5],
        b"fe80::/10": [2],
        b"::1/128": [3],
        b"0.0.0.0/0": [0, 1, 5],
        b"::/0": [0, 1, 2, 3, 4, 5],
    }
    tests = [TextTest("f", "cidr", False, (block,)) for block in wanted]
    out = Matcher(tests).bits(found)
    for column, test in enumerate(tests):
        assert out[:, column].tolist() == [expected(test, v) for v in found]
        assert out[:, column].nonzero()[0].tolist() == wanted[test.patterns[0]]


def test_a_pattern_that_invites_backtracking_is_quick() -> None:
    pattern = b"*" + b"a*" * 200 + b"b"
    tests = [TextTest("f", "like", False, (pattern,)), TextTest("f", "like", False, (b"*?a" * 50 + b"c",))]
    assert not Matcher(tests).bits([b"a" * 20_000]).any()


def test_nothing_in_nothing_out() -> None:
    assert Matcher([]).bits([b"a"]).shape == (1, 0)
    assert Matcher([TextTest("f", "equal", False, (b"a",))]).bits([]).shape == (0, 1)


@pytest.mark.parametrize(("pattern", "near"), [("4???", "a4bc"), ("ab*c*", "xabc"), ("*c?ab", "cxabx")])
def test_values_are_looked_at_only_where_the_literal_stands_where_it_must(pattern: str, near: str) -> None:
    matcher = Matcher([TextTest("f", "like", False, (pattern.encode(),))])
    fits = pattern.replace("*", "yy").replace("?", "y").encode()
    assert matcher.known(matcher.numbers([near.encode(), fits]))[:, 1].tolist() == [False, True]
