"""What filters say, before any kernel sees them."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.filters import BITS, MOST, parse_filters
from kestrel_lab.schema.errors import UsageError


def test_without_filters_everything_stays() -> None:
    none = parse_filters([])
    assert none.bits == 0
    assert not any(list(none.of(what)) for what in BITS)


def test_what_fits_no_value_stays_unless_only_some_are_to_stay() -> None:
    assert parse_filters(["comm!=a"]).bits == BITS["comm"] | BITS["comm"] << 8
    assert parse_filters(["comm=a"]).bits == BITS["comm"]
    assert parse_filters(["path=/etc/", "path!=/etc/mtab"]).bits == BITS["path"]
    assert parse_filters(["uid!=0", "port=22"]).bits == BITS["uid"] | BITS["uid"] << 8 | BITS["port"]


def test_values_are_as_the_kernel_compares_them() -> None:
    filters = parse_filters(["comm!=postgres,a b", "uid=0,4294967294", "port!=53", "path!=/var/lib/docker/,/tmp=x"])
    assert dict(filters.of("comm")) == {b"postgres".ljust(16, b"\0"): False, b"a b".ljust(16, b"\0"): False}
    assert dict(filters.of("uid")) == {bytes(4): True, (2**32 - 2).to_bytes(4, sys.byteorder): True}
    assert dict(filters.of("port")) == {(53).to_bytes(2, sys.byteorder): False}
    assert dict(filters.of("path")) == {b"/var/lib/docker/": False, b"/tmp=x": False}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "WHAT=VALUES"),
        ("comm", "WHAT=VALUES"),
        ("name=a", "WHAT=VALUES"),
        ("comm==a,", "''"),
        ("comm=", "''"),
        ("comm=sixteen-bytes-ab", "sixteen-bytes-ab"),
        ("uid=root", "'root'"),
        ("uid=-1", "'-1'"),
        ("uid=4294967295", "4294967295"),
        ("uid=²", "'²'"),
        ("port=65536", "65536"),
        ("port= 22", "' 22'"),
        ("path=etc/", "'etc/'"),
        ("path=/a/../b", "'/a/../b'"),
        ("path=/a//b", "'/a//b'"),
        ("path=/" + "x" * 255, "beginning of a path"),
        ("cgroup=/etc", "cgroup"),
        ("uid=" + ",".join(map(str, range(MOST + 1))), "1025 values"),
    ],
)
def test_what_is_wrong_is_said(text: str, what: str) -> None:
    with pytest.raises(UsageError) as wrong:
        parse_filters([text])
    assert what in wrong.value.render()


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(UsageError, match="kept and to be dropped"):
        parse_filters(["port=22", "port!=22"])


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert parse_filters([text]).texts == (text,)
