"""Lucene's regular expressions through RE2, against a slow matcher of their grammar."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.eql import compile_query
from kestrel_lab.eql.interval import interval
from kestrel_lab.eql.ir import TextLeaf, TextTest
from kestrel_lab.eql.re2match import matcher
from kestrel_lab.eql.regex import RegexError, translate
from kestrel_lab.eql.texttest import passes
from kestrel_lab.schema.errors import RuleError
from tests.eql.lucene import matches
from tests.support.budget import at_most

BYTES = [b"a", b"A", b"b", b"0", b"9", b"\n", b"^", b"*", b"-", b"]", b"\xc3\xa9", b"\xc3", b"\xa9", b"\xff", b"k",
         b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xed\xb2\x80", b"\xe2\x84\xaa", b"\\", b"\x00", b" "]  # fmt: skip
values = st.lists(st.sampled_from(BYTES), max_size=7).map(b"".join)

_characters = st.sampled_from([*'aAbk09|*?+(){}[]^$-_.\\"#@<>,& \n\x00', "\u00e9", "\u20ac", "\u212a", "\U0001f600"])
soup = st.lists(st.one_of(_characters, st.sampled_from(["\\d", "\\W", "\\s", "[^", "a-", "{1,2}", "<1-9>", "()"])),
                max_size=8).map("".join)  # fmt: skip

_atoms = st.sampled_from([
    "a", "A", "k", "\u00e9", "\u20ac", ".", "()", "@", "#", '"a|*"', "<0-10>", "<09-10>", "\\d", "\\D", "\\s", "\\S",
    "\\w", "\\W", "\\.", "\\\\", "[ab]", "[^ab]", "[^\u00e9]", "[a-k]", "[^a-\u20ac]", "[\\D0]", "[^\\W]", "^", "$",
    "[\u0100-\U0010ffff]", "[-k]", "[\\]\\-]", "\n",
])  # fmt: skip
patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.builds(
            lambda p, r: f"({p}){r}", inner, st.sampled_from(["?", "*", "+", "{0}", "{2}", "{1,}", "{0,2}", "*?", "+*"])
        ),
    ),
    max_leaves=6,
)


def accepts(pattern: str, value: bytes, fold: bool = False) -> bool:
    return matcher((translate(pattern, fold=fold),))(value)


@pytest.mark.parametrize("pattern", ["k", "(a|k)", "s|a", "(a|s|k)", "[ks]|a", "a|[^ab]"])
def test_folding_is_ascii_wherever_a_letter_stands(pattern: str) -> None:
    """RE2 folds by Unicode what it makes of `[Aa]|[Kk]` itself."""
    for value in ("\u212a", "\u017f", "K", "k", "S", "s", "A"):
        assert accepts(pattern, value.encode(), True) == matches(pattern, value.encode(), fold=True), value


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(patterns, st.lists(values, min_size=1, max_size=6), st.booleans())
def test_the_translation_means_what_lucene_means(pattern: str, found: list[bytes], fold: bool) -> None:
    assert [accepts(pattern, v, fold) for v in found] == [matches(pattern, v, fold=fold) for v in found]


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(soup, values, st.booleans())
def test_what_lucene_refuses_is_refused_and_nothing_else(pattern: str, value: bytes, fold: bool) -> None:
    try:
        want = matches(pattern, value, fold=fold)
    except ValueError:
        with pytest.raises(RegexError):
            translate(pattern, fold=fold)
    else:
        assert accepts(pattern, value, fold) == want


@settings(max_examples=300, deadline=None)
@given(st.lists(patterns, min_size=1, max_size=4), values)
def test_a_list_is_one_of_its_patterns(chosen: list[str], value: bytes) -> None:
    sources = tuple(sorted({translate(p, fold=False) for p in chosen}))
    test = TextTest("f", "regex", False, sources)
    want = any(matches(p, value) for p in chosen)
    assert passes(test, value) == want
    assert Matcher([test]).bits([value, None, (b"", value)])[:, 0].tolist() == [want, False, want or passes(test, b"")]


@pytest.mark.parametrize(
    ("pattern", "value", "want"),
    [
        ("b", b"abc", False),
        ("^a$", b"a", False),
        ("^a$", b"^a$", True),
        ("a.b", b"a\nb", True),
        ("a.b", "a\u00e9b".encode(), True),
        ("a..b", "a\u00e9b".encode(), False),
        ("a.b", b"a\xffb", True),
        ("a..b", b"a\xe2\x82b", True),
        ("a[^x]b", b"a\xffb", True),
        ("a[\u0080-\U0010ffff]b", b"a\xffb", False),
        ("a[\u0080-\U0010ffff]b", "a\u00e9b".encode(), True),
        (".", b"\xed\xa0\x80", False),
        ("...", b"\xed\xa0\x80", True),
        ("a*?b", b"aab", True),
        ("foo<1-100>", b"foo0042", True),
        ("foo<01-99>", b"foo7", False),
        ('"a.b"', b"axb", False),
        ("\\@\\#", b"@#", True),
        ("a|", None, False),
    ],
)
def test_examples(pattern: str, value: bytes | None, want: bool) -> None:
    if value is None:
        with pytest.raises(RegexError):
            translate(pattern, fold=False)
    else:
        assert accepts(pattern, value) is want
        assert matches(pattern, value) is want


def test_folding_is_ascii_and_leaves_ranges_alone() -> None:
    found = ["ABC", "abc", "AbC"]
    assert [accepts("abc", v.encode(), True) for v in found] == [True, True, True]
    assert [accepts("[abc]+", v.encode(), True) for v in found] == [True, True, True]
    assert [accepts("[a-c]+", v.encode(), True) for v in found] == [False, True, False]
    assert not accepts("k", "\u212a".encode(), True)  # the Kelvin sign
    assert not accepts("\u00e9", "\u00c9".encode(), True)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1200), st.integers(0, 1200), st.integers(0, 3), st.integers(0, 1300))
def test_intervals(low: int, high: int, zeros: int, number: int) -> None:
    source = f"(?:{interval(low, high, 0)})".encode()
    assert matcher((source,))(b"0" * zeros + b"%d" % number) == (min(low, high) <= number <= max(low, high))
    fixed = f"(?:{interval(low, high, 4)})".encode()
    text = b"0" * zeros + b"%d" % number
    assert matcher((fixed,))(text) == (min(low, high) <= number <= max(low, high) and len(text) == 4)


def refused(condition: str) -> RuleError:
    with at_most(1), pytest.raises(RuleError) as caught:
        compile_query(f"process where {condition}", path="r")
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "what", "do"),
    [
        ("a&b", "`&` (intersection) is not supported", "`and`"),
        ("~a", "`~` (complement) is not supported", "`not`"),
        ("x<net>", "no automaton <net>", "\\<"),
        ("\\q", "unknown class \\q", "without a backslash"),
        ("(a", "never closed", "\\("),
        ("a{2000}", "more than 1,000 repetitions", "multiply"),
        ("((a{100}){100}){100}", "more than 1,000 repetitions", "multiply"),
        (".{500}" * 3, "too large", "split"),
        ("(" * 201 + "a" + ")" * 201, "nests deeper than 200", ""),
        ("(" * 4000, "nests deeper than 200", ""),
        ("a" + "?" * 4000, "nests deeper than 200", ""),
        ("[" + "a" * 5000 + "]", "longer than 4,096 characters", "split"),
    ],
    ids=lambda v: v[:12],
)
def test_refusals_name_the_place_and_what_to_do(pattern: str, what: str, do: str) -> None:
    error = refused(f'process.name regex """{pattern}"""')
    assert what in error.what
    assert do in error.do
    assert error.where == "r:1:34"


def test_huge_patterns_and_lists_are_refused_quickly() -> None:
    assert "larger than 1,048,576 bytes" in refused(f'process.name regex "{"a" * 10_000_000}"').what
    assert "longer than 4,096" in refused(f'process.name regex "{"a*" * 500_000}"').what
    many = ", ".join(f'"x{n}"' for n in range(2000))
    assert "more than 1,000 regular expressions" in refused(f"process.name regex ({many})").what
    large = ", ".join(f'"[a-z]{n}.{{999}}"' for n in range(50))
    assert "too large together" in refused(f"process.name regex ({large})").what


@pytest.mark.parametrize(
    "pattern",
    ["(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*a){20}b", "(.*.*.*)*x", "((a?){30}a{30}){30}", "(a|b)*a(a|b){900}c"],
)
def test_a_pattern_that_invites_backtracking_is_quick(pattern: str) -> None:
    check = matcher((translate(pattern, fold=False),))
    with at_most(0.5):
        assert not check(b"ab" * 2048 + b"d")


def test_lists_join_and_keep_their_case() -> None:
    program = compile_query('process where process.name regex ("a.*", "b") or process.name regex~ "c"')
    leaf = cast(TextLeaf, program.stages[0].expr)
    assert leaf.test.op == "regex"
    assert not leaf.test.fold
    assert len(leaf.test.patterns) == 3
    assert passes(leaf.test, b"C")
    assert not passes(leaf.test, b"B")
