"""A WebAssembly module's structure, read from its bytes: as much as is needed to bound it before it is compiled.

Only the core language is known here (with bulk memory, reference types, sign extension, saturating conversions):
what is not is refused, so that nothing newer slips past the checks. `wasmtime` validates the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

MAGIC = b"\0asm\x01\0\0\0"
_FUNC, _TABLE, _MEMORY, _GLOBAL = range(4)
_KINDS = ("function", "table", "memory", "global")
_VECTORS = {1: "types", 2: "imports", 6: "globals", 7: "exports", 9: "element segments", 11: "data segments"}


class MalformedError(Exception):
    """The bytes are no module, or one that uses what is not supported; the message says what."""


@dataclass(slots=True)
class Body:
    """One function's code.

    Attributes:
        locals: how many it declares beside its parameters.
        blocks: how many blocks, branches and calls through tables it has; `depth`: how deep blocks nest.
        calls: functions it calls; `indirect`: types of functions it calls through a table.
    """

    size: int
    locals: int = 0
    blocks: int = 0
    depth: int = 0
    calls: set[int] = field(default_factory=set)
    indirect: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Binary:
    """A module. Functions are numbered with the imported ones first.

    Attributes:
        types: (parameters, results) as bytes, one a value.
        imports: (module, name, kind).
        functions: type of each function; `bodies` those of the module's own.
        counts: how many entries sections have.
        tables, memories: least sizes, imported ones included.
        exports: kind and number by name.
        taken: functions that a table may hold.
    """

    counts: dict[str, int] = field(default_factory=dict)
    types: list[tuple[bytes, bytes]] = field(default_factory=list)
    imports: list[tuple[str, str, str]] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    memories: list[int] = field(default_factory=list)
    exports: dict[str, tuple[str, int]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    @property
    def imported(self) -> int:
        """How many functions are imported."""
        return len(self.functions) - len(self.bodies)

    @property
    def own(self) -> list[int]:
        """The types of the module's own functions."""
        return self.functions[self.imported :]


def read_binary(data: bytes) -> Binary:
    """Return the structure of a module.

    Raises:
        MalformedError: if it is none, or uses what is not supported.
    """
    if data[:8] != MAGIC:
        raise MalformedError("it is no WebAssembly module of version 1")
    out, reader = Binary(), _Reader(data, 8)
    readers = {1: _types, 2: _imports, 3: _functions, 4: _tables, 5: _memories, 6: _globals, 7: _exports, 9: _elements,
               10: _code}  # fmt: skip
    try:
        while reader.at < len(data):
            section, size = reader.byte(), reader.unsigned()
            end = reader.at + size
            if end > len(data):
                raise MalformedError(f"section {section} is cut off")
            if section in _VECTORS:
                out.counts[_VECTORS[section]] = _Reader(data, reader.at, end).unsigned()
            if section in readers:
                readers[section](_Reader(data, reader.at, end), out)
            elif section not in (0, 8, 11, 12):
                raise MalformedError(f"section {section} is not supported")
            reader.at = end
    except (IndexError, UnicodeDecodeError) as error:
        raise MalformedError("it is cut off or malformed") from error
    return out


class _Reader:
    def __init__(self, data: bytes, at: int, end: int | None = None) -> None:
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def byte(self) -> int:
        if self.at >= self.end:
            raise IndexError
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self) -> int:
        first = self.byte()
        if first < 0x80:
            return first
        out, shift = first & 0x7F, 7
        while shift < 70:
            part = self.byte()
            out |= (part & 0x7F) << shift
            if part < 0x80:
                return out
            shift += 7
        raise MalformedError("a number is too long")

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > self.end:
            raise IndexError

    def count(self) -> int:
        """Return the length of a vector; each of its items takes at least a byte."""
        found = self.unsigned()
        if found > self.end - self.at:
            raise IndexError
        return found

    def name(self) -> str:
        size = self.unsigned()
        self.skip(size)
        return self.data[self.at - size : self.at].decode()

    def limits(self) -> int:
        flags, least = self.byte(), self.unsigned()
        if flags > 1:
            raise MalformedError("shared or 64-bit memories and tables are not supported")
        if flags:
            self.unsigned()
        return least

    def value_type(self) -> int:
        found = self.byte()
        if found not in (0x7F, 0x7E, 0x7D, 0x7C, 0x70, 0x6F):
            raise MalformedError(f"value type 0x{found:02x} is not supported (SIMD, references to objects)")
        return found


