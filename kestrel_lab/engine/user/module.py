"""A user's module made ready: checked, run once for its declarations, and those turned into fields and tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from wasmtime import WasmtimeError, wat2wasm

from kestrel_lab.engine import limits
from kestrel_lab.engine.predicate import TrappedError
from kestrel_lab.engine.user.check import check_module
from kestrel_lab.engine.user.layout import ENTRIES_AT, Declares, Kind
from kestrel_lab.engine.user.runtime import user_runtime
from kestrel_lab.eql import TextTest, compile_query
from kestrel_lab.eql.ir import Const, Expr, Present, TextLeaf
from kestrel_lab.schema import user_abi
from kestrel_lab.schema.abi import ABI_VERSION, PAGE_BYTES
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import EqlType

_KINDS: Mapping[EqlType, Kind] = {
    EqlType.INT: Kind.I64,
    EqlType.UINT: Kind.U64,
    EqlType.FLOAT: Kind.F64,
    EqlType.BOOL: Kind.BOOL,
}
_RECORD = struct.Struct("<4I")
_PLAIN = frozenset(range(0x20, 0x7F)) - set(b'\\"')


@dataclass(frozen=True, slots=True)
class FieldHandle:
    """A declared field; `name` is None for an optional one that does not exist."""

    name: str | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class PatternHandle:
    """A declared pattern on a field: a text test, or `always` or never where it does not depend on the value.

    A pattern that every value matches has `always`: it holds where the field has a value.
    """

    field: str | None
    test: TextTest | None
    always: bool = False


@dataclass(frozen=True, slots=True)
class NameHandle:
    """A declared capture."""

    name: str


Handle: TypeAlias = FieldHandle | PatternHandle | NameHandle


@dataclass(frozen=True, slots=True)
class UserModule:
    """A user's module that keeps within the limits.

    Attributes:
        wasm: its bytes.
        handles: what it declared, by handle.
        captures: whether it has `pred_capture`.
    """

    wasm: bytes
    handles: tuple[Handle, ...]
    captures: bool

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it reads, in the order of its declarations."""
        return tuple(dict.fromkeys(h.name for h in self.handles if isinstance(h, FieldHandle) and h.name))

    @property
    def tests(self) -> tuple[TextTest, ...]:
        """The text tests it asks for."""
        found = (h.test for h in self.handles if isinstance(h, PatternHandle))
        return tuple(dict.fromkeys(t for t in found if t is not None))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its captures."""
        return tuple(h.name for h in self.handles if isinstance(h, NameHandle))


def load_user_module(data: bytes, where: str, schema: Schema = BUILTIN) -> UserModule:
    """Return the module that some bytes are, binary or text.

    Args:
        where: the place that errors name.
        schema: what it may read.

    Raises:
        RuleError: if it is malformed, breaks a limit, imports or exports what it may not, or declares what is not.
    """
    wasm = data if data.startswith(b"\0asm") else _assembled(data, where)
    found = check_module(wasm, where)
    records = _declared(wasm, where)
    handles: list[Handle] = []
    for number, (kind, field, flags, text) in enumerate(records):
        handles.append(_handle(kind, handles[field] if field < number else None, flags, text, where, schema))
    _check_names(handles, where, schema)
    return UserModule(wasm, tuple(handles), user_abi.CAPTURE in found.exports)


def _assembled(text: bytes, where: str) -> bytes:
    try:
        return bytes(wat2wasm(text.decode()))
    except UnicodeDecodeError as error:
        raise RuleError("the module is neither binary nor UTF-8 text", where=where) from error
    except WasmtimeError as error:
        raise RuleError("the module's text is wrong", where=where, detail=_words(error)) from error


def _declared(wasm: bytes, where: str) -> list[tuple[Declares, int, int, str]]:
    """Run `pred_init` once, interpreted, and return its declarations."""
    runtime = user_runtime("deterministic")
    log, end = ENTRIES_AT, ENTRIES_AT + limits.LOG_BYTES
    try:
        instance = runtime.start(runtime.compile(wasm), -(-end // PAGE_BYTES), limits.LOAD_FUEL)
        version = instance.call("init", log, end)
        end = instance.call("end")
    except WasmtimeError as error:
        raise RuleError("the module is refused", where=where, detail=_words(error)) from error
    except TrappedError as error:
        why = f"uses more than {limits.LOAD_FUEL} fuel" if error.out_of_fuel else (
            "traps; it may only declare, at most "
            f"{user_abi.MAX_DECLARATIONS} handles of {user_abi.MAX_TEXT_BYTES} bytes, {limits.LOG_BYTES} in all"
        )  # fmt: skip
        raise RuleError(f"the module's start or pred_init {why}", where=where) from error
    if version != ABI_VERSION:
        raise RuleError(f"the module speaks ABI {version}, this engine {ABI_VERSION}", where=where)
    return _records(instance.read(log, end), where)


def _records(log: bytes, where: str) -> list[tuple[Declares, int, int, str]]:
    out, at = [], 0
    while at < len(log):
        kind, field, flags, size = _RECORD.unpack_from(log, at)
        at += _RECORD.size
        try:
            out.append((Declares(kind), field, flags, log[at : at + size].decode()))
        except UnicodeDecodeError as error:
            raise RuleError(f"declaration {len(out)} of the module is not UTF-8", where=where) from error
        at += size
    return out


def _handle(kind: Declares, field: Handle | None, flags: int, text: str, where: str, schema: Schema) -> Handle:
    if kind is Declares.CAPTURE:
        return NameHandle(text)
    if kind is Declares.FIELD:
        return _field(text, where, schema)
    if not isinstance(field, FieldHandle) or field.kind is not Kind.STRING:
        raise RuleError(f"the pattern {text!r} is on a handle that is no string field", where=where)
    if flags & ~user_abi.IGNORE_CASE:
        raise RuleError(f"the pattern {text!r} has flags that are not defined: {flags}", where=where)
    if field.name is None:
        return PatternHandle(None, None)
    return _pattern(field.name, "like" if kind is Declares.GLOB else "regex", flags, text, where, schema)


def _field(text: str, where: str, schema: Schema) -> FieldHandle:
    name = text.removeprefix("?")
    found = schema.fields.get(name)
    if found is not None:
        return FieldHandle(name, _KINDS.get(found.type, Kind.STRING))
    if text.startswith("?"):
        return FieldHandle(None, Kind.STRING)
    near = get_close_matches(name, schema.fields, 1)
    do = f"Did you mean {near[0]}?" if near else "See docs/fields.md for the fields there are."
    raise RuleError(f"the module declares the unknown field {name!r}", where=where, do=do)


def _pattern(
    field: str, word: str, flags: int, text: str, where: str, schema: Schema
) -> PatternHandle:  # fmt: skip
    """Return a pattern as EQL understands it, so that the two cannot differ."""
    operator = word + "~" * (flags & user_abi.IGNORE_CASE)
    try:
        program = compile_query(f'any where `{field}` {operator} "{_escaped(text)}"', schema=schema)
    except RuleError as error:
        raise RuleError(f"the {word} {text[:80]!r} on {field}: {error.what}", where=where, do=error.do) from error
    return _from_condition(field, program.stages[0].expr)


def _from_condition(field: str, expr: Expr) -> PatternHandle:
    if isinstance(expr, TextLeaf):
        return PatternHandle(field, expr.test)
    if isinstance(expr, Present) or expr == Const(False):
        return PatternHandle(field, None, always=isinstance(expr, Present))
    raise AssertionError(f"one pattern on one field became {expr}")


def _escaped(text: str) -> str:
    return "".join(c if ord(c) in _PLAIN or ord(c) > 0xA0 else f"\\u{{{ord(c):02x}}}" for c in text)


def _check_names(handles: list[Handle], where: str, schema: Schema) -> None:
    names = [h.name for h in handles if isinstance(h, NameHandle)]
    for name in names:
        if not name.strip() or name in schema.fields or names.count(name) > 1:
            raise RuleError(f"the capture {name!r} is empty, a field's name, or declared twice", where=where)


def _words(error: WasmtimeError) -> str:
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    return "\n".join(f"    {line[:120]}" for line in lines[:6])
