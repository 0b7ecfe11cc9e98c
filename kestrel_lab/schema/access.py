"""From a field's name to values: where each field of the table lives in an epoch.

Strings and lists come as codes and a dictionary, so that work on them is done once per distinct value. `key` names
the dictionary within its segment: equal keys mean the same values under the same codes, however the field is called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.codes import in_runs
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.derive import IN_BULK, OF_LIST, SCALAR, cut, unhex
from kestrel_lab.schema.epoch import Array, Epoch, Segment, SourceInfo
from kestrel_lab.schema.picked import PickedLists
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.types import (
    Absent,
    ByAction,
    Constant,
    Derived,
    Entity,
    EqlType,
    Field,
    Parent,
    Physical,
    Related,
    Row,
    Target,
    link_of,
)
from kestrel_lab.schema.values import Scalar, Value, array_values

_T = TypeVar("_T")
Text = bytes | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Distinct values of a field. `size()` codes now; `values(a, b)` their values, None where missing.

    A value is bytes, or a tuple (never empty) where the field is an array: of bytes, ints, floats or booleans, as the
    field's type is. Code 0 is missing.
    Where many codes may stand for one value, `alike` maps codes to codes of equal values among them (each to the first
    such); elsewhere it is None. Where the values are made of lists of codes, `lists` says of which.
    Where values cost less when only those wanted are made, `pick` gives those of rising codes, whatever code 0 is.
    Where codes can be told from each other without making their values, `maybe` says which may stand for one of some.
    """

    key: str
    size: Callable[[], int]
    values: Callable[[int, int], Sequence[Text]]
    alike: Callable[[Array], Array] | None = None
    lists: Lists | None = None
    pick: Callable[[Array], Sequence[Text]] | None = None
    maybe: Callable[[Array, Sequence[Value]], npt.NDArray[np.bool_]] | None = None