def _types(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        if reader.byte() != 0x60:
            raise MalformedError("types other than functions are not supported")
        params = bytes(reader.value_type() for _ in range(reader.count()))
        out.types.append((params, bytes(reader.value_type() for _ in range(reader.count()))))


def _imports(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        module, name, kind = reader.name(), reader.name(), reader.byte()
        if kind == _FUNC:
            out.functions.append(reader.unsigned())
        elif kind == _TABLE:
            reader.value_type()
            out.tables.append(reader.limits())
        elif kind == _MEMORY:
            out.memories.append(reader.limits())
        elif kind == _GLOBAL:
            reader.value_type()
            reader.byte()
        else:
            raise MalformedError(f"the import {module}.{name} is of no kind that is supported")
        out.imports.append((module, name, _KINDS[kind]))


def _functions(reader: _Reader, out: Binary) -> None:
    out.functions += [reader.unsigned() for _ in range(reader.count())]


def _tables(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        reader.value_type()
        out.tables.append(reader.limits())


def _memories(reader: _Reader, out: Binary) -> None:
    out.memories += [reader.limits() for _ in range(reader.count())]


def _globals(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        reader.value_type()
        reader.byte()
        _constant(reader, out)


def _exports(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        name, kind, number = reader.name(), reader.byte(), reader.unsigned()
        if kind >= len(_KINDS):
            raise MalformedError(f"the export {name} is of no kind that is supported")
        out.exports[name] = _KINDS[kind], number


def _elements(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        flags = reader.unsigned()
        if flags & 1 == 0:  # active
            if flags & 2:
                reader.unsigned()
            _constant(reader, out)
        if flags & 3:
            reader.byte()
        for _ in range(reader.count()):
            if flags & 4:
                _constant(reader, out)
            else:
                out.taken.add(reader.unsigned())


def _constant(reader: _Reader, out: Binary) -> None:
    _instructions(reader, Body(0), out)


def _code(reader: _Reader, out: Binary) -> None:
    for _ in range(reader.count()):
        size = reader.unsigned()
        end = reader.at + size
        if end > reader.end:
            raise IndexError
        body, inner = Body(size), _Reader(reader.data, reader.at, end)
        for _ in range(inner.count()):
            body.locals += inner.unsigned()
            inner.value_type()
        _instructions(inner, body, out)
        out.bodies.append(body)
        reader.at = end


#: How many numbers follow an instruction, where it is no special case.
_NUMBERS = {0x0C: 1, 0x0D: 1, 0x10: 1, 0x11: 2, 0xD0: 1, 0xD2: 1} | dict.fromkeys(range(0x20, 0x27), 1)
_NUMBERS |= dict.fromkeys(range(0x28, 0x3F), 2) | {0x3F: 1, 0x40: 1, 0x41: 1, 0x42: 1}
_NUMBERS |= dict.fromkeys((0x00, 0x01, 0x05, 0x0B, 0x0F, 0x1A, 0x1B, 0xD1, *range(0x45, 0xC5)), 0)
_NUMBERS |= {0x02: 1, 0x03: 1, 0x04: 1}
_PREFIXED = dict.fromkeys(range(8), 0) | {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}
_BYTES = {0x43: 4, 0x44: 8}


def _instructions(reader: _Reader, body: Body, out: Binary) -> None:
    """Read instructions up to the `end` of the function or constant. Signed numbers are as long as unsigned ones."""
    depth = 0
    while depth >= 0:
        code = reader.byte()
        numbers = _NUMBERS.get(code)
        if numbers is None:
            _special(reader, code)
            continue
        first = reader.unsigned() if numbers else 0
        if numbers == 2:
            if code != 0x11 and first >= 0x40:
                raise MalformedError("a second memory is not supported")
            reader.unsigned()
        if code <= 0x11:
            if code in (0x02, 0x03, 0x04):
                depth += 1
                body.blocks += 1
                body.depth = max(body.depth, depth)
            elif code in (0x05, 0x0C, 0x0D):
                body.blocks += 1
            elif code == 0x0B:
                depth -= 1
            elif code == 0x10:
                body.calls.add(first)
            elif code == 0x11:
                body.indirect.add(first)
                body.blocks += 1
        elif code == 0xD2:
            out.taken.add(first)


def _special(reader: _Reader, code: int) -> None:
    if code in _BYTES:
        reader.skip(_BYTES[code])
    elif code == 0x0E:
        for _ in range(reader.count() + 1):
            reader.unsigned()
    elif code == 0x1C:
        for _ in range(reader.count()):
            reader.value_type()
    elif code == 0xFC:
        sub = reader.unsigned()
        if sub not in _PREFIXED:
            _unsupported(f"0xfc {sub}")
        for _ in range(_PREFIXED[sub]):
            reader.unsigned()
    else:
        _unsupported(f"0x{code:02x}")


def _unsupported(code: str) -> NoReturn:
    raise MalformedError(f"instruction {code} is not supported (SIMD, threads, exceptions, tail calls, objects)")
