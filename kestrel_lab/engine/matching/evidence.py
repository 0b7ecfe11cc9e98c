"""Captures of pending events, by handles that are plain integers.

Tens of thousands of sequences may be pending. As columns of integers they are nothing to the garbage collector, which
would otherwise cost more than the matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kestrel_lab.engine.hits.captures import Capture, Captures, SharedCaptures, settle
from kestrel_lab.engine.matching.keyring import Ints

_BITS = 32
_MASK = (1 << _BITS) - 1
_SMALL = 4_096  # rows that are not worth a sweep


class _Block(Protocol):
    def take(self, indexes: Sequence[int]) -> list[Capture]: ...


class _Rows:
    """Captures that were looked up already."""

    def __init__(self, rows: Sequence[Capture]) -> None:
        self._rows = rows

    def take(self, indexes: Sequence[int]) -> list[Capture]:
        return [self._rows[i] for i in indexes]


class EvidenceStore:
    """Blocks of captures by number. A handle is a block's number and a place in it."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._unsettled: dict[int, Captures] = {}
        self._fresh: list[int] = []  # numbers of blocks whose rows are all there
        self._shared: dict[tuple[int, str, tuple[str, ...]], int] = {}  # those among them that rules have in common
        self._handles: dict[tuple[int, int], tuple[Ints, Ints]] = {}  # by block and rows, with the rows, which it names
        self._rows: dict[int, int] = {}
        self._total = 0  # rows of all blocks
        self._next = 0
        self._sweep_at = _SMALL

    @property
    def rows(self) -> int:
        """How many captures are held, wanted or not; `sweep` makes them those wanted."""
        return self._total

    @property
    def crowded(self) -> bool:
        """Whether it is time to `sweep`."""
        return self._total > self._sweep_at

    def add(self, captures: Captures | SharedCaptures, count: int) -> Ints:
        """Take a block of so many rows in, until `keep`; return the handles of its rows.

        Blocks of the same fields of a table share one, so that what several rules keep is looked up once.
        """
        source = captures.source
        if source is None:
            return (self._enter(captures.copy()) << _BITS) + np.arange(count)
        number = self._shared.get(source)
        if number is None:
            number = self._shared[source] = self._enter(captures.whole())
        rows = captures.rows
        known = self._handles.get((number, id(rows)))
        if known is None:
            known = self._handles[number, id(rows)] = rows, (number << _BITS) + rows
        return known[1]

    def add_rows(self, rows: Sequence[Capture]) -> int:
        """Take in captures that were looked up; return the handle of the first."""
        return self._number(_Rows(rows), len(rows)) << _BITS

    def take(self, handles: Ints) -> dict[int, Capture]:
        """Return the captures of handles, looked up block by block."""
        out: dict[int, Capture] = {}
        for number, places in _by_block(handles).items():
            rows = self._blocks[number].take(places)
            out.update(zip(((number << _BITS) + place for place in places), rows, strict=True))
        return out

    def keep(self, handles: Ints) -> None:
        """Of the blocks that came in since the last time keep the rows among `handles` alone: let go of the epoch."""
        if not self._fresh:
            return
        wanted = _by_block(handles[handles >= self._fresh[0] << _BITS])
        for number in self._fresh:
            if number in wanted:
                self._keep(number, self._unsettled[number], wanted[number])
            else:
                self._drop(number)
        self._fresh.clear()
        self._shared.clear()
        self._handles.clear()

    def settle(self) -> None:
        """Look everything kept up, and let go of the segment: dictionary codes never leave it."""
        settle(self._unsettled.values())
        self._unsettled.clear()

    def sweep(self, handles: Ints) -> None:
        """Drop all captures but those of the handles."""
        used = _by_block(handles)
        for number, block in list(self._blocks.items()):
            if number not in used:
                self._drop(number)
            elif isinstance(block, Captures):
                self._keep(number, block, used[number])
        self._sweep_at = _SMALL + 2 * self._total

    def _enter(self, captures: Captures) -> int:
        number = self._number(captures, 0)
        self._unsettled[number] = captures
        self._fresh.append(number)
        return number

    def _keep(self, number: int, captures: Captures, places: list[int]) -> None:
        captures.keep(places)
        self._count(number, len(places))

    def _count(self, number: int, rows: int) -> None:
        self._total += rows - self._rows.get(number, 0)
        self._rows[number] = rows

    def _number(self, block: _Block, rows: int) -> int:
        number, self._next = self._next, self._next + 1
        self._blocks[number] = block
        self._count(number, rows)
        return number

    def _drop(self, number: int) -> None:
        self._blocks.pop(number)
        self._unsettled.pop(number, None)
        self._total -= self._rows.pop(number)


def _by_block(handles: Ints) -> dict[int, list[int]]:
    """Return the distinct places in each block, rising."""
    distinct = np.unique(handles)
    numbers, begins = np.unique(distinct >> _BITS, return_index=True)
    places = np.split(distinct & _MASK, begins[1:])
    return {number: part.tolist() for number, part in zip(numbers.tolist(), places, strict=False)}
