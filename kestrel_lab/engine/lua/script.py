"""Lua rules: rewritten text in a LuaJIT of its own, asked about rows of an epoch.

LuaJIT reads the columns through pointers; no Python runs per event. A text goes over the border once per distinct
value and segment, when a row with it is first asked about. Nothing that a rule does outlives the event it does it for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lupa.luajit21 import LuaError

from kestrel_lab.engine.lua.limits import DEPTH, LOAD_FUEL, MEMORY, REMEMBERED, TEXT, VALUES
from kestrel_lab.engine.lua.values import LuaValues, new_runtime
from kestrel_lab.engine.text.single import single
from kestrel_lab.eql.lua import LuaScript
from kestrel_lab.schema.access import Coded, Numbers, Text, lookup
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.types import EqlType, Field
from kestrel_lab.schema.values import Value

_FOLDER = Path(__file__).parent
_KINDS = {EqlType.INT: b"int", EqlType.UINT: b"uint", EqlType.FLOAT: b"float", EqlType.BOOL: b"bool"}


class ScriptError(Exception):
    """The code failed, or ran out of fuel. What it found is void."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.out_of_fuel = what == "fuel"


class Script:
    """A rule's code, loaded.

    Raises:
        ScriptError: if it fails while it is loaded, or does not come to an end.
    """

    def __init__(self, script: LuaScript, mode: Mode, fields: Mapping[str, Field]) -> None:
        runtime = new_runtime(mode)
        self._values = LuaValues(runtime)
        self._checks = [single(test) for test in script.patterns]
        self._host = self._library(runtime)
        self._columns = [_Column(self, number, fields[f]) for number, f in enumerate(script.fields, 1)]
        for _ in script.tests:
            self._host[b"test"]()
        self._segment = -1
        self._guarded(self._host[b"load"], script.source.encode(), LOAD_FUEL)

    def enter(self, segment: int) -> None:
        """Begin an epoch of a segment; codes mean something else in each."""
        if segment != self._segment or any(column.crowded for column in self._columns):
            self._segment = segment
            self._host[b"forget"]()
            for column in self._columns:
                column.forget()

    def run(
        self, count: int, columns: Sequence[Coded | Numbers], tests: Sequence[npt.NDArray[np.bool_]], fuel: int
    ) -> tuple[npt.NDArray[np.int64], list[dict[str, Value]], int]:
        """Return which of `count` rows pass (rising), what is captured of each, and the fuel left.

        Args:
            columns: of the script's fields; `tests`: of its tests, whether each row passes.

        Raises:
            ScriptError: if the code fails or runs out of fuel.
        """
        held: list[Any] = [column.bind(found) for column, found in zip(self._columns, columns, strict=True)]
        for number, passed in enumerate(tests, len(columns) + 1):
            held.append(np.ascontiguousarray(passed).view(np.uint8))
            self._host[b"bind"](number, held[-1].ctypes.data, 0, count)
        out = np.zeros(count, np.uint32)
        self._host[b"refuel"](fuel)
        hits = int(self._guarded(self._host[b"run"], count, out.ctypes.data))
        left = int(self._host[b"fuel_left"]())
        del held  # until here, LuaJIT read it
        return out[:hits].astype(np.int64), [self._captured(hit) for hit in range(1, hits + 1)], left

    def bind(self, number: int, data: Array, valid: Array | None, count: int) -> None:
        """Tell LuaJIT where the column of a field is."""
        self._host[b"bind"](number, data.ctypes.data, 0 if valid is None else valid.ctypes.data, count)

    def learn(self, number: int, codes: Array, values: Sequence[Text]) -> None:
        """Tell LuaJIT what codes of a field stand for."""
        texts = [v for v in values if isinstance(v, bytes)]
        if len(texts) == len(values):
            self._learn(number, codes, texts, None)
            return
        lists = [v for v in values if isinstance(v, tuple)]
        items = [i for v in lists for i in v if isinstance(i, bytes)]
        sizes = np.array([len(v) for v in lists], np.int64)
        if len(lists) == len(values) and len(items) == sizes.sum():
            self._learn(number, codes, items, sizes)
            return
        for code, value in zip(codes.tolist(), values, strict=True):
            self._host[b"learn_value"](number, code, self._values.to_lua(_number(value)))

    def _learn(self, number: int, codes: Array, texts: Sequence[bytes], sizes: Array | None) -> None:
        ends = np.cumsum([len(t) for t in texts], dtype=np.int64)
        codes = np.ascontiguousarray(codes, np.int64)
        at = 0 if sizes is None else sizes.ctypes.data
        self._host[b"learn"](number, len(codes), codes.ctypes.data, ends.ctypes.data, at, b"".join(texts))

    def make_field(self, kind: bytes) -> None:
        """Make the next field."""
        self._host[b"field"](kind)

    def _library(self, runtime: Any) -> Any:
        bounds = runtime.table_from(
            {
                b"memory": MEMORY,
                b"text": TEXT,
                b"depth": DEPTH,
                b"remembered": REMEMBERED,
            }
        )
        ffi = runtime.require(b"ffi")
        shared = _chunk(runtime, "core")(ffi, self._values.integer, self._ask, bounds)
        for name in ("tables", "library"):
            _chunk(runtime, name)(shared)
        return _chunk(runtime, "host")(shared)

    def _ask(self, number: float, value: bytes) -> bool:
        return self._checks[int(number) - 1](value)

    def _captured(self, hit: int) -> dict[str, Value]:
        pairs = self._host[b"captured"](hit)
        if pairs is None:
            return {}
        found = self._values.from_list(pairs)
        return {_name(found[n]): _captured(found[n + 1]) for n in range(0, len(found), 2)}

    def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except LuaError as error:
            raise ScriptError(_message(error)) from None


