from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.addresses import ip_text
from kestrel_lab.capture.naming import Named, join_name, named
from kestrel_lab.schema.columns import FLAG_RELATIVE_PATH
from kestrel_lab.schema.schema import BUILTIN
from tests.capture.support import file_record
from tests.capture.test_epochs import build, rows


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
        ("mount", (b"", b"none\0tmpfs", b"/e", b"b"), False, Named(b"/e/b", mount_source=b"none", mount_type=b"tmpfs")),
        ("mount", (b"", b"\0", b"/e", b"b"), False, Named(b"/e/b")),
        ("mount", (b"/d", b"a", b"/e", b"b"), False, Named(b"/e/b", mount_source=b"/d/a")),
        ("pivot_root", (b"/d", b"a", b"/d", b"a/old"), False, Named(b"/d/a", target=b"/d/a/old")),
        ("chmod", (b"/d/a", b""), True, Named(b"/d/a")),
        ("chmod", (b"/d", b""), False, Named(None)),
        ("chmod", (b"", b""), True, Named(None)),
    ],
    ids=[
        "name",
        "two names",
        "a link",
        "a text before",
        "a text behind",
        "a mount",
        "a remount",
        "a mount moved",
        "two roots",
        "descriptor",
        "unreadable",
        "nothing",
    ],
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


def test_an_open_that_failed_has_a_folder_and_a_name_and_one_that_did_not_a_path() -> None:
    done, failed, relative, unread = rows(*build([
        file_record(1, "open", b"/d/a"), file_record(2, "open", b"/d", b"./a", ret=-13),
        file_record(3, "open", b"", b"a", ret=-2), file_record(4, "open", b"/d", ret=-14),
    ]))  # fmt: skip
    assert [e.get("file.path") for e in (done, failed, relative, unread)] == [b"/d/a", b"/d/a", b"a", None]
    assert [e["kestrel.ret"] for e in (done, failed, relative, unread)] == [0, -13, -2, -14]
    assert [e["event.outcome"] for e in (done, failed)] == [b"success", b"failure"]
    assert [e["kestrel.flags"] for e in (failed, relative)] == [0, FLAG_RELATIVE_PATH]


def test_flags_of_calls_about_files() -> None:
    mount, unmount, other = rows(*build([
        file_record(1, "mount", b"", b"none\0tmpfs", b"/d", b"a", numbers=(2 | 1 << 30,)),
        file_record(2, "unmount", b"/d", b"a", numbers=(2,)), file_record(3, "chmod", b"/d", b"a", numbers=(2,)),
    ]))  # fmt: skip
    assert mount["kestrel.call_flags"] == (b"nosuid", b"0x40000000")
    assert unmount["kestrel.call_flags"] == (b"detach",)
    assert "kestrel.call_flags" not in other
