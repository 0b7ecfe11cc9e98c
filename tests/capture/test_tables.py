from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.files import Named, join_name, named
from kestrel_lab.capture.tables import ip_text
from kestrel_lab.schema.schema import BUILTIN


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


@pytest.mark.parametrize(
    ("action", "parts", "by_descriptor", "found"),
    [
        ("deletion", (b"/d", b"a"), False, Named(b"/d/a")),
        ("rename", (b"/d", b"a", b"/e", b"b"), False, Named(b"/e/b", original=b"/d/a")),
        ("link", (b"/d", b"a", b"/e", b"b"), False, Named(b"/e/b", target=b"/d/a")),
        ("symlink", (b"", b"../a//b", b"/e", b"b"), False, Named(b"/e/b", target=b"../a//b")),
        ("setxattr", (b"/d", b"a", b"", b"user.x"), False, Named(b"/d/a", name=b"user.x")),
        ("chmod", (b"/d/a", b""), True, Named(b"/d/a")),
        ("chmod", (b"/d", b""), False, Named(None)),
        ("chmod", (b"", b""), True, Named(None)),
    ],
    ids=["name", "two names", "a link", "a text before", "a text behind", "descriptor", "unreadable", "nothing"],
)
def test_what_a_call_names(action: str, parts: tuple[bytes, ...], by_descriptor: bool, found: Named) -> None:
    lens = [*map(len, parts), 0, 0][:4]
    code = BUILTIN.action_code("file", action)
    assert named(code, b"".join(parts), lens, by_descriptor=by_descriptor) == found


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
