"""Columns of what processes do to themselves and to one another, from the records of the `act` ring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.coded import coded_numbers
from kestrel_lab.capture.entities import Images
from kestrel_lab.capture.flags import BPF_TYPES, CLOCKS, OF_ACTS, PROTECTION, REQUESTS, names_of
from kestrel_lab.capture.intern import group
from kestrel_lab.capture.records import ACT_HAS_IDS, ACT_HAS_TARGET, ACT_HAS_TIME, ACT_PID_IS_GLOBAL
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import DTYPES, GrowingSegment
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import BUILTIN

_CODES = {action.name: action.code for action in BUILTIN.actions_of("process")}
_COLUMNS = BUILTIN.columns_by_name("process")
_BEFORE = ("real_user.id", "real_group.id", "saved_user.id", "saved_group.id", "user.id", "group.id")  # as in a record

#: which argument holds the flags
_FLAGS_AT = {"unshare": 0, "setns": 1, "memfd_create": 1}


def _program_type(kind: int) -> bytes:
    return BPF_TYPES[kind] if kind < len(BPF_TYPES) else b"%d" % kind


#: what `kestrel.request` says of the first argument
_REQUESTS: Mapping[str, Callable[[int], bytes | None]] = {
    "ptrace": REQUESTS.get,
    "existing_bpf": _program_type,
    "bpf_load": _program_type,
    "clock_change": lambda clock: CLOCKS.get(clock & 0xFFFF_FFFF, b"%d" % (clock & 0xFFFF_FFFF)),
}
_MOST_SECONDS = 2**63 // 1_000_000_000

#: whom each act is about: rows of the entity table and pids, 0 where nobody is known
Targets = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]


def act_columns(
    segment: GrowingSegment, rec: Records, targets: Targets
) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns that only acts have, and which rows have a value, for records of the ring."""
    made = _Columns(segment, rec)
    made.columns["target"], pids = targets
    made.numbers("Target.process.pid", pids, pids != 0)
    no_call = np.isin(made.action, [_CODES["kill"], _CODES["existing_bpf"]])
    made.numbers("kestrel.ret", np.clip(rec["ret"], -(2**31), 2**31 - 1), ~no_call)
    made.numbers("kestrel.signal", rec["args"][:, 0], made.action == _CODES["kill"])
    memory = made.action == _CODES["memory_executable"]
    made.numbers("kestrel.memory.address", rec["args"][:, 0], memory)
    made.numbers("kestrel.memory.size", rec["args"][:, 1], memory)
    made.texts("kestrel.memory.protection", rec["args"][:, 2], memory, lambda bits: names_of(PROTECTION, bits & 7))
    made.requests()
    existing = made.action == _CODES["existing_bpf"]
    made.numbers("kestrel.bpf.id", rec["args"][:, 1], existing)
    made.flags()
    made.clock()
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
        for name, bits in OF_ACTS.items():
            self.texts(
                "kestrel.call_flags", self._rec["args"][:, _FLAGS_AT[name]], self.action == _CODES[name],
                partial(names_of, bits),
            )  # fmt: skip
            codes += self.columns["kestrel.call_flags"]
        self.columns["kestrel.call_flags"] = codes

    def requests(self) -> None:
        """Add what was asked for, by name."""
        codes = np.zeros(len(self.action), np.int32)
        for name, text in _REQUESTS.items():
            self.texts("kestrel.request", self._rec["args"][:, 0], self.action == _CODES[name], text)
            codes += self.columns["kestrel.request"]
        self.columns["kestrel.request"] = codes

    def clock(self) -> None:
        """Add what clocks were to be set to; a time that no clock can have has no value."""
        second, ns = (self._rec["args"][:, place].astype(np.int64) for place in (1, 2))
        known = (self.action == _CODES["clock_change"]) & (self._rec["present"] & ACT_HAS_TIME != 0)
        known &= (second >= 0) & (second < _MOST_SECONDS) & (ns >= 0) & (ns < 1_000_000_000)
        self.numbers("kestrel.clock_ns", np.where(known, second, 0) * 1_000_000_000 + np.where(known, ns, 0), known)

    def names(self) -> None:
        """Add the texts that were read; what lies past their end is an earlier record's."""
        sizes = self._rec["text_len"].tolist()
        found = [one[:size].tobytes() or None for one, size in zip(self._rec["text"], sizes, strict=True)]
        failed = (self.action == _CODES["exec_failed"]).tolist()
        for column, of_failed in (("kestrel.name", False), ("process.Ext.filename", True)):
            texts = [text if is_failed == of_failed else None for text, is_failed in zip(found, failed, strict=True)]
            self.columns[column] = self._segment.strings(f"process:{column}").codes(texts)

    def outcome(self) -> None:
        """Say whether the act succeeded."""
        code = self._segment.strings("process:event.outcome").code
        self.columns["event.outcome"] = np.where(_failed(self._rec["ret"]), code(b"failure"), code(b"success"))


def _failed(ret: Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (ret < 0) & (ret > -4096)
    return found


def _decimal(number: int) -> bytes:
    return b"%d" % number


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
