"""Columns between NumPy and the column memory, exactly: 64-bit integers, every NaN, and what is missing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.access import Numbers
from kestrel_lab.schema.epoch import Array

#: Element types of the column slots; tables of tests are not columns.
DTYPES: dict[SlotKind, str] = {
    SlotKind.CLASS: "<u4",
    SlotKind.I64: "<i8",
    SlotKind.U64: "<u8",
    SlotKind.F64: "<f8",
    SlotKind.BOOL: "u1",
}
Memory = npt.NDArray[np.uint8]


def store_column(memory: Memory, at: int, kind: SlotKind, values: Array) -> None:
    """Write values to the column that begins at byte `at`."""
    end = at + len(values) * kind.item_bytes
    memory[at:end].view(DTYPES[kind])[:] = values


def load_column(memory: Memory, at: int, kind: SlotKind, count: int) -> Array:
    """Return a copy of `count` values of the column that begins at byte `at`; booleans as such."""
    values = memory[at : at + count * kind.item_bytes].view(DTYPES[kind]).copy()
    return values.view(np.bool_) if kind is SlotKind.BOOL else values


def store_numbers(memory: Memory, data: int, validity: int, kind: SlotKind, found: Numbers) -> None:
    """Write numbers to byte `data` on, and one byte each at `validity` on: 1 where there is a value."""
    store_column(memory, data, kind, found.values)
    memory[validity : validity + len(found.values)] = 1 if found.valid is None else found.valid


def scatter_column(memory: Memory, at: int, kind: SlotKind, positions: Array, values: Array) -> None:
    """Write values to some positions, which rise, of the column that begins at byte `at`."""
    if len(positions):
        count = int(positions[-1]) + 1
        column = memory[at : at + count * kind.item_bytes].view(DTYPES[kind])
        column[... if count == len(positions) else positions] = values


def scatter_numbers(memory: Memory, data: int, validity: int, kind: SlotKind, positions: Array, found: Numbers) -> None:
    """Write numbers to some positions, as `scatter_column`, and one byte each from `validity` on: 1 if there is one."""
    scatter_column(memory, data, kind, positions, found.values)
    memory[validity + positions] = 1 if found.valid is None else found.valid


def load_numbers(memory: Memory, data: int, validity: int, kind: SlotKind, count: int) -> Numbers:
    """Return the numbers that `store_numbers` wrote."""
    valid = memory[validity : validity + count].copy().view(np.bool_)
    return Numbers(load_column(memory, data, kind, count), None if valid.all() else valid)
