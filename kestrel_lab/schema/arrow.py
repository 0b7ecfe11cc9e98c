"""Arrow schemas of the tables, from the field table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from kestrel_lab.schema.epoch import Rows
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import Column, Physical


def arrow_field(column: Column) -> pa.Field[Any]:
    """Return the Arrow field of a physical column; its metadata says `physical` and whether it is stored as deltas."""
    meta = {"physical": column.physical.value} | ({"delta": "1"} if column.delta else {})
    return pa.field(column.name, column.physical.arrow, nullable=column.nullable, metadata=meta)


def arrow_schema(schema: Schema, table: str) -> pa.Schema:
    """Return the Arrow schema of an event table, or of `entity`: codes and refs as plain integers."""
    return pa.schema([arrow_field(c) for c in schema.columns_of(table)], metadata={"table": table})


def record_batch(schema: Schema, table: str, rows: Rows, start: int = 0) -> pa.RecordBatch:
    """Return rows `start` on as one record batch of `arrow_schema(schema, table)`, ids and times absolute."""
    arrays = [_array(c, rows, start) for c in schema.columns_of(table)]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema, table))


def _array(column: Column, rows: Rows, start: int) -> pa.Array[Any]:
    if column.physical is Physical.CODES:
        offsets, codes = rows.lists(column.name)
        part = offsets[start:]
        return pa.ListArray.from_arrays(
            pa.array((part - part[0]).astype(np.int32)),
            pa.array(codes[part[0] : part[-1]]),
            type=column.physical.arrow,
        )
    values = rows.column(column.name)[start:]
    if column.physical is Physical.BIN16:
        data = np.ascontiguousarray(values).tobytes()
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(values), [None, pa.py_buffer(data)])
    valid = rows.valid(column.name) if column.nullable else None
    return pa.array(values, type=column.physical.arrow, mask=None if valid is None else ~valid[start:])
