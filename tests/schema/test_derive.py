from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.derive import OF_LIST, SCALAR, basename, dirname, extension, hex_text, hex_texts, join, unhex
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.types import Derived


@pytest.mark.parametrize(
    ("path", "base", "directory", "ending"),
    [
        (b"/etc/passwd", b"passwd", b"/etc", None),
        (b"/tmp/a.tar.gz", b"a.tar.gz", b"/tmp", b"gz"),
        (b"/vmlinuz", b"vmlinuz", b"/", None),
        (b"/home/u/.bashrc", b".bashrc", b"/home/u", None),
        (b"/tmp/odd.", b"odd.", b"/tmp", None),
        (b"/var/log/", b"log", b"/var", None),
        (b"relative", b"relative", None, None),
        (b"/", None, None, None),
        (b"", None, None, None),
        (b"/x/\xff.\xfe", b"\xff.\xfe", b"/x", b"\xfe"),
        (b"/a.d/file", b"file", b"/a.d", None),
    ],
)
def test_parts_of_a_path(path: bytes, base: bytes | None, directory: bytes | None, ending: bytes | None) -> None:
    assert (basename(path), dirname(path), extension(path)) == (base, directory, ending)


@given(st.binary())
def test_parts_put_together_are_the_path(path: bytes) -> None:
    base, directory = basename(path), dirname(path)
    if base is not None and directory is not None:
        whole = directory.rstrip(b"/") + b"/" + base
        assert whole.replace(b"/", b"") == path.replace(b"/", b"")


@given(st.binary())
def test_hex_holds_every_byte(value: bytes) -> None:
    assert bytes.fromhex(hex_text(value).decode()) == value


@given(st.lists(st.binary(), min_size=1))
def test_joined_by_one_space(items: list[bytes]) -> None:
    joined = join(items)
    assert len(joined) == sum(map(len, items)) + len(items) - 1
    assert joined.startswith(items[0])
    assert joined.endswith(items[-1])


def test_every_derived_field_names_a_function_and_a_field() -> None:
    names = {f.name for f in FIELDS}
    for field in FIELDS:
        if isinstance(field.source, Derived):
            assert field.source.function in SCALAR.keys() | OF_LIST.keys()
            assert field.source.of in names


@given(st.lists(st.none() | st.binary(max_size=3)) | st.lists(st.none() | st.binary(min_size=2, max_size=2)))
def test_hexadecimal_digits_in_bulk_are_those_of_each(values: list[bytes | None]) -> None:
    texts = hex_texts(values)
    assert texts == [None if v is None else hex_text(v) for v in values]
    assert [None if t is None else unhex(t) for t in texts] == values


@pytest.mark.parametrize("text", [b"A0", b"a", b"a0 ", b"\xff\xff", b"0g"])
def test_what_is_no_hexadecimal_text_is_made_of_nothing(text: bytes) -> None:
    assert unhex(text) is None
