"""Columns of the file table from raw records. Texts are looked at once per distinct one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.coded import coded_numbers
from kestrel_lab.capture.flags import OF_FILES, names_of
from kestrel_lab.capture.intern import group, masked
from kestrel_lab.capture.naming import CODES, REACHED, named
from kestrel_lab.capture.records import FILE_HAS_FIRST, FILE_HAS_FLAGS, FILE_HAS_INODE, FILE_HAS_SECOND
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import FLAG_RELATIVE_PATH
from kestrel_lab.schema.epoch import Array

_REACHED = np.array(REACHED)
_TEXTS = ("file.path", "file.Ext.original.path", "file.target_path", "kestrel.name", "kestrel.mount.source",
          "kestrel.mount.type", "file.hash.sha256", "kestrel.content.role")  # fmt: skip
_DECIMALS = ("file.mode", "file.uid", "file.gid")
_NUMBERS = ("file.inode", "file.Ext.device", "file.Ext.open_flags", "file.size")
_SIZED = [CODES[name] for name in ("truncate", "content_hash", "existing_module")]
_UNCHANGED = 0xFFFF_FFFF  # of a user or a group


def file_columns(
    segment: GrowingSegment, parts: Sequence[tuple[Records, npt.NDArray[np.intp]]], flags: Array
) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns of the file table, and which rows have a value; may set bits in `flags`."""
    rows = len(flags)
    columns: dict[str, Array] = {name: np.zeros(rows, np.int32) for name in (*_TEXTS, *_DECIMALS)}
    columns |= {"file.inode": np.zeros(rows, np.uint64), "file.size": np.zeros(rows, np.uint64)}
    columns |= {name: np.zeros(rows, np.uint32) for name in ("file.Ext.device", "file.Ext.open_flags")}
    columns["kestrel.content.kept"] = np.zeros(rows, np.uint8)
    columns["kestrel.ret"], columns["kestrel.call_flags"] = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
    valid = {name: np.zeros(rows, np.bool_) for name in (*_NUMBERS, "kestrel.content.kept")} | {
        "kestrel.ret": np.ones(rows, np.bool_)
    }
    for rec, at in parts:
        columns["file.inode"][at] = rec["inode"]
        columns["file.Ext.device"][at] = rec["dev"]
        columns["file.Ext.open_flags"][at] = rec["open_flags"]
        columns["kestrel.ret"][at] = rec["ret"]
        present = rec["present"]
        valid["file.inode"][at] = valid["file.Ext.device"][at] = present & FILE_HAS_INODE != 0
        valid["file.Ext.open_flags"][at] = present & FILE_HAS_FLAGS != 0
        codes, more = _texts(segment, rec)
        for name, column in zip(_TEXTS, codes, strict=True):
            columns[name][at] = column
        flags[at] |= more
        if (present & FILE_HAS_FIRST).any():
            _numbers(segment, rec, at, columns, valid)
    ret = columns["kestrel.ret"]
    code = segment.strings("file:event.outcome").code
    columns["event.outcome"] = np.where(ret < 0, code(b"failure"), code(b"success")).astype(np.int32)
    return columns, valid


def _numbers(
    segment: GrowingSegment, rec: Records, at: npt.NDArray[np.intp], columns: dict[str, Array],
    valid: dict[str, npt.NDArray[np.bool_]],
) -> None:  # fmt: skip
    action, present = rec["head"]["action"], rec["present"]
    first, second = rec["numbers"][:, 0], rec["numbers"][:, 1]
    sized = np.isin(action, _SIZED)
    upper = np.where(present & FILE_HAS_SECOND != 0, second, 0)
    columns["file.size"][at] = np.where(sized, first + (upper << np.uint64(32)), 0)
    valid["file.size"][at] = sized
    read = action == CODES["content_hash"]
    columns["kestrel.content.kept"][at] = np.where(read, rec["open_flags"], 0)
    valid["kestrel.content.kept"][at] = read
    owner = action == CODES["chown"]
    for name, values, which, text in (
        ("file.mode", first, action == CODES["chmod"], _octal), ("file.uid", first, owner, _owner),
        ("file.gid", second, owner, _owner),
    ):  # fmt: skip
        columns[name][at] = coded_numbers(segment, f"file:{name}", values, which, text)
    for act, bits in OF_FILES.items():
        which = action == CODES[act]
        if which.any():
            columns["kestrel.call_flags"][at[which]] = coded_numbers(
                segment, "file:kestrel.call_flags", first[which], which[which], partial(names_of, bits)
            )


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
    reached = np.isin(rec["head"]["action"], _REACHED)
    action = np.where(reached, _REACHED[0], rec["head"]["action"])
    reached &= rec["ret"] == 0
    by_descriptor = rec["present"] & FILE_HAS_INODE != 0
    first, inverse = group(words, lens.view(np.uint64).reshape(-1), action, by_descriptor, reached)
    code = [segment.strings(f"file:{name}").code for name in _TEXTS]
    codes = np.zeros((len(_TEXTS) + 1, len(first)), np.int32)
    for i, row in enumerate(first.tolist()):
        text = words[row, : -(-int(sizes[row]) // 8)].tobytes()[: int(sizes[row])]
        if reached[row]:
            codes[0, i] = code[0](text or None)
            continue
        found = named(int(action[row]), text, lens[row].tolist(), by_descriptor=bool(by_descriptor[row]))
        codes[:-1, i] = [of(value) for of, value in zip(code, found.texts, strict=True)]
        codes[-1, i] = FLAG_RELATIVE_PATH * found.relative
    return codes[:-1][:, inverse], codes[-1][inverse].astype(np.uint32)
