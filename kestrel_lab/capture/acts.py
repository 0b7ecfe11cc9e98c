"""Columns of what processes do to themselves and to one another, from the records of the `act` ring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.coded import coded_numbers
from kestrel_lab.capture.entities import Images
from kestrel_lab.capture.intern import group
from kestrel_lab.capture.records import ACT_HAS_IDS, ACT_HAS_TARGET, ACT_PID_IS_GLOBAL
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import DTYPES, GrowingSegment
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.values import array_text

_CODES = {action.name: action.code for action in BUILTIN.actions_of("process")}
_COLUMNS = BUILTIN.columns_by_name("process")
_BEFORE = ("real_user.id", "real_group.id", "saved_user.id", "saved_group.id", "user.id", "group.id")  # as in a record

#: ptrace requests: include/uapi/linux/ptrace.h
REQUESTS: Mapping[int, bytes] = {
    0: b"traceme", 4: b"poketext", 5: b"pokedata", 13: b"setregs", 16: b"attach", 0x4205: b"setregset",
    0x4206: b"seize",
}  # fmt: skip
_NAMESPACES = {0x0002_0000: b"mount", 0x0200_0000: b"cgroup", 0x0400_0000: b"uts", 0x0800_0000: b"ipc",
               0x1000_0000: b"user", 0x2000_0000: b"pid", 0x4000_0000: b"net", 0x80: b"time"}  # fmt: skip
#: flags of calls by bit: include/uapi/linux/{sched,memfd}.h
FLAGS: Mapping[str, Mapping[int, bytes]] = {
    "unshare": _NAMESPACES | {0x200: b"fs", 0x400: b"files", 0x4_0000: b"sysvsem"},
    "setns": _NAMESPACES,
    "memfd_create": {1: b"cloexec", 2: b"allow_sealing", 4: b"hugetlb", 8: b"noexec_seal", 16: b"exec"},
}
_PROTECTION = {1: b"read", 2: b"write", 4: b"execute"}
#: which argument holds the flags
_FLAGS_AT = {"unshare": 0, "setns": 1, "memfd_create": 1}


#: whom each act is about: rows of the entity table and pids, 0 where nobody is known
Targets = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]


def act_columns(
    segment: GrowingSegment, rec: Records, targets: Targets
) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns that only acts have, and which rows have a value, for records of the ring."""
    made = _Columns(segment, rec)
    made.columns["target"], pids = targets
    made.numbers("Target.process.pid", pids, pids != 0)
    made.numbers("kestrel.ret", np.clip(rec["ret"], -(2**31), 2**31 - 1), made.action != _CODES["kill"])
    made.numbers("kestrel.signal", rec["args"][:, 0], made.action == _CODES["kill"])
    memory = made.action == _CODES["memory_executable"]
    made.numbers("kestrel.memory.address", rec["args"][:, 0], memory)
    made.numbers("kestrel.memory.size", rec["args"][:, 1], memory)
    made.texts("kestrel.memory.protection", rec["args"][:, 2], memory, lambda bits: _names(_PROTECTION, bits & 7))
    made.texts("kestrel.request", rec["args"][:, 0], made.action == _CODES["ptrace"], REQUESTS.get)
    made.flags()
    made.names()
    for place, name in enumerate(_BEFORE):
        made.texts(f"kestrel.before.{name}", rec["ids"][:, place], rec["present"] & ACT_HAS_IDS != 0, _decimal)
    made.outcome()
    return made.columns, made.valid


class _Columns:
    def __init__(self, segment: GrowingSegment, rec: Records) -> None:
        self._segment, self._rec = segment, rec
        self.action: Array = rec["head"]["action"]
        self.columns: dict[str, Array] = {}
        self.valid: dict[str, npt.NDArray[np.bool_]] = {}

    def numbers(self, column: str, values: Array, present: npt.NDArray[np.bool_]) -> None:
        """Add numbers of the rows that have them."""
        self.columns[column] = np.where(present, values, 0).astype(DTYPES[_COLUMNS[column].physical])
        self.valid[column] = present

    def texts(
        self, column: str, values: Array, present: npt.NDArray[np.bool_], text: Callable[[int], bytes | None]
    ) -> None:
        """Add texts of numbers, each distinct one made once."""
        self.columns[column] = coded_numbers(self._segment, f"process:{column}", values, present, text)

    def flags(self) -> None:
        """Add the flags of the calls that have some, by name."""
        codes = np.zeros(len(self.action), np.int32)
        for name, bits in FLAGS.items():
            self.texts(
                "kestrel.call_flags", self._rec["args"][:, _FLAGS_AT[name]], self.action == _CODES[name],
                partial(_names, bits),
            )  # fmt: skip
            codes += self.columns["kestrel.call_flags"]
        self.columns["kestrel.call_flags"] = codes

    def names(self) -> None:
        """Add the texts that were read; what lies past their end is an earlier record's."""
        sizes = self._rec["text_len"].tolist()
        found = [one[:size].tobytes() or None for one, size in zip(self._rec["text"], sizes, strict=True)]
        self.columns["kestrel.name"] = self._segment.strings("process:kestrel.name").codes(found)

    def outcome(self) -> None:
        """Say whether the act succeeded."""
        code = self._segment.strings("process:event.outcome").code
        self.columns["event.outcome"] = np.where(_failed(self._rec["ret"]), code(b"failure"), code(b"success"))


def _failed(ret: Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (ret < 0) & (ret > -4096)
    return found


def _decimal(number: int) -> bytes:
    return b"%d" % number


def _names(of: Mapping[int, bytes], bits: int) -> bytes | None:
    """Return the JSON text of the names of bits; those without a name as one number."""
    names = [name for bit, name in of.items() if bits & bit]
    rest = bits & ~sum(of) & 0xFFFF_FFFF
    return array_text([*names, *([b"0x%x" % rest] if rest else [])]) if bits else None


def target_columns(images: Images, rec: Records, event_id: int) -> Targets:
    """Return whom each act is about.

    A target that is known by its pid alone is the process that runs under it, if its pid is one of the initial
    namespace. `event_id` is of the first act: an image that nothing is known of begins there.
    """
    who = rec["head"]["who"]
    columns = [rec["target_tgid"], rec["target_start"], rec["target_exec_seq"], rec["target_pid"], rec["present"]]
    first, inverse = group(*columns, who["tgid"], who["start"], who["exec_seq"])
    refs, pids = np.zeros(len(first), np.uint32), np.zeros(len(first), np.uint32)
    for place, row in enumerate(first.tolist()):
        tgid, start, exec_seq, pid, present = (int(column[row]) for column in columns)
        if present & ACT_HAS_TARGET:
            refs[place], pids[place] = (
                images.ref_of((tgid, start, exec_seq), event_id, int(rec["head"]["ts"][row])),
                tgid,
            )
            continue
        pids[place] = pid
        caller = int(who["tgid"][row]), int(who["start"][row]), int(who["exec_seq"][row])
        if present & ACT_PID_IS_GLOBAL or images.sees_all(caller):
            refs[place] = images.running(pid)
    return refs[inverse], pids[inverse]
