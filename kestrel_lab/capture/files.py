"""Columns of the file table from raw records. Texts are looked at once per distinct one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.coded import coded_numbers
from kestrel_lab.capture.intern import group, masked
from kestrel_lab.capture.records import FILE_HAS_FIRST, FILE_HAS_FLAGS, FILE_HAS_INODE, FILE_HAS_SECOND
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import FLAG_RELATIVE_PATH
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import BUILTIN

_CODES = {action.name: action.code for action in BUILTIN.actions_of("file")}
_OPENED = np.array([_CODES["open"], _CODES["creation"]])
_TEXTS = ("file.path", "file.Ext.original.path", "file.target_path", "kestrel.name")
_DECIMALS = ("file.mode", "file.uid", "file.gid")
_NUMBERS = ("file.inode", "file.Ext.device", "file.Ext.open_flags", "file.size")
_UNCHANGED = 0xFFFF_FFFF  # of a user or a group


@dataclass(frozen=True, slots=True)
class Named:
    """What the texts of a record name."""

    path: bytes | None
    original: bytes | None = None
    target: bytes | None = None
    name: bytes | None = None

    @property
    def texts(self) -> tuple[bytes | None, ...]:
        """Values of the columns of texts."""
        return self.path, self.original, self.target, self.name

    @property
    def relative(self) -> bool:
        """Whether a path does not begin at the root."""
        return any(path is not None and not path.startswith(b"/") for path in (self.path, self.original))


def file_columns(
    segment: GrowingSegment, parts: Sequence[tuple[Records, npt.NDArray[np.intp]]], flags: Array
) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns of the file table, and which rows have a value; may set bits in `flags`."""
    rows = len(flags)
    columns: dict[str, Array] = {name: np.zeros(rows, np.int32) for name in (*_TEXTS, *_DECIMALS)}
    columns |= {"file.inode": np.zeros(rows, np.uint64), "file.size": np.zeros(rows, np.uint64)}
    columns |= {name: np.zeros(rows, np.uint32) for name in ("file.Ext.device", "file.Ext.open_flags")}
    valid = {name: np.zeros(rows, np.bool_) for name in _NUMBERS}
    for rec, at in parts:
        columns["file.inode"][at] = rec["inode"]
        columns["file.Ext.device"][at] = rec["dev"]
        columns["file.Ext.open_flags"][at] = rec["open_flags"]
        present = rec["present"]
        valid["file.inode"][at] = valid["file.Ext.device"][at] = present & FILE_HAS_INODE != 0
        valid["file.Ext.open_flags"][at] = present & FILE_HAS_FLAGS != 0
        codes, more = _texts(segment, rec)
        for name, column in zip(_TEXTS, codes, strict=True):
            columns[name][at] = column
        flags[at] |= more
        if (present & FILE_HAS_FIRST).any():
            _numbers(segment, rec, at, columns, valid)
    columns["event.outcome"] = np.full(rows, segment.strings("file:event.outcome").code(b"success"), np.int32)
    return columns, valid


def _numbers(
    segment: GrowingSegment, rec: Records, at: npt.NDArray[np.intp], columns: dict[str, Array],
    valid: dict[str, npt.NDArray[np.bool_]],
) -> None:  # fmt: skip
    action, present = rec["head"]["action"], rec["present"]
    first, second = rec["numbers"][:, 0], rec["numbers"][:, 1]
    truncated = action == _CODES["truncate"]
    upper = np.where(present & FILE_HAS_SECOND != 0, second, 0)
    columns["file.size"][at] = np.where(truncated, first + (upper << np.uint64(32)), 0)
    valid["file.size"][at] = truncated
    owner = action == _CODES["chown"]
    for name, values, which, text in (
        ("file.mode", first, action == _CODES["chmod"], _octal), ("file.uid", first, owner, _owner),
        ("file.gid", second, owner, _owner),
    ):  # fmt: skip
        columns[name][at] = coded_numbers(segment, f"file:{name}", values, which, text)


def _octal(mode: int) -> bytes:
    return b"%04o" % (mode & 0o7777)


def _owner(number: int) -> bytes | None:
    """Return a user or group as text, None where it is to stay as it is."""
    low = number & 0xFFFF_FFFF
    return None if low == _UNCHANGED else b"%d" % low


def _texts(segment: GrowingSegment, rec: Records) -> tuple[Array, Array]:
    """Return the codes of each column of texts, and flags."""
    lens = np.ascontiguousarray(rec["lens"])
    sizes = lens.sum(axis=1, dtype=np.int64)
    words = masked(rec["text"], sizes)
    action = np.where(np.isin(rec["head"]["action"], _OPENED), _OPENED[0], rec["head"]["action"])
    by_descriptor = rec["present"] & FILE_HAS_INODE != 0
    first, inverse = group(words, lens.view(np.uint64).reshape(-1), action, by_descriptor)
    code = [segment.strings(f"file:{name}").code for name in _TEXTS]
    codes = np.zeros((len(_TEXTS) + 1, len(first)), np.int32)
    for i, row in enumerate(first.tolist()):
        text = words[row, : -(-int(sizes[row]) // 8)].tobytes()[: int(sizes[row])]
        if action[row] == _OPENED[0]:
            codes[0, i] = code[0](text or None)
            continue
        found = named(int(action[row]), text, lens[row].tolist(), by_descriptor=bool(by_descriptor[row]))
        codes[:-1, i] = [of(value) for of, value in zip(code, found.texts, strict=True)]
        codes[-1, i] = FLAG_RELATIVE_PATH * found.relative
    return codes[:-1][:, inverse], codes[-1][inverse].astype(np.uint32)


def named(action: int, text: bytes, lens: Sequence[int], *, by_descriptor: bool) -> Named:
    """Return what the texts of a call name: a directory and a name, once or twice; a text has no directory, and what
    is known by a descriptor no name."""
    parts, at = [], 0
    for length in lens:
        parts.append(text[at : at + length])
        at += length
    first = parts[0] or None if by_descriptor else join_name(parts[0], parts[1])
    second = join_name(parts[2], parts[3])
    if action == _CODES["rename"]:
        return Named(second, original=first)
    if action == _CODES["link"]:
        return Named(second, target=first)
    if action == _CODES["symlink"]:
        return Named(second, target=parts[1] or None)
    return Named(first, name=parts[3] or None)


def join_name(folder: bytes, name: bytes) -> bytes | None:
    """Return a name as given, in a folder: empty and `.` parts are left out, `..` stays (it may cross a link)."""
    if not name:
        return None
    whole = name if name.startswith(b"/") or not folder else folder + b"/" + name
    parts = [part for part in whole.split(b"/") if part not in (b"", b".")]
    return (b"/" if whole.startswith(b"/") else b"") + b"/".join(parts)
