"""Process images that are still needed, as columns: a slot each, and links between them as slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.synth.dice import Array

Slots = npt.NDArray[np.int64]

#: slots of other images, -1 for none
LINKS = ("parent", "real_parent", "previous", "group_leader", "session_leader", "entry_leader")
_COLUMNS: Mapping[str, str] = {
    "number": "u8", "pid": "u4", "start_ns": "i8", "exec_seq": "u4", "first_event_id": "u8", "precision": "u1",
    "program": "i4", "call": "i4", "extra": "i4", "fresh": "u8", "folder": "i2", "user": "i2", "container": "i1",
    "entry_type": "i1", "terminal": "i1", "last_ns": "i8", "ref": "u4", **dict.fromkeys(LINKS, "i8"),
}  # fmt: skip
#: an image that runs until after the last event
FOR_EVER = np.iinfo(np.int64).max


class Images:
    """The table. `number` is of the process; `call` and `extra` are its arguments, or `fresh` the last one's number;
    `ref` is its row in the current segment, 0 before its first event; `last_ns` when the image is over."""

    def __init__(self) -> None:
        self._data = {name: np.zeros(1_024, dtype) for name, dtype in _COLUMNS.items()}
        self.size = 0

    def __getitem__(self, name: str) -> Array:
        return self._data[name][: self.size]

    def append(self, count: int, columns: Mapping[str, Array | int]) -> int:
        """Append images (columns left out are 0, links -1) and return the slot of the first."""
        first, need = self.size, self.size + count
        for name, data in self._data.items():
            if need > len(data):
                grown = np.zeros(max(need, 2 * len(data)), data.dtype)
                grown[:first] = data[:first]
                self._data[name] = data = grown
            data[first:need] = columns.get(name, -1 if name in LINKS else 0)
        self.size = need
        return first

    def copy(self, into: Slots, of: Slots, names: tuple[str, ...]) -> None:
        """Give images some columns of others."""
        for name in names:
            self._data[name][into] = self._data[name][of]

    def compact(self, now_ns: int) -> Slots:
        """Drop what is over before `now_ns`, unless something kept is linked to it.

        Returns:
            For each old slot its new one, -1 if it was dropped; one more entry, -1, for no slot.
        """
        keep = self["last_ns"] >= now_ns
        before = -1
        while before != (before := int(keep.sum())):
            for name in LINKS:
                links = self[name][keep]
                keep[links[links >= 0]] = True
        moved = np.full(self.size + 1, -1, np.int64)
        moved[:-1][keep] = np.arange(before)
        for name, data in self._data.items():
            values: Any = data[: self.size][keep]
            data[:before] = moved[values] if name in LINKS else values
        self.size = before
        return moved
