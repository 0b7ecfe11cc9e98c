"""Lists made from their elements when they are asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.access import Dictionary, Lists
from kestrel_lab.schema.build import GrowingStrings
from kestrel_lab.schema.picked import PickedLists

_WORDS = st.sampled_from([b"a", b"b c", b"", b"\xff", b"-x"])


@given(st.lists(st.lists(_WORDS, max_size=4), min_size=1, max_size=9), st.booleans(), st.data())
def test_they_are_what_they_are_made_of(found: list[list[bytes]], joined: bool, data: st.DataObject) -> None:
    strings = GrowingStrings()
    items = np.array([strings.code(word) for words in found for word in words], np.int32)
    offsets = np.cumsum([0, *map(len, found)])
    elements = Dictionary("e", lambda: len(strings), lambda a, b: strings.values(a, b))
    places = st.lists(st.integers(0, len(found) - 1), unique=True).map(sorted)
    codes = data.draw(places)
    wanted = [(b" ".join(found[c]) if joined else tuple(found[c])) if found[c] else None for c in codes]
    picked = PickedLists(Lists(lambda: (offsets, items), elements, joined), np.array(codes, np.int64))
    some = data.draw(st.lists(st.sampled_from(range(len(codes))), unique=True).map(sorted)) if codes else []
    for values, want in ((picked, wanted), (picked.pick(np.array(some, np.int64)), [wanted[n] for n in some])):
        assert list(values) == want
        assert [values[n] for n in range(len(values))] == want
        assert values[1:] == want[1:]
