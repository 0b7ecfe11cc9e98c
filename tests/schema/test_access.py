"""Every field of the table, on every event table, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kestrel_lab.schema.access import Coded, Numbers, python_values, resolve
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.ids import entity_id
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import EqlType
from tests.support.epochs import BOOT_ID, INFO, source

PARENT = {
    "table": "process", "action": "exec", "pid": 10, "name": "sh", "executable": "/bin/sh",
    "args": ["sh", "-c", "x y"], "working_directory": "/root", "user_id": "0", "user_name": "root", "group_id": "1",
    "real_user_id": "2", "real_group_id": "3", "interactive": 1,
}  # fmt: skip
ACTS: dict[str, dict[str, Any]] = {
    "process": {
        "action": "end", "process.exit_code": 3, "process.Ext.exit_signal": 0, "process.Ext.filename": "./tool",
        "process.Ext.stdin.type": "socket", "process.Ext.stdout.type": "tty", "process.Ext.stderr.type": "closed",
        "target": 10, "Target.process.pid": 10, "kestrel.ret": -1, "kestrel.signal": 9, "kestrel.request": "attach",
        "kestrel.name": "x y", "kestrel.call_flags": '["cloexec"]', "kestrel.memory.address": 2**64 - 4096,
        "kestrel.memory.size": 4096, "kestrel.memory.protection": '["read","execute"]', "kestrel.before.user.id": "1",
        "kestrel.before.real_user.id": "2", "kestrel.before.saved_user.id": "3", "kestrel.before.group.id": "4",
        "kestrel.before.real_group.id": "5", "kestrel.before.saved_group.id": "6",
    },
    "file": {
        "action": "rename", "file.path": "/tmp/new.txt", "file.Ext.original.path": "/tmp/\udcff.old",
        "file.inode": 2**64 - 1, "file.Ext.device": 2**32 - 1, "file.Ext.open_flags": 0,
        "file.target_path": "../x", "file.mode": "0755", "file.uid": "1", "file.gid": "2", "file.size": 3,
        "kestrel.name": "user.x",
    },
    "network": {
        "action": "connection_attempted", "source.ip": "127.0.0.1", "source.port": 0, "destination.ip": "::1",
        "destination.port": 65535, "network.transport": "tcp", "network.type": "ipv6",
        "network.direction": "egress", "kestrel.ret": -115,
    },
}  # fmt: skip
CHILD = {
    "pid": 11, "ppid": 10, "start_ns": 7, "name": "tool", "executable": "/opt/tool", "args": ["tool", ""],
    "working_directory": "/", "cpu": 1, "flags": 8, "process.thread.id": 12, "user.id": "0", "group.id": "5",
    "process.real_user.id": "1000", "process.real_group.id": "100", "event.outcome": "success",
    "process.saved_user.id": "7", "process.saved_group.id": "8", "user.name": "root", "group.name": "games",
    "process.real_user.name": "me", "process.real_group.name": "users",
    "process.thread.capabilities.effective": '["CAP_BPF"]', "process.thread.capabilities.permitted": None,
    "previous": 10, "group_leader": 10, "session_leader": 10, "entry_leader": 10, "real_parent": 10,
    "entry_type": "sshd", "audit_user_id": "1000", "audit_session": "5", "vpid": 3, "tty_major": 136, "tty_minor": 0,
    "interactive": 0,
}  # fmt: skip
CHILD_ID, PARENT_ID = entity_id(BOOT_ID, 11, 7), entity_id(BOOT_ID, 10, 1)

COMMON: dict[str, Any] = {
    "event.sequence": 2,
    "event.kind": b"event",
    "event.outcome": b"success",
    "host.os.type": b"linux",
    "host.id": b"h1",
    "host.name": b"box",
    "kestrel.cpu": 1,
    "kestrel.flags": 8,
    "process.entity_id": CHILD_ID.hex().encode(),
    "kestrel.entity_id": CHILD_ID,
    "process.pid": 11,
    "process.thread.id": 12,
    "process.name": b"tool",
    "process.executable": b"/opt/tool",
    "process.args": (b"tool", b""),
    "process.args_count": 2,
    "process.command_line": b"tool ",
    "process.working_directory": b"/",
    "kestrel.parent.entity_id": PARENT_ID,
    "process.parent.entity_id": PARENT_ID.hex().encode(),
    "process.parent.pid": 10,
    "process.parent.name": b"sh",
    "process.parent.executable": b"/bin/sh",
    "process.parent.args": (b"sh", b"-c", b"x y"),
    "process.parent.args_count": 3,
    "process.parent.command_line": b"sh -c x y",
    "process.parent.working_directory": b"/root",
    "user.id": b"0",
    "group.id": b"5",
    "process.user.id": b"0",
    "process.group.id": b"5",
    "process.real_user.id": b"1000",
    "process.real_group.id": b"100",
    "user.effective.id": b"0",
    "user.name": b"root",
    "group.name": b"games",
    "process.user.name": b"root",
    "process.group.name": b"games",
    "process.real_user.name": b"me",
    "process.real_group.name": b"users",
    "process.saved_user.id": b"7",
    "process.saved_group.id": b"8",
    "user.Ext.real.id": b"1000",
    "user.Ext.real.name": b"me",
    "group.Ext.real.id": b"100",
    "group.Ext.real.name": b"users",
    "process.thread.capabilities.effective": (b"CAP_BPF",),
    "process.interactive": False,
    "process.vpid": 3,
    "process.tty.char_device.major": 136,
    "process.tty.char_device.minor": 0,
    "user.audit.id": b"1000",
    "auditd.session": b"5",
    "process.entry_leader.entry_meta.type": b"sshd",
}
#: of the parent, which is all else to its child as well
PLACES = {
    "process.parent": "parent",
    "process.group_leader": "group_leader",
    "process.session_leader": "session_leader",
    "process.entry_leader": "entry_leader",
    "process.previous": "",
    "process.Ext.real_parent": "real_parent",
}
for place, link in PLACES.items():
    COMMON |= {
        f"{place}.name": b"sh",
        f"{place}.executable": b"/bin/sh",
        f"{place}.args": (b"sh", b"-c", b"x y"),
        f"{place}.args_count": 3,
        f"{place}.command_line": b"sh -c x y",
        f"{place}.working_directory": b"/root",
        f"{place}.interactive": True,
        f"{place}.user.id": b"0",
        f"{place}.user.name": b"root",
        f"{place}.group.id": b"1",
        f"{place}.real_user.id": b"2",
        f"{place}.real_group.id": b"3",
    }
    if link:
        COMMON |= {
            f"{place}.pid": 10, f"{place}.entity_id": PARENT_ID.hex().encode(), f"kestrel.{link}.entity_id": PARENT_ID
        }  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "process": {
        "event.category": (b"process",), "event.type": (b"end",), "event.action": b"end", "process.exit_code": 3,
        "process.Ext.exit_signal": 0, "process.Ext.filename": b"./tool", "process.Ext.stdin.type": b"socket",
        "process.Ext.stdout.type": b"tty", "process.Ext.stderr.type": b"closed", "Target.process.pid": 10,
        "Target.process.name": b"sh", "Target.process.executable": b"/bin/sh",
        "Target.process.args": (b"sh", b"-c", b"x y"), "Target.process.args_count": 3,
        "Target.process.command_line": b"sh -c x y", "Target.process.user.id": b"0",
        "Target.process.user.name": b"root", "kestrel.target.entity_id": PARENT_ID,
        "Target.process.entity_id": PARENT_ID.hex().encode(), "kestrel.ret": -1, "kestrel.signal": 9,
        "kestrel.request": b"attach", "kestrel.name": b"x y", "kestrel.call_flags": (b"cloexec",),
        "kestrel.memory.address": 2**64 - 4096, "kestrel.memory.size": 4096,
        "kestrel.memory.protection": (b"read", b"execute"), "kestrel.before.user.id": b"1",
        "kestrel.before.real_user.id": b"2", "kestrel.before.saved_user.id": b"3", "kestrel.before.group.id": b"4",
        "kestrel.before.real_group.id": b"5", "kestrel.before.saved_group.id": b"6",
    },
    "file": {
        "event.category": (b"file",), "event.type": (b"change",), "event.action": b"rename",
        "file.path": b"/tmp/new.txt", "file.name": b"new.txt", "file.extension": b"txt", "file.directory": b"/tmp",
        "file.Ext.original.path": b"/tmp/\xff.old", "file.Ext.original.name": b"\xff.old",
        "file.Ext.original.extension": b"old", "file.inode": 2**64 - 1, "file.Ext.device": 2**32 - 1,
        "file.Ext.open_flags": 0, "file.target_path": b"../x", "file.mode": b"0755", "file.uid": b"1",
        "file.gid": b"2", "file.size": 3, "kestrel.name": b"user.x",
    },
    "network": {
        "event.category": (b"network",), "event.type": (b"start",), "event.action": b"connection_attempted",
        "source.ip": b"127.0.0.1", "source.port": 0, "destination.ip": b"::1", "destination.port": 65535,
        "network.transport": b"tcp", "network.type": b"ipv6", "network.direction": b"egress", "kestrel.ret": -115,
    },
}  # fmt: skip


def encoded(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v.encode(errors="surrogateescape") if isinstance(v, str) and "." in k else v for k, v in event.items()}


def epoch_of(table: str) -> Epoch:
    """The parent's exec, the act by its child, and the bare act by nobody known."""
    act = encoded(ACTS[table])
    events = [PARENT, {"table": table} | act | CHILD, {"table": table, "action": act["action"]}]
    return source(events).stored[0]