@dataclass(frozen=True, slots=True)
class Lists:
    """What the values of a dictionary are made of: for each of its codes, a list of codes of `elements`.

    Attributes:
        arrays: (offsets, one more than codes; codes of elements), now. An empty list is a missing value.
        elements: the dictionary of the elements; they are never missing.
        joined: a value is the elements joined by one space; else it is the tuple of them.
    """

    arrays: Callable[[], tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]
    elements: Dictionary
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Coded:
    """A string, IP or array field of some rows: int codes, 0 = missing, and what they stand for."""

    codes: Array
    dictionary: Dictionary


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number, date or boolean field of some rows: int64, uint64, float64 or bool; `valid` None means all present."""

    values: Array
    valid: npt.NDArray[np.bool_] | None


_OfProcess: TypeAlias = Entity | Parent | Related | Target
_COLUMNS = {c.name: c for c in ENTITY_COLUMNS}
_NUMPY = {EqlType.INT: "i8", EqlType.UINT: "u8", EqlType.FLOAT: "f8", EqlType.BOOL: "?", EqlType.DATE: "i8"}


def resolve(
    info: SourceInfo, epoch: Epoch, table: str, field: str, rows: npt.NDArray[np.integer] | None = None
) -> Coded | Numbers:
    """Return a field of the given rows of one table of an epoch.

    Args:
        rows: row numbers within the table; None for all.

    Returns:
        `Coded` for strings, IPs and arrays, `Numbers` for the rest. A field that the table cannot have is all missing.

    Raises:
        KeyError: if there is no such field at all.
    """
    entry = info.schema.fields[field]
    count = len(epoch.tables[table]) if rows is None else len(rows)
    source = entry.source
    if table not in entry.tables or isinstance(source, Absent):
        return _missing(entry, count)
    if isinstance(source, Derived):
        return _derive(source.function, resolve(info, epoch, table, source.of, rows))
    if isinstance(source, Constant):
        text = info.host.get(source.key)
        values: list[Text] = [None, None if text is None else text.encode()]
        return Coded(np.ones(count, "i4"), Dictionary(f"constant:{source.key}", lambda: 2, _slicer(values)))
    if isinstance(source, ByAction):
        codes = _take(epoch.tables[table].column("action"), rows)
        return Coded(codes, _action_dictionary(info.schema, source.attribute))
    if isinstance(source, Row):
        return _row_field(info.schema, entry, source, epoch, table, rows)
    return _entity_field(entry, source, epoch, table, rows)


def python_values(found: Coded | Numbers) -> list[Value]:
    """Return one Python value a row: bytes, int, float, bool, a tuple of one of these, or None where missing."""
    if isinstance(found, Numbers):
        values: list[Value] = found.values.tolist()
        if found.valid is None:
            return values
        return [v if ok else None for v, ok in zip(values, found.valid.tolist(), strict=True)]
    codes = found.codes.tolist()
    rising = sorted(set(codes))
    texts = dict(zip(rising, lookup(found.dictionary, rising), strict=True))
    return [texts[c] for c in codes]


def lookup(dictionary: Dictionary, codes: Sequence[int] | Array) -> list[Text]:
    """Return the values of distinct codes in rising order; None for code 0. Runs of codes cost one call each."""
    if not len(codes):
        return []
    if dictionary.pick is not None:
        out = [*dictionary.pick(np.asarray(codes, np.int64))]
    else:
        out = in_runs(dictionary.values, codes.tolist() if isinstance(codes, np.ndarray) else codes)
    if codes[0] == 0:
        out[0] = None
    return out


def _take(column: Array, rows: npt.NDArray[np.integer] | None) -> Array:
    return column if rows is None else column.take(rows)


def _slicer(values: Sequence[Text]) -> Callable[[int, int], Sequence[Text]]:
    return lambda start, stop: values[start:stop]


def _missing(entry: Field, count: int) -> Coded | Numbers:
    kind = _NUMPY.get(entry.type)
    if kind is not None and not entry.many:
        return Numbers(np.zeros(count, kind), np.zeros(count, np.bool_))
    return Coded(np.zeros(count, "i4"), Dictionary("missing", lambda: 1, _slicer([None])))


def _action_values(schema: Schema, attribute: str) -> list[Text]:
    out: list[Text] = [None] * (max(a.code for a in schema.actions) + 1)
    for action in schema.actions:
        value = getattr(action, attribute)
        out[action.code] = tuple(v.encode() for v in value) if isinstance(value, tuple) else value.encode()
    return out


def _action_dictionary(schema: Schema, attribute: str) -> Dictionary:
    values = _action_values(schema, attribute)
    return Dictionary(f"action:{attribute}", lambda: len(values), _slicer(values))


def _row_field(
    schema: Schema, entry: Field, source: Row, epoch: Epoch, table: str, rows: npt.NDArray[np.integer] | None
) -> Coded | Numbers:
    data = epoch.tables[table]
    column = _take(data.column(source.column), rows)
    physical, key = schema.columns_by_name(table)[source.column].physical, f"{table}:{source.column}"
    if physical is Physical.CODE:
        return Coded(column, _string_dictionary(epoch.segment, key))
    if physical is Physical.JSON:
        return Coded(column, _array_dictionary(epoch.segment, key))
    valid = data.valid(source.column)
    return Numbers(column.astype(_NUMPY[entry.type]), None if valid is None else _take(valid, rows))


def _string_dictionary(segment: Segment, key: str) -> Dictionary:
    strings = segment.strings(key)
    return Dictionary(key, lambda: len(strings), lambda a, b: [None, *strings.values(1, b)] if a == 0
                      else strings.values(a, b))  # fmt: skip


def _array_dictionary(segment: Segment, key: str) -> Dictionary:
    texts = segment.strings(key)

    def values(start: int, stop: int) -> Sequence[Text]:
        found: list[Text] = [array_values(text) for text in texts.values(max(start, 1), stop)]
        return [None, *found] if start == 0 else found

    return Dictionary(key, lambda: len(texts), values)


def _entity_field(
    entry: Field,
    source: _OfProcess,
    epoch: Epoch,
    table: str,
    rows: npt.NDArray[np.integer] | None,
) -> Coded | Numbers:
    entities = epoch.segment.entities
    refs = _take(epoch.tables[table].column("target" if isinstance(source, Target) else "entity"), rows)
    link = link_of(source)
    if link:
        refs = entities.column(link).take(refs)
    kind = _COLUMNS[source.column]
    physical = kind.physical
    key = f"entity:{source.column}"
    if physical is Physical.CODE:
        return Coded(entities.column(source.column).take(refs), _string_dictionary(epoch.segment, key))
    if physical is Physical.CODES:
        return Coded(refs, _list_dictionary(epoch.segment, source.column))
    if physical is Physical.BIN16:
        return Coded(refs, _bytes_dictionary(epoch.segment, source.column))
    values = entities.column(source.column)[refs]
    if not kind.nullable:
        return Numbers(values.astype(_NUMPY[entry.type]), refs != 0)
    present = values != 0
    return Numbers((values.astype("i8") - present).astype(_NUMPY[entry.type]), present)


def _bytes_dictionary(segment: Segment, column: str) -> Dictionary:
    entities, values = segment.entities, _bytes_of(segment, column)

    def pick(codes: Array) -> Sequence[Text]:
        part = entities.column(column)[codes]
        return cut(part.tobytes(), part.dtype.itemsize)

    def maybe(codes: Array, wanted: Sequence[Value]) -> npt.NDArray[np.bool_]:
        heads = np.frombuffer(entities.column(column)[codes].tobytes(), "u8")[::2]
        return np.isin(heads, [int.from_bytes(v[:8], sys.byteorder) for v in wanted if isinstance(v, bytes)])

    return Dictionary(f"entity:{column}", lambda: len(entities), values, pick=pick, maybe=maybe)


def _list_dictionary(segment: Segment, column: str) -> Dictionary:
    key, entities = f"entity:{column}", segment.entities
    lists = Lists(lambda: entities.lists(column), _string_dictionary(segment, key))
    return Dictionary(
        key, lambda: len(entities), _lists_of(segment, column), lambda codes: _alike(segment, column, codes), lists,
        lambda codes: PickedLists(lists, codes),
    )  # fmt: skip


def _alike(segment: Segment, column: str, codes: Array) -> Array:
    """Compare lists as lists of codes, all lists of one length at a time."""
    offsets, items = segment.entities.lists(column)
    starts = offsets[codes]
    lengths = offsets[codes + 1] - starts
    out = np.array(codes)
    for length in np.unique(lengths).tolist():
        which = np.flatnonzero(lengths == length)
        if length == 0:
            out[which] = codes[which[0]]
            continue
        lists = np.ascontiguousarray(items[starts[which, None] + np.arange(length)])
        _, first, inverse = np.unique(lists.view(f"V{lists.itemsize * length}")[:, 0], True, True)
        out[which] = codes[which[first[inverse]]]
    return out


def _lists_of(segment: Segment, column: str) -> Callable[[int, int], Sequence[Text]]:
    def values(start: int, stop: int) -> Sequence[Text]:
        offsets, codes = segment.entities.lists(column)
        strings = segment.strings(f"entity:{column}")
        first = int(offsets[start])
        part = codes[first : int(offsets[stop])]
        items = part.tolist()
        rising = sorted(set(items))
        texts = dict(zip(rising, in_runs(strings.values, rising), strict=True))
        items = [texts[c] for c in items]
        ends = (offsets[start : stop + 1] - first).tolist()
        return [tuple(items[a:b]) or None for a, b in pairwise(ends)]

    return values


def _bytes_of(segment: Segment, column: str) -> Callable[[int, int], Sequence[Text]]:
    def values(start: int, stop: int) -> Sequence[Text]:
        part = segment.entities.column(column)[start:stop]
        out: list[Text] = [*cut(part.tobytes(), part.dtype.itemsize)]
        if start == 0 and out:
            out[0] = None
        return out

    return values


def _derive(function: str, base: Coded | Numbers) -> Coded | Numbers:
    if not isinstance(base, Coded):
        raise TypeError(f"{function} is no function of a number")
    inner = base.dictionary
    if function == "count":
        return _counts(base)
    if function in OF_LIST:
        of_list = OF_LIST[function]

        def joined(start: int, stop: int) -> Sequence[Text]:
            found = [None if v is None else of_list(cast("tuple[bytes, ...]", v if isinstance(v, tuple) else (v,)))
                     for v in inner.values(start, stop)]  # fmt: skip
            return [v if isinstance(v, bytes) else None for v in found]

        lists = None if inner.lists is None else replace(inner.lists, joined=True)
        pick = None if lists is None else lambda codes: PickedLists(lists, codes)
        return Coded(base.codes, Dictionary(f"{inner.key}|{function}", inner.size, joined, inner.alike, lists, pick))
    scalar, bulk = SCALAR[function], IN_BULK.get(function)

    def mapped(start: int, stop: int) -> Sequence[Text]:
        if bulk is not None:
            return bulk(cast("Sequence[bytes | None]", inner.values(start, stop)))
        return [scalar(v) if isinstance(v, bytes) else None for v in inner.values(start, stop)]

    def picked(codes: Array) -> Sequence[Text]:
        values = lookup(inner, codes)
        if bulk is not None:
            return bulk(cast("Sequence[bytes | None]", values))
        return [scalar(v) if isinstance(v, bytes) else None for v in values]

    maybe = None
    if function == "hex" and inner.maybe is not None:
        of_bytes = inner.maybe

        def maybe(codes: Array, wanted: Sequence[Value]) -> npt.NDArray[np.bool_]:
            return of_bytes(codes, [unhex(v) for v in wanted if isinstance(v, bytes)])

    return Coded(
        base.codes, Dictionary(f"{inner.key}|{function}", inner.size, mapped, inner.alike, pick=picked, maybe=maybe)
    )


def _counts(base: Coded) -> Numbers:
    if base.dictionary.lists is not None:
        offsets, _ = base.dictionary.lists.arrays()
        lengths = offsets[base.codes + 1] - offsets[base.codes]
        return Numbers(lengths, lengths > 0)
    codes, inverse = np.unique(base.codes, return_inverse=True)
    texts = lookup(base.dictionary, codes.tolist())
    counts = np.array([len(t) if isinstance(t, tuple) else 0 for t in texts], dtype="i8")
    present = np.array([t is not None for t in texts], dtype=np.bool_)
    return Numbers(counts[inverse], present[inverse])
