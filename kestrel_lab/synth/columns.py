"""The columns that only one table has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kestrel_lab.synth import acts, stories
from kestrel_lab.synth import texts as t
from kestrel_lab.synth.dice import Array, Wheel, below
from kestrel_lab.synth.tables import Columns, Rows, Valid, outcome
from kestrel_lab.synth.texts import pool

ENOENT, ETIMEDOUT, EACCES = -2, -110, -13
_DEVICE = 0x0FE00000
_EXECUTABLE_CHANGED_NS = 1_735_689_600_000_000_000
_STDIO = (("process.Ext.stdin.type", 24), ("process.Ext.stdout.type", 28), ("process.Ext.stderr.type", 32))
_MODES = pool("mode", ["0644", "0755", "0600"])
_FILLED = pool("filled", ["char_device", "pipe", "file", "socket"])
_EXECUTABLE = pool("execute", ['["read","execute"]'])
_NAMES = pool("worker", [f"worker-{i}" for i in range(16)])
_TYPES = pool("type", ["ipv4", "ipv6"])
_TRANSPORTS = pool("transport", ["tcp", "udp"])
_FAMILIES, _STYLES = pool("family", ["inet", "inet6", "unix"]), pool("style", ["stream", "dgram"])
_DIRECTIONS = pool("direction", ["", "egress", "ingress"])
_QUESTIONS = pool("question", ["A", "AAAA"])
_HOST = pool("host", ["10.20.0.250", "2001:db8::ffff"])
_PORTS = np.array([443, 80, 5432, 6379, 8080, 9100, 22, 3306, 9092, 25], np.uint16)
_PORT_WHEEL = Wheel((40, 20, 12, 10, 8, 4, 2, 2, 1, 1))
_KIND_OF_PATH = np.array([t.KINDS.index(c.paths) if c.paths else 0 for c in acts.CHAINS] + [0, 0])


def process_columns(rows: Rows) -> tuple[Columns, Valid]:
    """Return the columns of the process table, and which rows of nullable ones have a value."""
    events, images, slot = rows.events, rows.images, rows.events["slot"]
    execs, ended, failed = rows.is_("exec"), rows.is_("end"), rows.is_("exec_failed")
    memory, kill, named = rows.is_("memory_executable"), rows.is_("kill"), rows.is_("name_change")
    program, bits = images["program"][slot], rows.bits
    filename = rows.standing("process.Ext.filename", t.EXECUTABLES, program, execs)
    filename[failed] = rows.standing("process.Ext.filename", t.MISSED, t.MISSED_WHEEL.spin(bits), failed)[failed]
    rows.fresh("process.Ext.filename", filename, failed, t.fresh_program)
    target = np.where(kill, images["parent"][slot], -1)
    code = np.where((bits >> np.uint64(20)) % np.uint64(16) == 0, 1, 0)
    columns: Columns = {
        "event.outcome": outcome(rows, failed.astype(np.int64)),
        "process.exit_code": code, "process.Ext.exit_signal": np.zeros(len(events), np.int32),
        "process.Ext.filename": filename, "kestrel.secure_exec": np.zeros(len(events), np.uint8),
        "kestrel.executable.inode": 200_000 + program, "kestrel.executable.device": np.full(len(events), _DEVICE),
        "kestrel.executable.links": np.ones(len(events), np.uint32),
        "kestrel.executable.changed_ns": np.full(len(events), _EXECUTABLE_CHANGED_NS),
        "kestrel.executable.mode": rows.constant("kestrel.executable.mode", "0755", execs),
        **{name: rows.standing(name, _FILLED, below(bits >> np.uint64(shift), 3), execs) for name, shift in _STDIO},
        "target": np.where(target < 0, 0, images["ref"][target]), "Target.process.pid": images["pid"][target],
        "kestrel.signal": np.full(len(events), 15), "kestrel.ret": np.where(failed, ENOENT, 0),
        "kestrel.name": rows.standing("kestrel.name", _NAMES, below(bits, 16), named),
        "kestrel.memory.address": (bits >> np.uint64(17)) & np.uint64(0x7FFFFFFFF000),
        "kestrel.memory.size": 4_096 * (1 + below(bits, 64)),
        "kestrel.memory.protection": rows.standing("kestrel.memory.protection", _EXECUTABLE,
                                                   np.zeros(len(events), np.int64), memory),
    }  # fmt: skip
    valid = {name: execs for name in columns if name.startswith("kestrel.executable.")} | {
        "kestrel.secure_exec": execs, "process.exit_code": ended, "process.Ext.exit_signal": ended,
        "Target.process.pid": kill, "kestrel.signal": kill, "kestrel.memory.address": memory,
        "kestrel.memory.size": memory, "kestrel.ret": ~execs & ~ended & ~rows.is_("fork"),
    }  # fmt: skip
    del valid["kestrel.executable.mode"]
    return columns, valid


def file_columns(rows: Rows) -> tuple[Columns, Valid]:
    """Return the columns of the file table, and which rows of nullable ones have a value."""
    events, bits, count = rows.events, rows.bits, len(rows.events)
    renamed, opened = rows.is_("rename"), rows.is_("creation", "open")
    links = rows.is_("symlink")
    kind = _KIND_OF_PATH[events["kind"]]
    last = acts.ACTIONS[np.minimum(events["kind"], len(acts.CHAINS) - 1), 2] == acts.RENAME
    # What will be renamed is written under a temporary name first; only the last name may be a fresh one.
    before = _drawn(rows, np.zeros(count, np.int64))
    index = np.where(last & ~renamed, before, _drawn(rows, kind))
    path = rows.standing("file.path", t.PATHS, np.where(events["text"] > 0, events["text"] - 1, index))
    for number in range(len(t.KINDS)):
        rows.fresh("file.path", path, (kind == number) & (~last | renamed), t.fresh_path(number))
    thing = np.where(events["fresh"] > 0, events["fresh"].astype(np.int64) + len(t.PATHS.values), index)
    fine = (bits >> np.uint64(9)) % np.uint64(50) != 0
    fine |= ~rows.is_("open", "deletion", "chown") | (events["kind"] == acts.STORY)
    held = rows.is_("creation", "open", "modification", "chown", "utimes", "truncate") & fine
    user = rows.images["user"][events["slot"]]
    modes, owners = rows.is_("chmod"), rows.is_("chown")
    return {
        "event.outcome": outcome(rows, (~fine).astype(np.int64)), "file.path": path,
        "file.Ext.original.path": rows.standing("file.Ext.original.path", t.PATHS, before, renamed),
        "file.inode": 1_000_000 + thing, "file.Ext.device": np.full(count, _DEVICE),
        "file.Ext.open_flags": np.where(rows.is_("creation"), 0x80C2, 0x8401),
        "file.target_path": rows.standing("file.target_path", t.PATHS, before, links),
        "file.mode": rows.standing("file.mode", _MODES, below(bits >> np.uint64(3), 3), modes),
        "file.uid": rows.standing("file.uid", t.UIDS, user, owners),
        "file.gid": rows.standing("file.gid", t.GIDS, user, owners),
        "file.size": np.zeros(count, np.uint64), "kestrel.ret": np.where(fine, 0, EACCES),
    }, {
        "file.inode": held, "file.Ext.device": held, "file.Ext.open_flags": opened, "file.size": rows.is_("truncate"),
    }  # fmt: skip


def _drawn(rows: Rows, kind: Array) -> Array:
    """Return the index of a standing path of each row's kind."""
    out = np.zeros(len(kind), np.int64)
    for number, wheel in enumerate(t.PATH_WHEELS):
        mine = kind == number
        out[mine] = t.FIRST_PATH[number] + wheel.spin(rows.bits[mine], 2)
    return out


