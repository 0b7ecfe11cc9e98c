"""Rows of the tables: every column that is named here is drawn from the keys of events; all others stay missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.dice import U64, Array, Dice, below
from kestrel_lab.synth.events import Events
from kestrel_lab.synth.images import Images
from kestrel_lab.synth.texts import Coder, Pool, pool

Columns = dict[str, Array]
Valid = dict[str, npt.NDArray[np.bool_]]

CPUS = 8
_COMMON = 501
_ROOT = '["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_KILL","CAP_NET_ADMIN","CAP_SYS_ADMIN"]'
_CAPABILITIES = pool("capabilities", [_ROOT, ""])
_CREDENTIALS: tuple[tuple[str, Pool], ...] = tuple(
    (f"{whose}.{what}", source)
    for whose, names in (("user", (t.UIDS, t.USER_NAMES)), ("group", (t.GIDS, t.GROUP_NAMES)))
    for what, source in zip(("id", "name"), names, strict=True)
)
_COPIES = ("", "process.real_", "process.saved_")
TABLES = ("process", "file", "network")
_TABLE_OF = np.zeros(256, np.uint8)
for _action in BUILTIN.actions:
    _TABLE_OF[_action.code] = TABLES.index(_action.table) if _action.table in TABLES else 0


@dataclass(frozen=True)
class Rows:
    """Some events of one table: their draws, and where their strings go."""

    table: str
    events: Events
    bits: U64
    images: Images
    coder: Coder

    def is_(self, *names: str) -> npt.NDArray[np.bool_]:
        """Return which events have one of these actions."""
        return np.isin(self.events["action"], [BUILTIN.action_code(self.table, name) for name in names])

    def standing(self, column: str, source: Pool, index: Array, which: Array | None = None) -> Array:
        """Return codes of strings of a pool, 0 where the row is not one of `which`."""
        key = f"{self.table}:{column}"
        if which is None:
            return self.coder.standing(key, source, index)
        out = np.zeros(len(self.events), np.int32)
        out[which] = self.coder.standing(key, source, np.broadcast_to(index, len(out))[which])
        return out

    def fresh(self, column: str, into: Array, which: Array, text: Callable[[int], bytes]) -> None:
        """Put the codes of fresh strings into some rows of a column."""
        which = which & (self.events["fresh"] > 0)
        if which.any():
            into[which] = self.coder.fresh(f"{self.table}:{column}", self.events["fresh"][which], text)

    def constant(self, column: str, text: str, which: Array) -> Array:
        """Return the code of one text in some rows."""
        return np.where(which, self.coder.one(f"{self.table}:{column}", text), 0).astype(np.int32)


def by_table(dice: Dice, events: Events, images: Images, coder: Coder) -> list[tuple[npt.NDArray[np.intp], Rows]]:
    """Return for each table that has any the places of its events, and their rows."""
    bits, table = dice.draw(events["key"], _COMMON), _TABLE_OF[events["action"]]
    out = []
    for number, name in enumerate(TABLES):
        at = np.flatnonzero(table == number)
        if len(at):
            out.append((at, Rows(name, events.take(at), bits[at], images, coder)))
    return out


def common(rows: Rows, first_event_id: int, at: npt.NDArray[np.intp]) -> Columns:
    """Return the columns that every table has."""
    events, images, slot = rows.events, rows.images, rows.events["slot"]
    user = images["user"][slot]
    columns: Columns = {
        "event_id": (first_event_id + at).astype(np.uint64), "ts_boot_ns": events["ts"].astype(np.uint64),
        "action": events["action"], "cpu": below(rows.bits >> np.uint64(5), CPUS).astype(np.uint16),
        "flags": np.zeros(len(events), np.uint32), "entity": images["ref"][slot],
        "process.thread.id": images["pid"][slot],
    }  # fmt: skip
    for copy in _COPIES:
        for name, source in _CREDENTIALS:
            if not (copy == "process.saved_" and name.endswith("name")):
                columns[copy + name] = rows.standing(copy + name, source, user)
    for kind in ("permitted", "effective"):
        name = f"process.thread.capabilities.{kind}"
        columns[name] = rows.standing(name, _CAPABILITIES, np.minimum(user, 1))
    return columns


def outcome(rows: Rows, index: Array) -> Array:
    """Return the codes of outcomes: 0 success, 1 failure, 2 unknown."""
    return rows.standing("event.outcome", t.OUTCOMES, index)
