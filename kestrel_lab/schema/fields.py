"""The one table of fields. Arrow schemas, the lock, the fingerprint and docs/fields.md all come from here."""

from __future__ import annotations

from collections.abc import Mapping

from kestrel_lab.schema.types import (
    ByAction,
    Column,
    Constant,
    Derived,
    Entity,
    EqlType,
    Field,
    Parent,
    Physical,
    Row,
    Source,
    Trust,
)

SCHEMA_VERSION = 1

#: Physical columns that every event table has, in order.
COMMON_COLUMNS: tuple[Column, ...] = (
    Column("event_id", Physical.U64, delta=True),
    Column("ts_boot_ns", Physical.U64, delta=True),
    Column("action", Physical.U8),
    Column("cpu", Physical.U16),
    Column("flags", Physical.U32),
    Column("entity", Physical.REF),
    Column("process.thread.id", Physical.U32),
    Column("user.id", Physical.CODE),
    Column("group.id", Physical.CODE),
    Column("process.real_user.id", Physical.CODE),
    Column("process.real_group.id", Physical.CODE),
    Column("event.outcome", Physical.CODE),
)

#: Physical columns of one table, after the common ones.
TABLE_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "process": (
        Column("process.exit_code", Physical.I32, nullable=True),
        Column("process.Ext.exit_signal", Physical.I32, nullable=True),
        Column("process.Ext.filename", Physical.CODE),
    ),
    "file": (
        Column("file.path", Physical.CODE),
        Column("file.Ext.original.path", Physical.CODE),
        Column("file.inode", Physical.U64, nullable=True),
        Column("file.Ext.device", Physical.U32, nullable=True),
        Column("file.Ext.open_flags", Physical.U32, nullable=True),
    ),
    "network": (
        Column("source.ip", Physical.CODE),
        Column("source.port", Physical.U16, nullable=True),
        Column("destination.ip", Physical.CODE),
        Column("destination.port", Physical.U16, nullable=True),
        Column("network.transport", Physical.CODE),
        Column("network.type", Physical.CODE),
        Column("network.direction", Physical.CODE),
        Column("kestrel.ret", Physical.I32, nullable=True),
    ),
}

#: The segment's entity table: one row per process image (a process between two execs). Row 0 is the unknown entity.
ENTITY_COLUMNS: tuple[Column, ...] = (
    Column("entity_id", Physical.BIN16),
    Column("pid", Physical.U32),
    Column("start_ns", Physical.U64),
    Column("exec_seq", Physical.U32),
    Column("parent", Physical.REF),
    Column("first_event_id", Physical.U64),
    Column("precision", Physical.U8),
    Column("truncated", Physical.U8),
    Column("name", Physical.CODE),
    Column("executable", Physical.CODE),
    Column("working_directory", Physical.CODE),
    Column("args", Physical.CODES),
)

#: Bits of the `flags` column.
FLAG_LATE = 1  #: arrived after its place in time order was given away
FLAG_TRUNCATED_PATH = 2
FLAG_TRUNCATED_ARGS = 4
FLAG_RACED = 8  #: read at entry and at exit, and the two differ
FLAG_RELATIVE_PATH = 16  #: the directory could not be resolved; the path is as given

#: Values of the entity table's `precision` column: how the start time is known.
PRECISION_EVENT = 0  #: its fork or exec was seen
PRECISION_ITERATOR = 1  #: from the BPF task iterator, exact start time
PRECISION_PROCFS = 2  #: strings read from /proc while it ran
PRECISION_UNSEEN = 3  #: first seen through an act; its exec or fork was lost

_S, _I, _U, _IP = EqlType.STRING, EqlType.INT, EqlType.UINT, EqlType.IP
_K, _UM, _D = Trust.KERNEL, Trust.USER_MEMORY, Trust.DERIVED
_ALL = tuple(TABLE_COLUMNS)


def _f(
    name: str, kind: EqlType, tables: tuple[str, ...], source: Source, trust: Trust, read: str, doc: str,
    many: bool = False,
) -> Field:  # fmt: skip
    return Field(name, kind, tables, source, trust, read, doc, many)


