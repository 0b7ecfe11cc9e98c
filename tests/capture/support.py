"""Raw records written by hand, as the kernel would have left them in a ring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kestrel_lab.capture.records import (
    ACT_HAS_IDS,
    ACT_HAS_TARGET,
    NET_HAS_LOCAL,
    NET_HAS_REMOTE,
    NET_INWARD,
    RECORD_VERSION,
    RINGS,
    SOURCES,
    RingKind,
)
from kestrel_lab.capture.ring import Records, Words
from kestrel_lab.schema.schema import BUILTIN

RING_INDEX = {name: index for index, name in enumerate(RINGS)}
STALE = 0xA5


def blank(kind: RingKind, rows: int) -> tuple[Words, Records]:
    """Return records full of stale bytes, as words and as a structured view of them."""
    words = np.full((rows, kind.words), STALE * 0x0101010101010101, np.uint64)
    words[:, 0] = kind.record.itemsize
    return words, kind.view(words)


def put_head(rec: Any, source: str, action: int, ts: int, seq: int = 1, cpu: int = 0, **who: Any) -> None:
    head = rec["head"]
    head["ts"], head["seq"], head["cpu"], head["action"], head["flags"] = ts, seq, cpu, action, 0
    head["version"], head["source"] = RECORD_VERSION, SOURCES.index(source)
    for name, value in ({"start": 1, "tgid": 10, "tid": 10, "exec_seq": 1} | dict.fromkeys(
        ("ruid", "rgid", "suid", "sgid", "euid", "egid", "permitted", "effective"), 0)).items():  # fmt: skip
        head["who"][name] = who.get(name, value)
    head["who"]["comm"] = np.frombuffer(who.get("comm", b"comm").ljust(16, b"\0"), "u1")


def put_standing(rec: Any, real_parent: tuple[int, int, int], **more: Any) -> None:
    standing = rec["standing"]
    for name in standing.dtype.names:
        standing[name] = more.get(name, 0)
    standing["real_tgid"], standing["real_start"], standing["real_exec_seq"] = real_parent


def file_record(ts: int, action: str, *parts: bytes, ret: int = 0, numbers: tuple[int, ...] = (), seq: int = 1,
                cpu: int = 0, **who: Any) -> tuple[int, Words]:  # fmt: skip
    """Return (ring, words) of a file event; `parts` as the four lengths of the record mean them."""
    text = b"".join(parts)
    ring = "file0" if len(text) <= 256 else "file1"
    words, records = blank(RINGS[ring], 1)
    rec = records[0]
    put_head(rec, ring, BUILTIN.action_code("file", action), ts, seq, cpu, **who)
    rec["lens"] = [*map(len, parts), *[0] * (4 - len(parts))]
    rec["present"] = int(action in ("open", "creation") and not ret) | (4, 0)[not numbers]
    rec["ret"], rec["numbers"] = ret, [*numbers, *[0] * (2 - len(numbers))]
    rec["inode"], rec["dev"], rec["open_flags"] = 7, 8, 9
    area = rec["text"].view(np.uint8)
    area[: len(text)] = np.frombuffer(text, np.uint8)
    return RING_INDEX[ring], words[:, : RINGS[ring].used(words)].copy()


def process_record(ts: int, action: str, *, creator: tuple[int, int, int] = (1, 1, 0), status: int = 0, seq: int = 1,
                   cpu: int = 0, **who: Any) -> tuple[int, Words]:  # fmt: skip
    """Return (ring, words) of a fork or an end."""
    words, records = blank(RINGS["proc"], 1)
    rec = records[0]
    put_head(rec, "exit" if action == "end" else action, BUILTIN.action_code("process", action), ts, seq, cpu, **who)
    rec["creator_tgid"], rec["creator_start"], rec["creator_exec_seq"] = creator
    rec["status"] = status
    put_standing(rec, creator)
    return RING_INDEX["proc"], words


def exec_record(ts: int, args: bytes, *, exe: bytes = b"/bin/x", cwd: bytes = b"/", filename: bytes = b"x",
                creator: tuple[int, int, int] = (1, 1, 0), interp: bytes = b"", env: bytes = b"", seq: int = 1,
                cpu: int = 0, standing: Mapping[str, Any] | None = None, more: Mapping[str, Any] | None = None,
                **who: Any) -> tuple[int, Words]:  # fmt: skip
    """Return (ring, words) of an exec of the smallest class."""
    words, records = blank(RINGS["exec0"], 1)
    rec = records[0]
    put_head(rec, "exec0", BUILTIN.action_code("process", "exec"), ts, seq, cpu, **who)
    put_standing(rec, creator, **dict(standing or {}))
    rec["args_size"], rec["env_size"], rec["args_len"] = len(args), len(env), len(args) + len(env)
    rec["args"][: len(args) + len(env)] = np.frombuffer(args + env, np.uint8)
    text = exe + cwd + filename + interp
    rec["exe_len"], rec["cwd_len"], rec["filename_len"], rec["interp_len"] = map(len, (exe, cwd, filename, interp))
    for name in (
        "inode", "changed", "changed_ns", "device", "links", "peer", "peer_port", "peer_family", "mode", "secure",
    ):  # fmt: skip
        rec[name] = dict(more or {}).get(name, 0)
    rec["text"][: len(text)] = np.frombuffer(text, np.uint8)
    return RING_INDEX["exec0"], words


def net_record(ts: int, action: str, local: bytes, remote: bytes, ports: tuple[int, int], *, family: int = 2,
               ret: int = 0, text: bytes = b"", seq: int = 1, cpu: int = 0, more: Mapping[str, int] | None = None,
               **who: Any) -> tuple[int, Words]:  # fmt: skip
    """Return (ring, words) of a network event; `more` has other members of the record."""
    words, records = blank(RINGS["net"], 1)
    rec = records[0]
    source = "socket" if action == "connection_accepted" else "net"
    put_head(rec, source, BUILTIN.action_code("network", action), ts, seq, cpu, **who)
    rec["local"] = np.frombuffer(local.ljust(16, b"\0"), "u8")
    rec["remote"] = np.frombuffer(remote.ljust(16, b"\0"), "u8")
    rec["local_port"], rec["remote_port"] = ports
    rec["family"], rec["ret"] = family, ret
    present = NET_HAS_LOCAL | NET_HAS_REMOTE | (NET_INWARD if action == "connection_accepted" else 0)
    defaults = {"received": 0, "sent": 0, "duration": 0, "netns": 1, "type": 1, "protocol": 6, "present": present}
    for name, value in (defaults | dict(more or {})).items():
        rec[name] = value
    rec["lens"] = [len(text), 0, 0, 0]
    rec["text"].view(np.uint8)[: len(text)] = np.frombuffer(text, np.uint8)
    return RING_INDEX["net"], words[:, : RINGS["net"].used(words)].copy()


def act_record(ts: int, action: str, *, ret: int = 0, args: tuple[int, ...] = (), pid: int = 0, text: bytes = b"",
               target: tuple[int, int, int] | None = None, ids: tuple[int, ...] | None = None, present: int = 0,
               seq: int = 1, cpu: int = 0, **who: Any) -> tuple[int, Words]:  # fmt: skip
    """Return (ring, words) of what a process did to itself or to another."""
    words, records = blank(RINGS["act"], 1)
    rec = records[0]
    put_head(rec, "act", BUILTIN.action_code("process", action), ts, seq, cpu, **who)
    rec["ret"], rec["args"], rec["ids"] = ret, [*args, *[0] * (4 - len(args))], ids or [0] * 6
    rec["target_tgid"], rec["target_start"], rec["target_exec_seq"] = target or (0, 0, 0)
    rec["present"] = present | (ACT_HAS_TARGET if target else 0) | (ACT_HAS_IDS if ids else 0)
    rec["target_pid"], rec["text_len"] = pid, len(text)
    rec["text"][: len(text)] = np.frombuffer(text, np.uint8)
    return RING_INDEX["act"], words