@pytest.mark.parametrize("table", BUILTIN.tables)
@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.name)
def test_every_field_of_an_act(table: str, field: Any) -> None:
    epoch = epoch_of(table)
    known = len(epoch.tables[table]) - 2
    found = resolve(INFO, epoch, table, field.name)
    assert isinstance(found, Coded if field.many or field.type in (EqlType.STRING, EqlType.IP) else Numbers)
    assert python_values(found)[known] == (COMMON | OWN[table]).get(field.name)


@pytest.mark.parametrize("table", BUILTIN.tables)
@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.name)
def test_an_act_of_the_unknown_entity_has_its_own_values_only(table: str, field: Any) -> None:
    epoch = epoch_of(table)
    found = python_values(resolve(INFO, epoch, table, field.name))[-1]
    always = {"event.sequence": 3, "kestrel.cpu": 0, "kestrel.flags": 0, "process.thread.id": 0}
    of_action = {n: OWN[table][n] for n in ("event.category", "event.type", "event.action")}
    of_host = {n: COMMON[n] for n in ("event.kind", "host.os.type", "host.id", "host.name")}
    assert found == (always | of_action | of_host).get(field.name)


@pytest.mark.parametrize("table", BUILTIN.tables)
@pytest.mark.parametrize("rows", [[], [0], [-1], [1, 0, 1]])
def test_chosen_rows_are_those_rows_of_all(table: str, rows: list[int]) -> None:
    epoch = epoch_of(table)
    for field in FIELDS:
        whole = python_values(resolve(INFO, epoch, table, field.name))
        part = python_values(resolve(INFO, epoch, table, field.name, np.array(rows, dtype=np.int64)))
        assert part == [whole[r] for r in rows], field.name