FIELDS: tuple[Field, ...] = (
    _f("event.sequence", _U, _ALL, Row("event_id"), _D, "after ordering", "The event_id."),
    _f("event.category", _S, _ALL, ByAction("event_categories"), _D, "-", "ECS categories of the action.", many=True),
    _f("event.type", _S, _ALL, ByAction("types"), _D, "-", "ECS types of the action.", many=True),
    _f("event.action", _S, _ALL, ByAction("name"), _D, "-", "What was done."),
    _f("event.kind", _S, _ALL, Constant("event.kind"), _D, "-", "Always `event`."),
    _f("event.outcome", _S, _ALL, Row("event.outcome"), _K, "at exit of the act", "success, failure or unknown."),
    _f("host.os.type", _S, _ALL, Constant("host.os.type"), _D, "at start", "Always `linux`."),
    _f("host.id", _S, _ALL, Constant("host.id"), Trust.PROCFS, "at start", "The machine id."),
    _f("host.name", _S, _ALL, Constant("host.name"), _K, "at start", "uname nodename."),
    _f("kestrel.cpu", _I, _ALL, Row("cpu"), _K, "at the act", "CPU that ran the act."),
    _f("kestrel.flags", _I, _ALL, Row("flags"), _D, "-", "Bits: late, truncations, raced; see the format."),
    _f("process.entity_id", _S, _ALL, Derived("hex", "kestrel.entity_id"), _D, "-", "128 bits as hex."),
    _f("kestrel.entity_id", _S, _ALL, Entity("entity_id"), _D, "-", "128 bits from boot id, tgid and start time."),
    _f("process.pid", _I, _ALL, Entity("pid"), _K, "at fork", "Thread group id in the initial namespace."),
    _f("process.thread.id", _I, _ALL, Row("process.thread.id"), _K, "at the act", "The thread that acted."),
    _f("process.name", _S, _ALL, Entity("name"), _K, "after exec", "Last part of the executable's path."),
    _f("process.executable", _S, _ALL, Entity("executable"), _K, "after exec", "Dentry walk of mm->exe_file."),
    _f("process.args", _S, _ALL, Entity("args"), _UM, "after exec, from the new memory", "argv.", many=True),
    _f("process.args_count", _I, _ALL, Derived("count", "process.args"), _D, "-", "Number of arguments."),
    _f("process.command_line", _S, _ALL, Derived("join", "process.args"), _D, "-", "args joined by a space."),
    _f("process.working_directory", _S, _ALL, Entity("working_directory"), _K, "after exec", "Working directory."),
    _f("kestrel.parent.entity_id", _S, _ALL, Parent("entity_id"), _D, "-", "The creator's entity_id, 128 bits."),
    _f("process.parent.entity_id", _S, _ALL, Derived("hex", "kestrel.parent.entity_id"), _D, "-", "As hex."),
    _f("process.parent.pid", _I, _ALL, Parent("pid"), _K, "at fork", "The creator's pid."),
    _f("process.parent.name", _S, _ALL, Parent("name"), _K, "at fork or exec", "The creator's name."),
    _f("process.parent.executable", _S, _ALL, Parent("executable"), _K, "at fork or exec", "The creator's executable."),
    _f("process.parent.args", _S, _ALL, Parent("args"), _UM, "at fork or exec", "The creator's argv.", many=True),
    _f("process.parent.args_count", _I, _ALL, Derived("count", "process.parent.args"), _D, "-", "Their number."),
    _f("process.parent.command_line", _S, _ALL, Derived("join", "process.parent.args"), _D, "-", "Joined by a space."),
    _f("process.parent.working_directory", _S, _ALL, Parent("working_directory"), _K, "at fork or exec",
       "The creator's working directory."),
    _f("process.exit_code", _I, ("process",), Row("process.exit_code"), _K, "at exit", "Exit status, 0 to 255."),
    _f("process.Ext.exit_signal", _I, ("process",), Row("process.Ext.exit_signal"), _K, "at exit",
       "The signal that ended it, 0 if none."),
    _f("process.Ext.filename", _S, ("process",), Row("process.Ext.filename"), _K, "at exec",
       "The file name as given to exec."),
    _f("user.id", _S, _ALL, Row("user.id"), _K, "at the act", "Effective user id, decimal."),
    _f("group.id", _S, _ALL, Row("group.id"), _K, "at the act", "Effective group id, decimal."),
    _f("process.user.id", _S, _ALL, Row("user.id"), _K, "at the act", "The same as user.id."),
    _f("process.group.id", _S, _ALL, Row("group.id"), _K, "at the act", "The same as group.id."),
    _f("process.real_user.id", _S, _ALL, Row("process.real_user.id"), _K, "at the act", "Real user id."),
    _f("process.real_group.id", _S, _ALL, Row("process.real_group.id"), _K, "at the act", "Real group id."),
    _f("file.path", _S, ("file",), Row("file.path"), _K, "at exit of the act",
       "Absolute path by dentry walk; the last part of rename and deletion is as given (user memory)."),
    _f("file.name", _S, ("file",), Derived("basename", "file.path"), _D, "-", "Last part of file.path."),
    _f("file.extension", _S, ("file",), Derived("extension", "file.path"), _D, "-", "After its last dot."),
    _f("file.directory", _S, ("file",), Derived("dirname", "file.path"), _D, "-", "file.path without its last part."),
    _f("file.Ext.original.path", _S, ("file",), Row("file.Ext.original.path"), _UM, "at entry", "Path before it."),
    _f("file.Ext.original.name", _S, ("file",), Derived("basename", "file.Ext.original.path"), _D, "-", "Last part."),
    _f("file.Ext.original.extension", _S, ("file",), Derived("extension", "file.Ext.original.path"), _D, "-",
       "After its last dot."),
    _f("file.inode", _U, ("file",), Row("file.inode"), _K, "at exit of the act", "Inode number."),
    _f("file.Ext.device", _I, ("file",), Row("file.Ext.device"), _K, "at exit of the act", "Its device."),
    _f("file.Ext.open_flags", _I, ("file",), Row("file.Ext.open_flags"), _K, "at exit of the act", "f_flags."),
    _f("source.ip", _IP, ("network",), Row("source.ip"), _K, "at the state change", "Local, or peer of an accept."),
    _f("source.port", _I, ("network",), Row("source.port"), _K, "at the state change", "Port of source.ip."),
    _f("destination.ip", _IP, ("network",), Row("destination.ip"), _K, "at the state change",
       "Peer (connect) or local (accept)."),
    _f("destination.port", _I, ("network",), Row("destination.port"), _K, "at the state change",
       "Port of destination.ip."),
    _f("network.transport", _S, ("network",), Row("network.transport"), _K, "at the act", "tcp."),
    _f("network.type", _S, ("network",), Row("network.type"), _K, "at the act", "ipv4 or ipv6."),
    _f("network.direction", _S, ("network",), Row("network.direction"), _D, "-", "egress or ingress."),
    _f("kestrel.ret", _I, ("network",), Row("kestrel.ret"), _K, "at the result", "0 or a negative errno."),
)  # fmt: skip
