"""Join keys as canonical bytes: the same for equal values on every machine, whatever their dictionary codes.

Equality is typed and case-sensitive. A key is the concatenation of its values, each self-delimiting:
`n` null; `b` and a byte; `i` and 9 bytes, big-endian two's complement, for both integer types; `f` and 8 bytes of an
IEEE double, big-endian, negative zero as zero; `s` (string) or `a` (address), a u32 length, big-endian, and the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import islice, product
from typing import TypeAlias, cast
from zlib import crc32

import numpy as np

from kestrel_lab.engine.limits import MAX_KEYS
from kestrel_lab.schema.access import Coded, lookup, resolve
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo
from kestrel_lab.schema.types import EqlType
from kestrel_lab.schema.values import Value

SHARDS = 64

#: Fields of a join key, None where it is null for every event, each with whether null joins null.
By: TypeAlias = "tuple[tuple[str | None, bool], ...]"
#: Where join keys come from: a table of an epoch, the fields, and the rows.
Origin: TypeAlias = "tuple[SourceInfo, Epoch, str, By, Array]"
#: The keys one event has, at most `MAX_KEYS`: several where a `by` field is an array; none if a null cannot join.
Keys = tuple[bytes, ...]


def encode(value: Value, kind: EqlType) -> bytes:
    """Return the canonical bytes of one scalar value of a field of the given type."""
    if value is None:
        return b"n"
    if isinstance(value, bool):
        return b"b\x01" if value else b"b\x00"
    if isinstance(value, int):
        return b"i" + value.to_bytes(9, "big", signed=True)
    if isinstance(value, float):
        return b"f" + struct.pack(">d", value + 0.0)
    if isinstance(value, bytes):
        return _tag(kind) + len(value).to_bytes(4, "big") + value
    raise TypeError(f"no key has a {type(value).__name__}")


def encode_all(values: Sequence[Value], kind: EqlType) -> list[bytes | None]:
    """Return the canonical bytes of many scalar values of a field of the given type; None for null."""
    tag = _tag(kind)
    if set(map(type, values)) == {bytes} and len(sizes := set(map(len, cast("Sequence[bytes]", values)))) == 1:
        begin = tag + sizes.pop().to_bytes(4, "big")
        return [begin + v for v in cast("Sequence[bytes]", values)]
    begins = {size: tag + size.to_bytes(4, "big") for size in {len(v) for v in values if type(v) is bytes}}
    return [
        begins[len(v)] + v if type(v) is bytes else None if v is None else encode(v, kind) for v in values
    ]  # fmt: skip


def _tag(kind: EqlType) -> bytes:
    return b"a" if kind is EqlType.IP else b"s"


def decode(key: bytes) -> tuple[Value, ...]:
    """Return the values of a canonical key."""
    out: list[Value] = []
    at = 0
    while at < len(key):
        tag, at = key[at : at + 1], at + 1
        size = {b"n": 0, b"b": 1, b"i": 9, b"f": 8}.get(tag)
        if size is None:
            size, at = int.from_bytes(key[at : at + 4], "big"), at + 4
        out.append(_scalar(tag, key[at : at + size]))
        at += size
    return tuple(out)


def _scalar(tag: bytes, data: bytes) -> Value:
    match tag:
        case b"n":
            return None
        case b"b":
            return data == b"\x01"
        case b"i":
            return int.from_bytes(data, "big", signed=True)
        case b"f":
            return float(struct.unpack(">d", data)[0])
        case _:
            return data


def shard_of(key: bytes) -> int:
    """Return the shard, 0 to 63, of a canonical key."""
    return crc32(key) % SHARDS


class JoinKeys:
    """Join keys of some rows of one table of an epoch, found when first asked for, or before they travel.

    Attributes:
        origin: what they are found in; None once they are.
    """

    def __init__(self, info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Array) -> None:
        self.origin: Origin | None = (info, epoch, table, by, rows)
        self._found: tuple[list[Keys], Array] = [], rows

    @classmethod
    def found_already(cls, sets: list[Keys], index: Array) -> JoinKeys:
        """Return the keys that `found` gives like this; blocks may share the sets."""
        out = cls.__new__(cls)
        out.origin, out._found = None, (sets, index)
        return out

    def found(self) -> tuple[list[Keys], Array]:
        """Return the distinct sets of keys, and each row's index into them."""
        if self.origin is not None:
            self._found = _join_keys(*self.origin)
            self.origin = None
        return self._found

    def __getstate__(self) -> tuple[list[Keys], Array]:
        return self.found()

    def __setstate__(self, state: tuple[list[Keys], Array]) -> None:
        self.origin, self._found = None, state


def _join_keys(info: SourceInfo, epoch: Epoch, table: str, by: By, rows: Array) -> tuple[list[Keys], Array]:
    if not by:
        return [(b"",)], np.zeros(len(rows), np.int64)
    columns, indexes = zip(*(_choices(info, epoch, table, field, optional, rows) for field, optional in by),
                           strict=True)  # fmt: skip
    if len(by) == 1:
        return columns[0], indexes[0]
    sets, index = columns[0], indexes[0]
    for more, its in zip(columns[1:], indexes[1:], strict=True):
        distinct, index = np.unique(index * len(more) + its, return_inverse=True)
        pairs = zip((distinct // len(more)).tolist(), (distinct % len(more)).tolist(), strict=True)
        sets = [_product(sets[one], more[other]) for one, other in pairs]
    return sets, index


def _product(begins: Keys, ends: Keys) -> Keys:
    """Return the keys that begin with one and end with another, the first `MAX_KEYS`."""
    if len(begins) == 1 and len(ends) == 1:
        return (begins[0] + ends[0],)
    return tuple(map(b"".join, islice(product(begins, ends), MAX_KEYS)))


def _choices(
    info: SourceInfo, epoch: Epoch, table: str, field: str | None, optional: bool, rows: Array
) -> tuple[list[Keys], Array]:
    """Return the distinct sets of encoded values of one field, and each row's index into them."""
    if field is None:
        return [(b"n",) if optional else ()], np.zeros(len(rows), np.int64)
    kind = info.schema.fields[field].type
    found = resolve(info, epoch, table, field, rows)
    values: list[Value]
    if isinstance(found, Coded):
        distinct, inverse = np.unique(found.codes, return_inverse=True)
        if found.dictionary.alike is not None:  # many codes may stand for one list
            distinct, again = np.unique(found.dictionary.alike(distinct), return_inverse=True)
            inverse = again[inverse]
        values = list(lookup(found.dictionary, distinct.tolist()))
    else:
        valid = np.ones(len(rows), np.bool_) if found.valid is None else found.valid
        distinct, inverse = np.unique(found.values, return_inverse=True)
        values = [*distinct.tolist(), None]
        inverse = np.where(valid, inverse, len(distinct))
    tag = _tag(kind)
    return [
        (tag + len(v).to_bytes(4, "big") + v,) if type(v) is bytes else _encoded(v, kind, optional) for v in values
    ], inverse


def _encoded(value: Value, kind: EqlType, optional: bool) -> Keys:
    if value is None:
        return (b"n",) if optional else ()
    if isinstance(value, (tuple, list)):
        tag = _tag(kind)
        keys = {tag + len(v).to_bytes(4, "big") + v if type(v) is bytes else encode(v, kind) for v in value}
        return tuple(sorted(keys)[:MAX_KEYS])
    return (encode(value, kind),)
