"""Dictionary codes of rows whose texts are made of numbers: each distinct text is made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.intern import group
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.epoch import Array


def coded(segment: GrowingSegment, key: str, columns: Sequence[Array], text: Callable[[int], bytes | None]) -> Array:
    """Return dictionary codes of rows; `text` gives the value of a row and is asked once per distinct row."""
    first, inverse = group(*columns)
    return segment.strings(key).codes([text(row) for row in first.tolist()])[inverse]


def coded_numbers(
    segment: GrowingSegment,
    key: str,
    values: Array,
    present: npt.NDArray[np.bool_],
    text: Callable[[int], bytes | None],
) -> Array:
    """Return dictionary codes of the texts of numbers, 0 where a row has none."""
    return coded(segment, key, [values, present], lambda row: text(int(values[row])) if present[row] else None)
