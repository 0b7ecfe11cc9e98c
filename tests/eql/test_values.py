"""Numbers and dates as text, by examples from Java's documentation, and against what the naive evaluator does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.eql.dates import millis_of, text_of
from kestrel_lab.eql.javatext import of_double, to_number
from tests.eql import naive_values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (5.0, "5.0"), (100.0, "100.0"), (0.001, "0.001"), (0.00095, "9.5E-4"),
        (9_999_999.0, "9999999.0"), (1e7, "1.0E7"), (12_345_678.9, "1.23456789E7"), (1e10, "1.0E10"),
        (-1.5e-7, "-1.5E-7"), (1e300, "1.0E300"), (math.inf, "Infinity"), (math.nan, "NaN"),
    ],
)  # fmt: skip
def test_a_double_as_java_writes_it(value: float, text: str) -> None:
    assert of_double(value) == text


@settings(max_examples=500, deadline=None)
@given(st.floats())
def test_doubles_agree_with_the_definition(value: float) -> None:
    assert of_double(value) == naive_values.double_text(value)
    back = to_number(of_double(value), None)
    assert back == value or math.isnan(value)


@settings(max_examples=500, deadline=None)
@given(st.text("0123456789abcdefxzXNaInity+-.eEdDfF _", max_size=8), st.sampled_from([None, 2, 8, 10, 16, 36, 37]))
def test_numbers_agree_with_the_definition(text: str, base: int | None) -> None:
    found, wanted = to_number(text, base), naive_values.number(text.encode(), base)
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01", 0), ("1970-01-01T00:00:01Z", 1000), ("1970-01-01T01:00+01:00", 0),
        ("1970-01-01T00:00:00.0019Z", 1), ("1970-01-01T00:00-00:30", 1_800_000),
        ("2017-08-30T20:47:33Z", 1_504_126_053_000), ("1969-12-31T23:59:59.999Z", -1),
    ],
)  # fmt: skip
def test_a_date(text: str, millis: int) -> None:
    assert millis_of(text.encode()) == millis
    assert millis_of(text_of(millis)) == millis


@pytest.mark.parametrize("text", ["", "x", "1970", "1970-13-01", "1970-01-01T25:00Z", "1970-01-01 00:00:00"])
def test_what_is_no_date(text: str) -> None:
    assert millis_of(text.encode()) is None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 4_000_000_000_000))
def test_dates_agree_with_the_definition(millis: int) -> None:
    assert text_of(millis).decode() == naive_values.instant_text(millis)
    assert naive_values.instant(text_of(millis)) == millis
