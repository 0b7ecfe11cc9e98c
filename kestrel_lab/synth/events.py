"""Events before they are rows: when, which action, whose, and the key that all else about them is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kestrel_lab.synth.dice import Array

_COLUMNS: Mapping[str, str] = {
    "ts": "i8", "action": "u1", "slot": "i8", "kind": "u1", "step": "u1", "key": "u8", "fresh": "u8", "text": "i4",
    "age": "i8",
}  # fmt: skip


@dataclass
class Events:
    """Columns of equal length.

    Attributes:
        columns: `ts` boot time, ns; `action` its code; `slot` the image that acts; `kind` of chain (see `acts`) and
            `step` in it; `key` of the chain or the process; `fresh` the number of the fresh string, 0 for none; `text`
            the path in the pool plus one, 0 to draw it; `age` ns since the chain began.
    """

    columns: dict[str, Array]

    @classmethod
    def of(cls, count: int, columns: Mapping[str, Array | int]) -> Events:
        """Return events; what is left out is 0."""
        out = {}
        for name, dtype in _COLUMNS.items():
            out[name] = np.empty(count, dtype)
            out[name][:] = columns.get(name, 0)
        return cls(out)

    @classmethod
    def joined(cls, parts: Sequence[Events]) -> Events:
        """Return the events of all parts, one after the other."""
        return cls({name: np.concatenate([part.columns[name] for part in parts]) for name in _COLUMNS})

    def __len__(self) -> int:
        return len(self.columns["ts"])

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array) -> Events:
        """Return some of the events, by index or mask."""
        return Events({name: values[rows] for name, values in self.columns.items()})