class _Column:
    """One field of a script: what of its values LuaJIT knows already."""

    def __init__(self, script: Script, number: int, field: Field) -> None:
        self._script, self._number = script, number
        self._kind = b"text" if field.many else _KINDS.get(field.type, b"text")
        script.make_field(self._kind)
        self.forget()

    @property
    def crowded(self) -> bool:
        """Whether it is time to forget."""
        return self._count > VALUES

    def forget(self) -> None:
        """Know nothing."""
        self._known, self._count = np.zeros(1024, np.bool_), 0

    def bind(self, found: Coded | Numbers) -> tuple[Array, ...]:
        """Give a column to LuaJIT, and the values it does not know; return what must stay in memory meanwhile."""
        if isinstance(found, Coded):
            codes = np.ascontiguousarray(found.codes, np.int32)
            self._learn(found, np.unique(codes))
            self._script.bind(self._number, codes, None, len(codes))
            return (codes,)
        wide = np.uint8 if self._kind == b"bool" else found.values.dtype
        values = np.ascontiguousarray(found.values).view(wide)
        valid = None if found.valid is None else np.ascontiguousarray(found.valid).view(np.uint8)
        self._script.bind(self._number, values, valid, len(values))
        return values, *(() if valid is None else (valid,))

    def _learn(self, found: Coded, codes: Array) -> None:
        if len(codes) and codes[-1] >= len(self._known):
            grown = np.zeros(max(int(codes[-1]) + 1, 2 * len(self._known)), np.bool_)
            grown[: len(self._known)] = self._known
            self._known = grown
        new = codes[~self._known[codes]]
        if len(new):
            values = lookup(found.dictionary, new.tolist())
            there = np.array([v is not None for v in values], np.bool_)
            self._script.learn(self._number, new[there], [v for v in values if v is not None])
            self._known[new] = True
            self._count += len(new)


def _chunk(runtime: Any, name: str) -> Any:
    return runtime.compile((_FOLDER / f"{name}.lua").read_bytes())


def _message(error: LuaError) -> str:
    """Return what was said, without the traceback."""
    what = error.args[0] if error.args else ""
    text = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
    return text.partition("\nstack traceback:")[0]


def _number(value: Value) -> Value:
    """Return a value with the integers that a Lua number holds exactly as floats."""
    if isinstance(value, tuple):
        return tuple(map(_number, value))
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53
    return float(value) if isinstance(value, int) and whole else value


def _captured(value: Value) -> Value:
    """Return a captured value; a whole number is an integer, which a Lua number does not say."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return tuple(map(_captured, value)) if isinstance(value, tuple) else value


def _name(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