@pytest.mark.parametrize("table", BUILTIN.tables)
def test_dictionaries_read_in_parts_are_the_whole(table: str) -> None:
    epoch = epoch_of(table)
    for field in FIELDS:
        found = resolve(INFO, epoch, table, field.name)
        if isinstance(found, Coded):
            size = found.dictionary.size()
            whole = list(found.dictionary.values(0, size))
            assert whole[0] is None
            assert len(whole) == size
            assert [v for c in range(size) for v in found.dictionary.values(c, c + 1)] == whole, field.name
            assert int(found.codes.max()) < size


def test_equal_keys_mean_equal_dictionaries() -> None:
    epoch = epoch_of("file")
    seen: dict[str, list[Any]] = {}
    for field in FIELDS:
        found = resolve(INFO, epoch, "file", field.name)
        if isinstance(found, Coded):
            values = list(found.dictionary.values(0, found.dictionary.size()))
            assert seen.setdefault(found.dictionary.key, values) == values, field.name


def test_images_change_at_exec_and_parents_stay_as_they_were() -> None:
    events = [
        PARENT,
        {"table": "process", "action": "fork", "pid": 11, "ppid": 10, "name": "sh", "args": ["sh"]},
        {"table": "process", "action": "exec", "pid": 11, "ppid": 10, "name": "cat", "args": ["cat", "f"]},
        {"table": "process", "action": "exec", "pid": 10, "name": "top", "args": ["top"]},
        {"table": "process", "action": "end", "pid": 11, "process.exit_code": 0},
    ]
    epoch = source(events).stored[0]
    names = python_values(resolve(INFO, epoch, "process", "process.name"))
    parents = python_values(resolve(INFO, epoch, "process", "process.parent.name"))
    assert names == [b"sh", b"sh", b"cat", b"top", b"cat"]
    assert parents == [None, b"sh", b"sh", None, b"sh"]


def test_a_field_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        resolve(INFO, epoch_of("file"), "file", "file.nope")


def test_a_source_without_a_host_name_has_none() -> None:
    bare = type(INFO)("r", {}, INFO.schema)
    assert python_values(resolve(bare, epoch_of("file"), "file", "host.name")) == [None, None]
