"""What grows keeps what it already gave away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.build import ArrayRows, Growable, GrowingEntities, GrowingSegment, GrowingStrings


@given(st.lists(st.none() | st.binary(max_size=4)))
def test_strings_get_one_code_each_and_keep_it(values: list[bytes | None]) -> None:
    strings = GrowingStrings()
    codes = strings.codes(values).tolist()
    known = list(dict.fromkeys(v for v in values if v is not None))
    assert codes == [0 if v is None else 1 + known.index(v) for v in values]
    assert strings.values(1, len(strings)) == known
    assert strings.bytes == sum(map(len, known))
    assert strings.codes(values).tolist() == codes


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=100), max_size=8))
def test_growable_is_the_concatenation_and_old_views_stay(parts: list[list[int]]) -> None:
    grown, views, so_far = Growable("u8"), [], []
    for part in parts:
        grown.append(part)
        so_far = so_far + part
        views.append((grown.view(), list(so_far)))
    for view, expected in views:
        assert view.tolist() == expected


def test_row_0_is_the_unknown_entity() -> None:
    entities = GrowingEntities()
    assert len(entities) == 1
    assert entities.column("pid").tolist() == [0]
    assert bytes(entities.column("entity_id")[0]) == bytes(16)
    offsets, codes = entities.lists("args")
    assert offsets.tolist() == [0, 0]
    assert len(codes) == 0


@given(st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=3), max_size=200))
def test_entities_get_the_next_ref_and_lists_their_offsets(arguments: list[list[int]]) -> None:
    entities = GrowingEntities()
    refs = [entities.add({"pid": i, "args": args}) for i, args in enumerate(arguments, 1)]
    assert refs == list(range(1, len(arguments) + 1))
    offsets, codes = entities.lists("args")
    assert [codes[offsets[r] : offsets[r + 1]].tolist() for r in refs] == arguments
    assert entities.column("pid").tolist() == [0, *refs]
    assert entities.valid("pid") is None


def test_what_an_epoch_refers_to_stays_while_entities_grow() -> None:
    entities = GrowingEntities()
    entities.add({"pid": 5, "args": [1, 2]})
    pids, (offsets, codes) = entities.column("pid"), entities.lists("args")
    for i in range(1000):
        entities.add({"pid": i, "args": np.array([i], dtype=np.int32)})
    assert pids.tolist() == [0, 5]
    assert offsets.tolist() == [0, 0, 2]
    assert codes.tolist() == [1, 2]
    assert entities.column("pid")[:2].tolist() == [0, 5]
    assert len(entities) == 1002


def test_a_segment_counts_its_dictionaries() -> None:
    segment = GrowingSegment(3)
    segment.strings("file:file.path").codes([b"/a", b"/bb", b"/a"])
    segment.strings("file:user.id")
    assert segment.index == 3
    assert segment.string_counts() == {"file:file.path": 3, "file:user.id": 1}
    assert segment.bytes == 5


def test_columns_left_out_are_zero_and_nullable_ones_missing() -> None:
    rows = ArrayRows("file", 2, {"file.inode": np.array([1, 2], dtype="u8")})
    assert len(rows) == 2
    assert rows.column("cpu").tolist() == [0, 0]
    assert rows.valid("cpu") is None
    assert rows.valid("file.inode") is None
    missing = rows.valid("file.Ext.device")
    assert missing is not None
    assert missing.tolist() == [False, False]
    with pytest.raises(KeyError):
        rows.column("nope")
    with pytest.raises(KeyError):
        rows.lists("file.path")
