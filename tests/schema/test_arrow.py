"""Rows become record batches and come back from an Arrow stream with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kestrel_lab.schema.arrow import arrow_schema, record_batch
from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingEntities
from kestrel_lab.schema.epoch import Rows
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Column, Physical


def through_stream(batch: pa.RecordBatch) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pa.ipc.open_stream(sink.getvalue()) as reader:
        assert reader.schema.equals(batch.schema, check_metadata=True)
        return reader.read_next_batch()


def column_values(column: Column, count: int) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    dtype = np.dtype(DTYPES[column.physical])
    if dtype.kind == "b":
        items = st.booleans()
    else:
        limits = np.iinfo(dtype)
        edges = st.sampled_from([int(limits.min), int(limits.max), 0])
        items = edges | st.integers(int(limits.min), int(limits.max))
    return st.lists(items, min_size=count, max_size=count).map(lambda v: np.array(v, dtype=dtype))


@st.composite
def event_rows(draw: st.DrawFn, table: str) -> Rows:
    count = draw(st.integers(0, 5))
    columns = {c.name: draw(column_values(c, count)) for c in BUILTIN.columns_of(table)}
    mask = st.lists(st.booleans(), min_size=count, max_size=count)
    valid = {c.name: np.array(draw(mask), dtype=np.bool_) for c in BUILTIN.columns_of(table) if c.nullable}
    return ArrayRows(table, count, columns, valid)


@pytest.mark.slow
@pytest.mark.parametrize("table", BUILTIN.tables)
@given(data=st.data(), start=st.integers(0, 3))
def test_event_rows_come_back(table: str, data: st.DataObject, start: int) -> None:
    rows = data.draw(event_rows(table))
    batch = through_stream(record_batch(BUILTIN, table, rows, start))
    for column in BUILTIN.columns_of(table):
        values, valid = rows.column(column.name)[start:].tolist(), rows.valid(column.name)
        kept = [True] * len(values) if valid is None else valid[start:].tolist()
        expected = [v if ok else None for v, ok in zip(values, kept, strict=True)]
        assert batch.column(column.name).to_pylist() == expected


ENTITY = st.fixed_dictionaries(
    {
        "entity_id": st.binary(min_size=16, max_size=16),
        "pid": st.integers(0, 2**32 - 1),
        "start_ns": st.integers(0, 2**64 - 1),
        "parent": st.integers(0, 2**32 - 1),
        "name": st.integers(0, 2**31 - 1),
        "args": st.lists(st.integers(1, 2**31 - 1), max_size=4),
    }
)


@given(rows=st.lists(ENTITY, max_size=5), start=st.integers(0, 3))
def test_entities_come_back(rows: list[dict[str, Any]], start: int) -> None:
    entities = GrowingEntities()
    for row in rows:
        entities.add(row)
    batch = through_stream(record_batch(BUILTIN, "entity", entities, min(start, len(entities) - 1)))
    unknown = {"entity_id": bytes(16), "pid": 0, "start_ns": 0, "parent": 0, "name": 0, "args": []}
    for name in unknown:
        expected = [r[name] for r in [unknown, *rows][min(start, len(entities) - 1) :]]
        assert batch.column(name).to_pylist() == expected


@pytest.mark.parametrize("table", [*BUILTIN.tables, "entity"])
def test_schema_names_every_column_once(table: str) -> None:
    schema = arrow_schema(BUILTIN, table)
    assert schema.names == [c.name for c in BUILTIN.columns_of(table)]
    assert len(set(schema.names)) == len(schema.names)
    for column in BUILTIN.columns_of(table):
        field = schema.field(column.name)
        assert field.nullable == column.nullable
        assert Physical((field.metadata or {})[b"physical"].decode()) is column.physical
