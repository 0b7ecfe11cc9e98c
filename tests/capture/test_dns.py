"""The question of a DNS query, from its bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture.dns import question

labels = st.lists(st.binary(min_size=1, max_size=63), max_size=4)


def wire(parts: list[bytes], kind: int = 1) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0" + struct.pack("!HH", kind, 1)


@given(labels, st.integers(0, 65535), st.binary(max_size=9))
def test_a_name_comes_back(parts: list[bytes], kind: int, behind: bytes) -> None:
    name, found = question(wire(parts, kind) + behind)
    assert name is not None
    assert found is not None
    if not any(b"\\" in part or b"." in part for part in parts):
        assert name == (b".".join(parts) or b".")


@given(labels, labels)
def test_two_names_are_never_written_alike(one: list[bytes], other: list[bytes]) -> None:
    assert (question(wire(one))[0] == question(wire(other))[0]) == (one == other)


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(raw: bytes) -> None:
    name, kind = question(raw)
    assert kind is None or name is not None


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", (None, None)),
        (b"\0", (b".", None)),
        (b"\0\0", (b".", None)),
        (b"\1a\0\0\1", (b"a", b"A")),
        (b"\3a.b\1\\\0\1\1", (b"a\\.b.\\\\", b"CAA")),
        (b"\5abc", (None, None)),
        (b"\300\14", (None, None)),
        (b"\1a\0\377\377", (b"a", b"65535")),
    ],
    ids=["nothing", "root", "half a type", "a name", "dots inside", "cut", "a pointer", "a type without a name"],
)
def test_questions(raw: bytes, found: tuple[bytes | None, bytes | None]) -> None:
    assert question(raw) == found