def network_columns(rows: Rows) -> tuple[Columns, Valid]:
    """Return the columns of the network table, and which rows of nullable ones have a value."""
    events, bits, count = rows.events, rows.bits, len(rows.events)
    inward, unix = np.isin(events["kind"], _SERVERS) | rows.is_("connection_accepted"), rows.is_("unix_connect")
    asked, datagram, over = rows.is_("lookup_requested"), rows.is_("datagram_sent"), rows.is_("disconnect_received")
    attempted, result = rows.is_("connection_attempted"), rows.is_("connection_result")
    told, udp = events["kind"] == acts.STORY, asked | datagram
    new = (events["fresh"] > 0) & ~asked
    peer = np.where(told, t.PEERS.values.index(stories.PEER.encode()), t.PEER_WHEEL.spin(bits, 1))
    local = new.astype(np.int64)
    failed = result & ((bits >> np.uint64(13)) % np.uint64(40) == 0)
    ephemeral, port = 32_768 + below(bits >> np.uint64(7), 28_232), _PORTS[_PORT_WHEEL.spin(bits, 0)]
    port = np.where(told & ~inward, stories.PORT, np.where(asked, 53, port))
    columns: Columns = {}
    for end, far in (("source", inward), ("destination", ~inward)):
        column = f"{end}.ip"
        columns[column] = rows.standing(column, t.PEERS, peer, far & ~unix & ~new)
        rows.fresh(column, columns[column], far & ~unix & new, t.fresh_peer)
        here = ~far & ~unix
        columns[column][here] = rows.standing(column, _HOST, local, here)[here]
    return columns | {
        "event.outcome": outcome(rows, np.where(attempted, 2, np.where(failed, 1, 0))),
        "source.port": ephemeral, "destination.port": port,
        "network.transport": rows.standing("network.transport", _TRANSPORTS, udp.astype(np.int64), ~unix),
        "network.type": rows.standing("network.type", _TYPES, local, ~unix),
        "network.direction": rows.standing("network.direction", _DIRECTIONS,
                                           np.where(unix, 0, np.where(inward, 2, 1))),
        "kestrel.ret": np.where(failed, ETIMEDOUT, 0), "kestrel.netns": np.full(count, 0xF0000098),
        "kestrel.socket.family": rows.standing("kestrel.socket.family", _FAMILIES, np.where(unix, 2, local)),
        "kestrel.socket.type": rows.standing("kestrel.socket.type", _STYLES, udp.astype(np.int64)),
        "kestrel.socket.protocol": np.where(unix, 0, np.where(udp, 17, 6)),
        "kestrel.socket.path": rows.standing("kestrel.socket.path", t.SOCKETS, below(bits, 5), unix),
        "source.bytes": below(bits >> np.uint64(11), 20_000),
        "destination.bytes": below(bits >> np.uint64(19), 200_000),
        "event.duration": events["age"], **_question(rows, asked),
    }, {
        "source.port": ~unix & ~attempted, "destination.port": ~unix, "kestrel.ret": ~attempted & ~udp,
        "source.bytes": over, "destination.bytes": over, "event.duration": over,
    }  # fmt: skip


_SERVERS = [i for i, chain in enumerate(acts.CHAINS) if chain.who == acts.SERVER]


def _question(rows: Rows, asked: Array) -> Columns:
    name = rows.standing("dns.question.name", t.DOMAINS, t.DOMAIN_WHEEL.spin(rows.bits, 2), asked)
    rows.fresh("dns.question.name", name, asked, t.fresh_domain)
    types = rows.standing("dns.question.type", _QUESTIONS, below(rows.bits >> np.uint64(3), 2), asked)
    return {"dns.question.name": name, "dns.question.type": types}


COLUMNS: Mapping[str, Callable[[Rows], tuple[Columns, Valid]]] = {
    "process": process_columns, "file": file_columns, "network": network_columns,
}  # fmt: skip
