"""Record batches read column by column: a column's bytes are decompressed when it is asked for, not before.

Arrow's own reader decodes whole batches (or, with chosen fields, reads every dictionary again), so the metadata of a
record batch message is read here; the layout is that of Arrow's Message.fbs and is frozen.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kestrel_lab.schema.build import DTYPES
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.types import Column, Physical

_CONTINUATION = 0xFFFFFFFF
_DICTIONARY, _RECORD_BATCH = 2, 3  # of MessageHeader
_CODECS = (pa.Codec("lz4"), pa.Codec("zstd"))
#: buffers (and nodes) that one column takes in a batch: lists have a child
_BUFFERS = {Physical.CODES: (4, 2)}


class MalformedError(ValueError):
    """The bytes are no record batch of the format."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A flatbuffers table: `field(i)` is the place of its i-th field, 0 if absent."""

    data: memoryview
    at: int

    def field(self, index: int) -> int:
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size = struct.unpack_from("<H", self.data, vtable)[0]
        slot = 4 + 2 * index
        offset = struct.unpack_from("<H", self.data, vtable + slot)[0] if slot < size else 0
        return self.at + offset if offset else 0

    def follow(self, place: int) -> int:
        return place + int(struct.unpack_from("<I", self.data, place)[0])


class _Buffers:
    """The buffers of a RecordBatch table, decompressed one by one."""

    def __init__(self, batch: _Table, body: memoryview) -> None:
        head = batch.data
        self.rows: int = struct.unpack_from("<q", head, batch.field(0))[0]
        self.nodes = _structs(head, batch.follow(batch.field(1)))
        self._places = _structs(head, batch.follow(batch.field(2)))
        self._body = body
        self._codec: pa.Codec | None = None
        place = batch.field(3)
        if place:
            compression = _Table(head, batch.follow(place))
            codec = compression.field(0)
            self._codec = _CODECS[head[codec] if codec else 0]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> memoryview:
        offset, length = self._places[index]
        raw = self._body[offset : offset + length]
        if self._codec is None or not length:
            return raw
        size = struct.unpack_from("<q", raw, 0)[0]
        if size == -1:
            return raw[8:]
        return memoryview(self._codec.decompress(raw[8:], decompressed_size=size)) if size else raw[:0]


class BatchColumns:
    """The columns of one record batch; `message` is its whole IPC message, `columns` what it holds, in order."""

    def __init__(self, message: memoryview, columns: tuple[Column, ...]) -> None:
        """Read the metadata.

        Raises:
            MalformedError: if the message is no record batch with such columns.
        """
        try:
            kind, header, body, _ = _message(message)
            if kind != _RECORD_BATCH:
                raise MalformedError("no record batch")
            self._buffers = _Buffers(header, body)
            self._at = self._places(columns)
        except (struct.error, IndexError) as error:
            raise MalformedError(str(error)) from error
        self.rows = self._buffers.rows
        self._columns: dict[str, Array] = {}
        self._valid: dict[str, npt.NDArray[np.bool_] | None] = {}

    def _places(self, columns: tuple[Column, ...]) -> dict[str, tuple[Column, int, int]]:
        """Return (column, its first buffer, its nulls) by name."""
        out = {}
        buffer = node = 0
        for column in columns:
            buffers, nodes = _BUFFERS.get(column.physical, (2, 1))
            out[column.name] = (column, buffer, int(self._buffers.nodes[node][1]))
            buffer, node = buffer + buffers, node + nodes
        if buffer != len(self._buffers) or node != len(self._buffers.nodes):
            raise MalformedError("a batch of other columns")
        return out

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def column(self, name: str) -> Array:
        """Return a column's values, absolute; 0 where null."""
        found = self._columns.get(name)
        if found is None:
            column, buffer, _ = self._at[name]
            found = self._columns[name] = self._values(column, self._buffers[buffer + 1])
        return found

    def valid(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Return which rows have a value, None if all have."""
        if name not in self._valid:
            _, buffer, nulls = self._at[name]
            self._valid[name] = self._bits(self._buffers[buffer], self.rows) if nulls else None
        return self._valid[name]

    def lists(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return (offsets from 0, codes) of a list column."""
        _, buffer, _ = self._at[name]
        offsets = np.frombuffer(self._buffers[buffer + 1], "i4")[: self.rows + 1].astype("i8")
        count = int(offsets[-1]) if len(offsets) else 0
        if not len(offsets):
            offsets = np.zeros(1, "i8")
        return offsets, np.frombuffer(self._buffers[buffer + 3], "i4")[:count]

    def _values(self, column: Column, data: memoryview) -> Array:
        if column.physical is Physical.BOOL:
            return self._bits(data, self.rows)
        values: Array = np.frombuffer(data, DTYPES[column.physical], count=self.rows)
        return np.cumsum(values, dtype=values.dtype) if column.delta else values

    @staticmethod
    def _bits(data: memoryview, count: int) -> npt.NDArray[np.bool_]:
        return np.unpackbits(np.frombuffer(data, "u1"), count=count, bitorder="little").view(np.bool_)


def _structs(head: memoryview, at: int) -> list[tuple[int, int]]:
    count = struct.unpack_from("<I", head, at)[0]
    flat = struct.unpack_from(f"<{2 * count}q", head, at + 4)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _message(data: memoryview) -> tuple[int, _Table, memoryview, memoryview]:
    """Return (kind, header, body, what follows) of the first IPC message of some bytes."""
    marker, size = struct.unpack_from("<II", data, 0)
    if marker != _CONTINUATION or not size:
        raise MalformedError("no message here")
    head = data[8 : 8 + size]
    root = _Table(head, struct.unpack_from("<I", head, 0)[0])
    place = root.field(3)
    body = struct.unpack_from("<q", head, place)[0] if place else 0
    end = 8 + size + body
    return head[root.field(1)], _Table(head, root.follow(root.field(2))), data[8 + size : end], data[end:]


def after_schema(data: memoryview) -> memoryview:
    """Return what follows the schema message that some bytes begin with.

    Raises:
        MalformedError: if no message begins here.
    """
    try:
        return _message(data)[3]
    except (struct.error, IndexError) as error:
        raise MalformedError(str(error)) from error


def dictionary_values(head: memoryview) -> list[pa.Array[Any]]:
    """Return the dictionaries at the head of an Arrow file, in the order of their columns.

    Args:
        head: the file's bytes before its first record batch.
    """
    out = []
    rest = after_schema(head[8:])  # past the magic
    while rest:
        kind, header, body, rest = _message(rest)
        if kind != _DICTIONARY:
            raise MalformedError("no dictionary")
        buffers = _Buffers(_Table(header.data, header.follow(header.field(1))), body)
        parts = [pa.py_buffer(buffers[i]) for i in range(3)]
        out.append(pa.BinaryArray.from_buffers(pa.binary(), buffers.rows, [parts[0] if parts[0].size else None,
                                                                           *parts[1:]]))  # fmt: skip
    return out


def footer_blocks(tail: memoryview) -> list[tuple[int, int]]:
    """Return (offset, length) of every record batch message of an Arrow file, given its footer.

    Args:
        tail: from the first byte of the footer's flatbuffer to the end of the file.
    """
    footer = _Table(tail, struct.unpack_from("<I", tail, 0)[0])
    at = footer.follow(footer.field(3))
    count = struct.unpack_from("<I", tail, at)[0]
    blocks = (struct.unpack_from("<qi4xq", tail, at + 4 + 24 * i) for i in range(count))
    return [(offset, meta + body) for offset, meta, body in blocks]
