"""Rows as Arrow record batches: differences for `delta` columns, zero under null."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kestrel_lab.schema.arrow import arrow_schema
from kestrel_lab.schema.build import DTYPES
from kestrel_lab.schema.epoch import Array, Rows
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Column, Physical

#: below this many rows compressing costs more than it saves
_COMPRESS_ROWS = 48
_END_OF_STREAM = 8

_STRINGS: list[pa.Field[Any]] = [
    pa.field("key", pa.uint16(), nullable=False),
    pa.field("value", pa.binary(), nullable=False),
]
STRINGS_SCHEMA = pa.schema(_STRINGS, metadata={"table": "strings"})

_PLAIN = pa.ipc.IpcWriteOptions(use_threads=False)
_FAST = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


_table_schema = lru_cache(arrow_schema)


def stream_head(schema: pa.Schema) -> bytes:
    """Return the bytes a stream begins with: its schema message."""
    return schema.serialize().to_pybytes()


def batch_message(batch: pa.RecordBatch) -> memoryview:
    """Return a batch as the message that is appended to a stream."""
    sink = pa.BufferOutputStream()
    options = _FAST if batch.num_rows >= _COMPRESS_ROWS else _PLAIN
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())[len(stream_head(batch.schema)) : -_END_OF_STREAM]


def cut_stream(batch: pa.RecordBatch) -> tuple[bytes, memoryview]:
    """Return the schema message of a batch, and the batch's own message."""
    head = batch.schema.serialize().to_pybytes()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_PLAIN) as writer:
        writer.write_batch(batch)
    return head, memoryview(sink.getvalue())[len(head) : -_END_OF_STREAM]


def rows_batch(schema: Schema, table: str, rows: Rows, start: int, stop: int) -> tuple[pa.RecordBatch, set[str]]:
    """Return rows `start` to `stop` as a batch of the open form, and the columns that hold anything.

    A column holds nothing if every value is missing (null, or code 0).
    """
    arrays, held = [], set()
    for column in schema.columns_of(table):
        if column.physical is Physical.CODES:
            array, some = _lists(column, rows, start, stop)
        else:
            array, some = _plain(column, rows, start, stop)
        arrays.append(array)
        if some:
            held.add(column.name)
    return pa.RecordBatch.from_arrays(arrays, schema=_table_schema(schema, table)), held


def deltas(values: Array) -> Array:
    """Return the first value and then differences, modulo the type's range."""
    out = values.copy()
    out[1:] -= values[:-1]
    return out


def as_buffer(values: Array) -> pa.Buffer:
    """Return a contiguous array's bytes as an Arrow buffer, without a copy."""
    return pa.py_buffer(values.view(np.uint8).data)


def bitmap(valid: npt.NDArray[np.bool_]) -> pa.Buffer:
    """Return booleans as Arrow bits."""
    return as_buffer(np.packbits(valid, bitorder="little"))


def _plain(column: Column, rows: Rows, start: int, stop: int) -> tuple[pa.Array[Any], bool]:
    values = np.ascontiguousarray(rows.column(column.name)[start:stop], dtype=DTYPES[column.physical])
    valid = rows.valid(column.name) if column.nullable else None
    if valid is not None:
        valid = valid[start:stop]
        if valid.all():
            valid = None
        else:
            # What lies under a null must never reach the disk: it may be stale.
            values = np.where(valid, values, np.zeros(1, values.dtype))
    if column.nullable:
        some = valid is None or bool(valid.any())
    else:
        some = not column.physical.coded or bool(values.any())
    return plain_array(column, values, valid), some


def plain_array(column: Column, values: Array, valid: npt.NDArray[np.bool_] | None) -> pa.Array[Any]:
    """Return absolute values of one column as an Arrow array of its stored form."""
    if column.delta:
        values = deltas(values)
    data = bitmap(values) if column.physical is Physical.BOOL else as_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(column.physical.arrow, len(values), [None if valid is None else bitmap(valid), data])


def _lists(column: Column, rows: Rows, start: int, stop: int) -> tuple[pa.Array[Any], bool]:
    offsets, codes = rows.lists(column.name)
    part = offsets[start : stop + 1]
    items = np.ascontiguousarray(codes[part[0] : part[-1]], dtype="i4")
    return list_array(part - part[0], items), bool(len(items))


def list_array(offsets: npt.NDArray[np.int64], items: npt.NDArray[np.int32]) -> pa.Array[Any]:
    """Return lists of codes; `offsets` begin at 0."""
    values = pa.Array.from_buffers(pa.int32(), len(items), [None, as_buffer(items)])
    ends = as_buffer(np.ascontiguousarray(offsets, dtype="i4"))
    return pa.Array.from_buffers(Physical.CODES.arrow, len(offsets) - 1, [None, ends], children=[values])
