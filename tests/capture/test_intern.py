from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.capture import intern
from kestrel_lab.capture.intern import group, masked

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 2)), max_size=40)


def check(rows: list[tuple[int, int]]) -> None:
    small = np.array([r[0] for r in rows], np.uint16)
    wide = np.array([[r[1], r[0]] for r in rows], np.uint64).reshape(-1, 2)
    first, inverse = group(small, wide)
    assert len(first) == len(set(rows))
    assert [rows[i] for i in first[inverse]] == rows if rows else len(inverse) == 0
    assert [rows.index(rows[i]) for i in first] == first.tolist()  # the first of its like


@given(ROWS)
def test_groups_are_exact(rows: list[tuple[int, int]]) -> None:
    check(rows)


@given(ROWS)
def test_groups_are_exact_where_every_hash_collides(rows: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intern, "_hash", lambda columns: np.zeros(len(columns[0]), np.uint64))
        check(rows)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=20), st.booleans())
def test_what_lies_past_a_length_is_never_seen(texts: list[bytes], long: bool) -> None:
    texts = [t * 9 for t in texts] if long else texts
    width = 8 * 70
    raw = np.full((len(texts), width), 0xA5, np.uint8)
    for row, text in zip(raw, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    words = masked(raw.view(np.uint64), np.array([len(t) for t in texts]))
    assert [w.tobytes().ljust(width, b"\0") for w in words] == [t.ljust(width, b"\0") for t in texts]
