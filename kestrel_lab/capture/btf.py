"""BTF, as far as a recorder needs it: byte offsets of struct members, and how many arguments a tracepoint has."""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from kestrel_lab.schema.errors import UnavailableError

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_HEAD = struct.Struct("<III")
_AGGREGATES = (4, 5)  # struct, union
_PTR, _ENUM, _TYPEDEF, _PROTO = 2, 6, 8, 13
_TRANSPARENT = (8, 9, 10, 11, 18)  # typedef, volatile, const, restrict, type tag
#: bytes after the 12-byte head, by kind: (fixed, per member)
_TAIL = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0),
         19: (0, 12)}  # fmt: skip


class _Type(NamedTuple):
    kind: int
    ref: int  # the type it refers to, or its size
    body: int  # offset of its members
    members: int
    bits: int  # 1: members carry bit-field sizes


class Btf:
    """The types of one kernel.

    Args:
        data: the raw BTF section.

    Raises:
        UnavailableError: if it is no little-endian BTF.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < 24 or struct.unpack_from("<H", data)[0] != 0xEB9F:
            raise UnavailableError("the kernel's BTF cannot be read", where=str(VMLINUX))
        head, type_at, type_len, text_at, text_len = struct.unpack_from("<IIIII", data, 4)
        self.sha256 = sha256(data).hexdigest()
        self._types_data = data[head + type_at : head + type_at + type_len]
        self._text = data[head + text_at : head + text_at + text_len]
        self._types: list[_Type] = [_Type(0, 0, 0, 0, 0)]
        self._by_name: dict[tuple[bool, bytes], int] = {}
        self._enums: dict[bytes, int] = {}
        self._read()

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> Btf:
        """Return the running kernel's types.

        Raises:
            UnavailableError: if the kernel has no BTF.
        """
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise UnavailableError(
                "the kernel offers no BTF", where=str(path), do="boot a kernel built with CONFIG_DEBUG_INFO_BTF=y"
            ) from error

    def offset(self, path: str) -> int | None:
        """Return the byte offset of `struct.member[.member...]`, through unnamed members; None if there is none."""
        first, *members = path.split(".")
        found = self._by_name.get((True, first.encode()))
        total = 0
        for member in members:
            step = None if found is None else self._member(found, member.encode())
            if step is None:
                return None
            total, found = total + step[0], step[1]
        return total // 8

    def bit(self, path: str) -> int | None:
        """Return the place of a bit field in bits, as `offset` gives that of a member in bytes."""
        first, name = path.split(".")
        index = self._by_name.get((True, first.encode()))
        found = None if index is None else self._member(index, name.encode())
        return None if found is None else found[0]

    def enumerator(self, path: str) -> int | None:
        """Return the value of `enum.NAME`; None if there is none."""
        first, name = path.split(".")
        index = self._enums.get(first.encode())
        for i in range(self._types[index].members if index is not None else 0):
            label, value = struct.unpack_from("<Ii", self._types_data, self._types[index or 0].body + 8 * i)
            if self._string(label) == name.encode():
                return int(value)
        return None

    def tracepoint_args(self, name: str) -> int:
        """Return the number of arguments of a raw tracepoint, 0 if it is not known."""
        index = self._by_name.get((False, f"btf_trace_{name}".encode()))
        while index is not None and self._types[index].kind in (_TYPEDEF, _PTR):
            index = self._types[index].ref
        if index is None or self._types[index].kind != _PROTO:
            return 0
        return self._types[index].members - 1  # the first one is the probe's private data

    def has_helper(self, name: str) -> bool:
        """Return whether the kernel has a BPF helper function, by the type that its definition makes."""
        return (False, f"btf_{name}".encode()) in self._by_name

    def _read(self) -> None:
        data, at, end = self._types_data, 0, len(self._types_data)
        unpack, append, tails = _HEAD.unpack_from, self._types.append, _TAIL
        while at < end:  # a hundred thousand turns: kept lean
            name, info, ref = unpack(data, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            at += 12
            if (count and kind in _AGGREGATES) or kind == _TYPEDEF:
                self._by_name.setdefault((kind != _TYPEDEF, self._string(name)), len(self._types))
            elif count and kind == _ENUM:
                self._enums.setdefault(self._string(name), len(self._types))
            append(_Type(kind, ref, at, count, info >> 31))
            tail = tails.get(kind)
            if tail is not None:
                at += tail[0] + tail[1] * count

    def _string(self, at: int) -> bytes:
        return self._text[at : self._text.index(b"\0", at)]

    def _resolve(self, index: int) -> int:
        while self._types[index].kind in _TRANSPARENT:
            index = self._types[index].ref
        return index

    def _member(self, index: int, name: bytes) -> tuple[int, int] | None:
        """Return (place in bits, type) of a member, also of one that lies in an unnamed one."""
        entry = self._types[index]
        if entry.kind not in _AGGREGATES:
            return None
        for i in range(entry.members):
            label, ref, bits = struct.unpack_from("<III", self._types_data, entry.body + 12 * i)
            offset = bits & 0xFFFFFF if entry.bits else bits
            target = self._resolve(ref)
            if label and self._string(label) == name:
                return offset, target
            if not label:
                inner = self._member(target, name)
                if inner is not None:
                    return offset + inner[0], inner[1]
        return None
