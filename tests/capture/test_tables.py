from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.tables import ip_text, join_name


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        (b"/tmp", b"a", b"/tmp/a"),
        (b"/", b"a", b"/a"),
        (b"/tmp", b"/etc/passwd", b"/etc/passwd"),
        (b"/tmp", b"./a//b/.", b"/tmp/a/b"),
        (b"/tmp", b"../a", b"/tmp/../a"),
        (b"", b"a/b", b"a/b"),
        (b"/tmp", b"dir/", b"/tmp/dir"),
        (b"/tmp", b"sp ace\n\xff", b"/tmp/sp ace\n\xff"),
        (b"/tmp", b"...", b"/tmp/..."),
        (b"/tmp", b"", None),
    ],
)
def test_a_name_in_a_folder(folder: bytes, name: bytes, path: bytes | None) -> None:
    assert join_name(folder, name) == path


@given(st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b))
def test_an_absolute_name_stays_absolute(name: bytes) -> None:
    found = join_name(b"/base", b"/" + name)
    assert found is not None
    assert found.startswith(b"/")
    assert b"//" not in found


@pytest.mark.parametrize(
    ("family", "raw", "text"),
    [
        (socket.AF_INET, bytes([10, 0, 0, 1]) + bytes(12), b"10.0.0.1"),
        (socket.AF_INET6, bytes(15) + b"\1", b"::1"),
        (socket.AF_INET6, bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1]), b"10.0.0.1"),
        (socket.AF_INET6, bytes.fromhex("20010db8000000000000000000000001"), b"2001:db8::1"),
    ],
)
def test_addresses_are_canonical(family: int, raw: bytes, text: bytes) -> None:
    assert ip_text(family, raw) == text
