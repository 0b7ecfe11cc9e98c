"""Computed columns against the definition in `eql.compute`: exact, whatever is missing, however rows are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine.scanning import computed
from kestrel_lab.engine.scanning.computed import ComputedColumn
from kestrel_lab.engine.scanning.vector import is_vectorised
from kestrel_lab.eql import compile_query
from kestrel_lab.eql.compute import Computation
from kestrel_lab.eql.ir import Computed, leaves
from kestrel_lab.eql.leaftests import ScalarTest
from kestrel_lab.schema.access import Coded, Dictionary, Numbers
from kestrel_lab.schema.schema import BUILTIN
from tests.eql.strategies import FIELDS

_INTS = [0, 1, -1, 2, -7, 40, 2**31, -(2**32), 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
_UINTS = [0, 1, 2, 7, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
_FLOATS = [0.0, -0.0, 0.5, 2.5, -7.0, 9.007199254740993e15, 2.0**63, 2.0**64, -(2.0**63), 1e300, float("inf"),
           float("nan")]  # fmt: skip
_TYPES: dict[str, tuple[str, Sequence[Any]]] = {
    "process.pid": ("i8", _INTS),
    "file.inode": ("u8", _UINTS),
    "t.float": ("f8", _FLOATS),
    "t.flag": ("?", [True, False]),
}
fields = st.sampled_from(["process.pid", "file.inode", "t.float"])
numerals = st.sampled_from([*_INTS, *_UINTS, 0.5, 2.5, 1e300]).map(lambda v: repr(v).replace("e+", "e"))
numbers = st.recursive(
    st.one_of(fields, fields.map("-{}".format), numerals),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/%"), inner),
    max_leaves=5,
)
conditions = st.builds(
    "({} + 0 {} {}) {}".format, numbers, st.sampled_from(["==", "<", "<=", ">", ">="]), numbers,
    st.sampled_from(["", "== null", "== false"]),
) | st.builds("{} + 0 in ({}, {})".format, numbers, numerals, numerals)  # fmt: skip


def computed_by(condition: str) -> list[ScalarTest]:
    program = compile_query(f"any where {condition}", schema=replace(BUILTIN, fields=FIELDS))
    return [leaf.test for leaf in leaves(program.stages[0].expr) if isinstance(leaf, Computed)]


@settings(max_examples=300, deadline=None)
@given(conditions, st.randoms(use_true_random=False))
def test_columns_of_numbers_are_exact(condition: str, rng: Any) -> None:
    for test in computed_by(condition):
        assert is_vectorised(test)
        rows = [[rng.choice([*_TYPES[f][1], None]) for f in test.fields] for _ in range(40)]
        columns = []
        for field, values in zip(test.fields, zip(*rows, strict=True), strict=True):
            dtype = _TYPES[field][0]
            data = np.array([0 if v is None else v for v in values], dtype)
            columns.append(Numbers(data, np.array([v is not None for v in values])))
        want = [Computation(test).holds(row) for row in rows]
        assert ComputedColumn(test).column(columns).tolist() == want


def _coded(values: Sequence[Any]) -> Coded:
    distinct = [None, *dict.fromkeys(v for v in values if v is not None)]
    codes = np.array([distinct.index(v) for v in values], "i4")
    return Coded(codes, Dictionary("x", lambda: len(distinct), lambda a, b: distinct[a:b]))


@pytest.mark.parametrize("memo", [2, 65_536])
@pytest.mark.parametrize("cut", [1, 3, 100])
def test_combinations_do_not_depend_on_how_rows_are_cut(cut: int, memo: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computed, "_MEMO", memo)
    (test,) = computed_by('concat(process.name, t.float) : ("a0.0", "b*5") or false')
    names = [b"a", b"b", None, b"a", b"b", b"a"] * 5
    floats = [0.0, -0.0, 0.5, None, 2.5, -0.0] * 5
    column = ComputedColumn(test)
    found: list[bool] = []
    for at in range(0, len(names), cut):
        part = floats[at : at + cut]
        valid = np.array([v is not None for v in part])
        data = Numbers(np.array([v or 0.0 for v in part]), valid)
        for place, v in enumerate(part):
            data.values[place] = 0.0 if v is None else v
        found += column.column([_coded(names[at : at + cut]), data]).tolist()
    assert found == [
        (n == b"a" and str(f) == "0.0") or (n == b"b" and f == 2.5) for n, f in zip(names, floats, strict=True)
    ]
