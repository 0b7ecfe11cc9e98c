"""Scans made ready for another process: what several rules found in the same rows is looked up, and sent, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kestrel_lab.engine.hits.captures import Captures, SharedCaptures, settle
from kestrel_lab.engine.hits.keys import By, JoinKeys
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.schema.epoch import Array


def ready(scan: Scan) -> Scan:
    """Return a scan with the same hits, whose blocks share their keys and captures, all of them looked up."""
    blocks = [block for found in scan.hits.values() for block in found]
    keys, captures = _keys(blocks), _captures(blocks)
    hits = {
        rule_id: [replace(b, keys=keys.get(id(b), b.keys), captures=captures.get(id(b), b.captures)) for b in found]
        for rule_id, found in scan.hits.items()
    }
    return replace(scan, hits=hits)


def _keys(blocks: Sequence[Hits]) -> dict[int, JoinKeys]:
    """Return the keys of blocks, by block: found once for each table and fields."""
    groups: dict[tuple[int, str, By], list[tuple[Hits, Array]]] = {}
    for block in blocks:
        if block.keys.origin is not None:
            _, epoch, table, by, rows = block.keys.origin
            groups.setdefault((id(epoch), table, by), []).append((block, rows))
    out: dict[int, JoinKeys] = {}
    for found in groups.values():
        origin = found[0][0].keys.origin
        if origin is not None:
            every = _union([rows for _, rows in found])
            sets, index = JoinKeys(*origin[:4], every).found()
            out |= {id(b): JoinKeys.found_already(sets, index[np.searchsorted(every, rows)]) for b, rows in found}
    return out


def _captures(blocks: Sequence[Hits]) -> dict[int, SharedCaptures]:
    """Return the captures of blocks, by block: looked up once for each table and fields."""
    groups: dict[tuple[int, str, tuple[str, ...]], list[Hits]] = {}
    for block in blocks:
        if block.captures.source is not None:
            groups.setdefault(block.captures.source, []).append(block)
    wholes: list[Captures] = []
    out: dict[int, SharedCaptures] = {}
    for found in groups.values():
        every = _union([block.captures.rows for block in found])
        wholes.append(found[0].captures.whole())
        wholes[-1].keep(every)
        out |= {id(b): SharedCaptures(wholes[-1], b.captures.rows) for b in found}
    settle(wholes)
    return out


def _union(parts: Sequence[Array]) -> Array:
    """Return the rows that are in any part, rising."""
    seen = np.zeros(max(int(rows.max(initial=-1)) for rows in parts) + 1, np.bool_)
    for rows in parts:
        seen[rows] = True
    return np.flatnonzero(seen)
