"""Rows of the segment's entity table from images."""

from __future__ import annotations

from typing import Any

import numpy as np

from kestrel_lab.schema.build import DTYPES, FlatLists, GrowingSegment
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.types import Physical
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.dice import Array
from kestrel_lab.synth.images import LINKS, Images, Slots
from kestrel_lab.synth.texts import Coder, Pool, pool

#: what every identity of a synthetic process begins with, so that it says so wherever it is read
MARK = b"synth"
ENTRY_TYPES = pool("entry type", ["", "init", "kthread", "sshd", "container"])
CGROUPS = pool("cgroup", ["/system.slice", f"/system.slice/docker-{'5e' * 32}.scope"])
CONTAINERS = pool("container", ["", "5e" * 32])
#: a device of terminals: pts/0
_TTY_MAJOR = 136
_NAMESPACES = {"mnt": 0xF0000000, "pid": 0xEFFFFFFC, "net": 0xF0000098, "user": 0xEFFFFFFD, "uts": 0xEFFFFFFE,
               "ipc": 0xEFFFFFFF, "cgroup": 0xEFFFFFFB, "time": 0xEFFFFFFA}  # fmt: skip
_CODED: tuple[tuple[str, Pool, str], ...] = (
    ("name", t.NAMES, "program"), ("executable", t.EXECUTABLES, "program"),
    ("working_directory", t.FOLDER_OF_WORK, "folder"), ("entry_type", ENTRY_TYPES, "entry_type"),
    ("user_id", t.UIDS, "user"), ("group_id", t.GIDS, "user"), ("real_user_id", t.UIDS, "user"),
    ("real_group_id", t.GIDS, "user"), ("user_name", t.USER_NAMES, "user"), ("cgroup", CGROUPS, "container"),
    ("container_id", CONTAINERS, "container"),
)  # fmt: skip


def add(segment: GrowingSegment, coder: Coder, images: Images, slots: Slots, mark: bytes) -> None:
    """Append images, in this order, to the segment's entities and give them their refs.

    Args:
        slots: parents before children; what they are linked to has its ref, or is among them.
        mark: the first 8 bytes of their identities.
    """
    if not len(slots):
        return
    images["ref"][slots] = len(segment.entities) + np.arange(len(slots), dtype=np.uint32)
    # Columns that are not named here stay empty, those of later field tables among them.
    columns: dict[str, Any] = {c.name: np.zeros(len(slots), DTYPES[c.physical]) for c in ENTITY_COLUMNS}
    for name in ("pid", "start_ns", "exec_seq", "first_event_id", "precision"):
        columns[name] = images[name][slots]
    for name in LINKS:
        links = images[name][slots]
        columns[name] = np.where(links < 0, 0, images["ref"][links])
    for name, source, column in _CODED:
        columns[name] = coder.standing(f"entity:{name}", source, images[column][slots])
    columns |= _numbers(images, slots)
    columns["entity_id"] = _identities(images["number"][slots], mark)
    none = FlatLists(np.zeros(len(slots), np.int64), np.zeros(0, np.int32))
    lists = {c.name: none for c in ENTITY_COLUMNS if c.physical is Physical.CODES}
    lists["args"] = _arguments(coder, images, slots)
    segment.entities.extend(columns, lists)


def _numbers(images: Images, slots: Slots) -> dict[str, Array]:
    """Return nullable numbers, which are stored plus one."""
    terminal, container = images["terminal"][slots], images["container"][slots]
    return {
        "vpid": np.where(container > 0, images["number"][slots] % 30_000 + 2, images["pid"][slots] + 1),
        "tty_major": np.where(terminal > 0, _TTY_MAJOR + 1, 0),
        "tty_minor": terminal,
        "interactive": np.where(terminal > 0, 2, 1),
        **{f"ns_{name}": container.astype(np.uint32) * (name not in ("user", "time")) + np.uint32(number + 1)
           for name, number in _NAMESPACES.items()},
    }  # fmt: skip


def _identities(numbers: Array, mark: bytes) -> Array:
    pairs = np.empty((len(numbers), 2), ">u8")
    pairs[:, 0], pairs[:, 1] = int.from_bytes(mark, "big"), numbers
    return pairs.view("V16").ravel()


def _arguments(coder: Coder, images: Images, slots: Slots) -> FlatLists:
    """Return the arguments of each image: those of a call, and one more if the program takes one."""
    call, extra, number = (images[name][slots] for name in ("call", "extra", "fresh"))
    sizes = t.CALL_SIZES[call]
    added = (extra >= 0) | (number > 0)
    whole = sizes + added
    ends = np.cumsum(whole)
    out = np.zeros(int(ends[-1]), np.int32)
    inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    words = t.CALL_WORDS[np.repeat(t.CALL_STARTS[call], sizes) + inside]
    out[np.repeat(ends - whole, sizes) + inside] = coder.standing("entity:args", t.ARGUMENTS, words)
    usual, fresh = (extra >= 0) & (number == 0), number > 0
    out[ends[usual] - 1] = coder.standing("entity:args", t.ARGUMENTS, t.FIRST_EXTRA + extra[usual])
    out[ends[fresh] - 1] = coder.fresh("entity:args", number[fresh], t.fresh_argument)
    return FlatLists(whole, out)
