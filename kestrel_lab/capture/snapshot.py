"""The entity snapshot that opens a segment: images and their ancestors under new refs, strings under new codes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.image import LINKS
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.types import Physical

Array = npt.NDArray[Any]


def copy_entities(old: GrowingSegment, new: GrowingSegment, refs: Sequence[int], generations: int) -> Array:
    """Copy entities, and up to so many generations of ancestors, from one segment to the next.

    Returns:
        For each ref of the old segment its ref in the new one, 0 where it was not copied.
    """
    chosen = _with_ancestors(old.entities.column("parent"), np.array(refs, np.intp), generations)
    chosen = _with_relatives(old, chosen, np.array(refs, np.intp))
    moved = np.zeros(len(old.entities), np.uint32)
    moved[chosen] = len(new.entities) + np.arange(len(chosen))
    columns: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for column in ENTITY_COLUMNS:
        name, key = column.name, f"entity:{column.name}"
        if column.physical is Physical.CODES:
            lists[name] = _lists(old, new, name, chosen)
            continue
        values = old.entities.column(name)[chosen]
        if column.physical is Physical.CODE:
            values = _recoded(old, new, key, values)
        elif column.physical is Physical.REF:
            values = moved[values]
        columns[name] = [bytes(v) for v in values] if column.physical is Physical.BIN16 else values
    if len(chosen):
        new.entities.extend(columns, lists)
    return moved


def _with_ancestors(parents: Array, refs: Array, generations: int) -> Array:
    chosen = level = np.unique(refs[refs != 0])
    for _ in range(generations):
        level = np.setdiff1d(parents[level], chosen)
        level = level[level != 0]
        if not len(level):
            break
        chosen = np.union1d(chosen, level)
    return chosen.astype(np.intp)


def _with_relatives(old: GrowingSegment, chosen: Array, refs: Array) -> Array:
    """Add what the entities themselves, not their ancestors, stand in relation to."""
    links = [old.entities.column(name)[refs] for name in LINKS]
    return np.setdiff1d(np.concatenate([chosen, *links]), [0]).astype(np.intp)


def _recoded(old: GrowingSegment, new: GrowingSegment, key: str, codes: Array) -> Array:
    distinct, inverse = np.unique(codes, return_inverse=True)
    strings = old.strings(key)
    texts = [strings.values(code, code + 1)[0] if code else None for code in distinct.tolist()]
    return new.strings(key).codes(texts)[inverse]


def _lists(old: GrowingSegment, new: GrowingSegment, name: str, chosen: Array) -> list[list[int]]:
    offsets, codes = old.entities.lists(name)
    ends = offsets.tolist()
    parts = [codes[ends[ref] : ends[ref + 1]] for ref in chosen.tolist()]
    flat = _recoded(old, new, f"entity:{name}", np.concatenate(parts) if parts else codes[:0]).tolist()
    bounds = np.cumsum([0, *map(len, parts)]).tolist()
    return [flat[a:b] for a, b in pairwise(bounds)]
