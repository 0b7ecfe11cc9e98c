"""Columns of the network table from raw records. Texts are made once per distinct value."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.addresses import ip_text
from kestrel_lab.capture.coded import coded, coded_numbers
from kestrel_lab.capture.dns import question
from kestrel_lab.capture.intern import masked
from kestrel_lab.capture.records import (
    NET_HAS_BYTES,
    NET_HAS_DURATION,
    NET_HAS_LOCAL,
    NET_HAS_REMOTE,
    NET_INWARD,
    NET_RET_UNKNOWN,
)
from kestrel_lab.capture.ring import Records
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.schema import BUILTIN

_CODES = {action.name: action.code for action in BUILTIN.actions_of("network")}
#: of acts that go out; the others, and those of a socket alone, have their own direction or none
_EGRESS = [_CODES[name] for name in ("connection_attempted", "connection_result", "datagram_sent", "lookup_requested",
                                     "disconnect_received")]  # fmt: skip
_EXISTING = _CODES["existing_socket"]
#: include/net/tcp_states.h
_STATES = dict(enumerate(
    b"established syn_sent syn_recv fin_wait1 fin_wait2 time_wait close close_wait last_ack listen closing "
    b"new_syn_recv".split(), 1))  # fmt: skip
_TRANSPORTS: Mapping[int, bytes] = {1: b"icmp", 6: b"tcp", 17: b"udp", 58: b"ipv6-icmp"}
_FAMILIES: Mapping[int, bytes] = {1: b"unix", 2: b"inet", 10: b"inet6", 16: b"netlink", 17: b"packet"}
_TYPES: Mapping[int, bytes] = {1: b"stream", 2: b"dgram", 3: b"raw", 5: b"seqpacket", 10: b"packet"}


def network_columns(
    segment: GrowingSegment, rec: Records, action: Array
) -> tuple[dict[str, Array], dict[str, npt.NDArray[np.bool_]]]:
    """Return the columns of the network table, and which rows have a value."""
    made = _Columns(segment, rec, action)
    made.ends()
    made.kinds()
    made.numbers()
    made.texts()
    return made.columns, made.valid


class _Columns:
    def __init__(self, segment: GrowingSegment, rec: Records, action: Array) -> None:
        self._segment, self._rec, self._action = segment, rec, action
        self._inward = rec["present"] & NET_INWARD != 0
        self._ip = np.isin(rec["family"], (socket.AF_INET, socket.AF_INET6))
        self.columns: dict[str, Array] = {}
        self.valid: dict[str, npt.NDArray[np.bool_]] = {}

    def ends(self) -> None:
        """Add addresses and ports: who began is the source."""
        rec, inward = self._rec, self._inward
        has = {"local": rec["present"] & NET_HAS_LOCAL != 0, "remote": rec["present"] & NET_HAS_REMOTE != 0}
        kind = rec["local"]
        for end, first, second in (("source", "local", "remote"), ("destination", "remote", "local")):
            there = np.where(inward, has[second], has[first])
            port = np.where(inward, rec[f"{second}_port"], rec[f"{first}_port"])
            address = np.where(inward[:, None], rec[second], rec[first])
            self.columns[f"{end}.ip"] = _addresses(self._segment, f"{end}.ip", rec["family"], address, there)
            self.columns[f"{end}.port"] = port
            self.valid[f"{end}.port"] = there & (port != 0)
            kind = np.where(there[:, None], address, kind)
        self.columns["network.type"] = _kinds(self._segment, rec["family"], kind, self._ip)

    def kinds(self) -> None:
        """Add what kind of socket it is."""
        rec = self._rec
        every = np.ones(len(rec), np.bool_)
        for name, values, which, text in (
            ("network.transport", rec["protocol"], self._ip, _TRANSPORTS.get),
            ("kestrel.socket.family", rec["family"], every, _named(_FAMILIES)),
            ("kestrel.socket.type", rec["type"], every, _named(_TYPES)),
        ):
            self.columns[name] = coded_numbers(self._segment, f"network:{name}", values, which, text)
        existing = self._action == _EXISTING
        self.columns["kestrel.socket.state"] = coded_numbers(
            self._segment, "network:kestrel.socket.state", rec["state"], existing, _named(_STATES)
        )
        outward = np.isin(self._action, _EGRESS) | existing & (rec["state"] == 1)
        direction = np.where(self._inward, 2, outward)
        self.columns["network.direction"] = coded_numbers(
            self._segment, "network:network.direction", direction, direction != 0,
            lambda way: b"ingress" if way == 2 else b"egress",
        )  # fmt: skip
        self.columns["kestrel.socket.protocol"] = rec["protocol"]
        self.columns["kestrel.netns"] = rec["netns"]
        self.valid |= {"kestrel.socket.protocol": every, "kestrel.netns": rec["netns"] != 0}

    def numbers(self) -> None:
        """Add what the act gave, and what went over a connection."""
        rec, inward = self._rec, self._inward
        known = rec["ret"] != NET_RET_UNKNOWN
        self.columns["kestrel.ret"] = np.where(known, rec["ret"], 0)
        self.valid["kestrel.ret"] = known & (self._action != _EXISTING)
        failed = (rec["ret"] < 0) | (self._action == _CODES["connection_result"]) & ~known
        outcome = np.where(failed, 1, np.where(known, 0, 2))
        self.columns["event.outcome"] = coded_numbers(
            self._segment, "network:event.outcome", outcome, np.ones(len(rec), np.bool_),
            lambda which: (b"success", b"failure", b"unknown")[which],
        )  # fmt: skip
        for name, values, bit in (
            ("source.bytes", np.where(inward, rec["received"], rec["sent"]), NET_HAS_BYTES),
            ("destination.bytes", np.where(inward, rec["sent"], rec["received"]), NET_HAS_BYTES),
            ("event.duration", rec["duration"], NET_HAS_DURATION),
        ):
            known = rec["present"] & bit != 0
            self.columns[name], self.valid[name] = np.where(known, values, 0), known

    def texts(self) -> None:
        """Add names of sockets and of questions."""
        lens = np.ascontiguousarray(self._rec["lens"][:, 0]).astype(np.int64)
        words = masked(self._rec["text"], lens)
        asked = self._action == _CODES["lookup_requested"]

        def raw(row: int) -> bytes:
            return bytes(words[row].tobytes()[: int(lens[row])])

        for name, text in (
            ("kestrel.socket.path", lambda row: None if asked[row] else _path(raw(row))),
            ("dns.question.name", lambda row: question(raw(row))[0] if asked[row] else None),
            ("dns.question.type", lambda row: question(raw(row))[1] if asked[row] else None),
        ):
            self.columns[name] = coded(self._segment, f"network:{name}", [words, lens, asked], text)


def _named(names: Mapping[int, bytes]) -> Callable[[int], bytes]:
    return lambda number: names.get(number, b"%d" % number)


def _path(raw: bytes) -> bytes | None:
    """Return the name of a unix socket: a path up to its first 0 byte, or an abstract name, which begins with one."""
    if raw.startswith(b"\0"):
        return b"@" + raw[1:]
    return raw.split(b"\0", 1)[0] or None


def _addresses(
    segment: GrowingSegment, column: str, family: Array, words: Array, there: npt.NDArray[np.bool_]
) -> Array:
    return coded(
        segment, f"network:{column}", [family, words, there],
        lambda row: ip_text(int(family[row]), words[row].tobytes()) if there[row] else None,
    )  # fmt: skip


def _kinds(segment: GrowingSegment, family: Array, words: Array, ip: npt.NDArray[np.bool_]) -> Array:
    def text(row: int) -> bytes | None:
        if not ip[row]:
            return None
        return b"ipv6" if b":" in ip_text(int(family[row]), words[row].tobytes()) else b"ipv4"

    return coded(segment, "network:network.type", [family, words, ip], text)
