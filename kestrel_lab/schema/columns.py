"""The physical columns of every table, and what the numbers in some of them mean."""

from __future__ import annotations

from collections.abc import Mapping

from kestrel_lab.schema.types import Column, Physical

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
    Column("process.saved_user.id", Physical.CODE),
    Column("process.saved_group.id", Physical.CODE),
    Column("user.name", Physical.CODE),
    Column("group.name", Physical.CODE),
    Column("process.real_user.name", Physical.CODE),
    Column("process.real_group.name", Physical.CODE),
    Column("process.thread.capabilities.permitted", Physical.JSON),
    Column("process.thread.capabilities.effective", Physical.JSON),
    Column("event.outcome", Physical.CODE),
)

#: Physical columns of one table, after the common ones.
TABLE_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "process": (
        Column("process.exit_code", Physical.I32, nullable=True),
        Column("process.Ext.exit_signal", Physical.I32, nullable=True),
        Column("process.Ext.filename", Physical.CODE),
        Column("kestrel.interpreter", Physical.CODE),
        Column("kestrel.secure_exec", Physical.U8, nullable=True),
        Column("kestrel.executable.inode", Physical.U64, nullable=True),
        Column("kestrel.executable.device", Physical.U32, nullable=True),
        Column("kestrel.executable.mode", Physical.CODE),
        Column("kestrel.executable.links", Physical.U32, nullable=True),
        Column("kestrel.executable.changed_ns", Physical.U64, nullable=True),
        Column("kestrel.stdin.ip", Physical.CODE),
        Column("kestrel.stdin.port", Physical.U16, nullable=True),
        Column("process.Ext.stdin.type", Physical.CODE),
        Column("process.Ext.stdout.type", Physical.CODE),
        Column("process.Ext.stderr.type", Physical.CODE),
        Column("target", Physical.REF),
        Column("Target.process.pid", Physical.U32, nullable=True),
        Column("kestrel.ret", Physical.I32, nullable=True),
        Column("kestrel.signal", Physical.I32, nullable=True),
        Column("kestrel.request", Physical.CODE),
        Column("kestrel.name", Physical.CODE),
        Column("kestrel.call_flags", Physical.JSON),
        Column("kestrel.memory.address", Physical.U64, nullable=True),
        Column("kestrel.memory.size", Physical.U64, nullable=True),
        Column("kestrel.memory.protection", Physical.JSON),
        Column("kestrel.before.user.id", Physical.CODE),
        Column("kestrel.before.real_user.id", Physical.CODE),
        Column("kestrel.before.saved_user.id", Physical.CODE),
        Column("kestrel.before.group.id", Physical.CODE),
        Column("kestrel.before.real_group.id", Physical.CODE),
        Column("kestrel.before.saved_group.id", Physical.CODE),
        Column("kestrel.clock_ns", Physical.U64, nullable=True),
        Column("kestrel.bpf.id", Physical.U32, nullable=True),
    ),
    "file": (
        Column("file.path", Physical.CODE),
        Column("file.Ext.original.path", Physical.CODE),
        Column("file.inode", Physical.U64, nullable=True),
        Column("file.Ext.device", Physical.U32, nullable=True),
        Column("file.Ext.open_flags", Physical.U32, nullable=True),
        Column("file.target_path", Physical.CODE),
        Column("file.mode", Physical.CODE),
        Column("file.uid", Physical.CODE),
        Column("file.gid", Physical.CODE),
        Column("file.size", Physical.U64, nullable=True),
        Column("kestrel.name", Physical.CODE),
        Column("kestrel.ret", Physical.I32, nullable=True),
        Column("kestrel.call_flags", Physical.JSON),
        Column("kestrel.mount.source", Physical.CODE),
        Column("kestrel.mount.type", Physical.CODE),
        Column("file.hash.sha256", Physical.CODE),
        Column("kestrel.content.role", Physical.CODE),
        Column("kestrel.content.kept", Physical.U8, nullable=True),
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
        Column("kestrel.netns", Physical.U32, nullable=True),
        Column("kestrel.socket.family", Physical.CODE),
        Column("kestrel.socket.type", Physical.CODE),
        Column("kestrel.socket.protocol", Physical.U16, nullable=True),
        Column("kestrel.socket.path", Physical.CODE),
        Column("kestrel.socket.state", Physical.CODE),
        Column("source.bytes", Physical.U64, nullable=True),
        Column("destination.bytes", Physical.U64, nullable=True),
        Column("event.duration", Physical.U64, nullable=True),
        Column("dns.question.name", Physical.CODE),
        Column("dns.question.type", Physical.CODE),
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
    Column("real_parent", Physical.REF),
    Column("previous", Physical.REF),
    Column("group_leader", Physical.REF),
    Column("session_leader", Physical.REF),
    Column("entry_leader", Physical.REF),
    Column("entry_type", Physical.CODE),
    Column("user_id", Physical.CODE),
    Column("group_id", Physical.CODE),
    Column("real_user_id", Physical.CODE),
    Column("real_group_id", Physical.CODE),
    Column("user_name", Physical.CODE),
    Column("audit_user_id", Physical.CODE),
    Column("audit_session", Physical.CODE),
    Column("vpid", Physical.U32, nullable=True),
    Column("tty_major", Physical.U32, nullable=True),
    Column("tty_minor", Physical.U32, nullable=True),
    Column("interactive", Physical.U8, nullable=True),
    Column("cgroup", Physical.CODE),
    Column("container_id", Physical.CODE),
    *(Column(f"ns_{name}", Physical.U32, nullable=True)
      for name in ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup", "time")),
    Column("env", Physical.CODES),
    Column("sha256", Physical.CODE),
)  # fmt: skip

#: Bits of the `flags` column.
FLAG_LATE = 1  #: arrived after its place in time order was given away
FLAG_TRUNCATED_PATH = 2
FLAG_TRUNCATED_ARGS = 4
FLAG_RACED = 8  #: read at entry and at exit, and the two differ
FLAG_RELATIVE_PATH = 16  #: the directory could not be resolved; the path is as given
FLAG_TRUNCATED_ENV = 32

#: Values of the entity table's `precision` column: how the start time is known.
PRECISION_EVENT = 0  #: its fork or exec was seen
PRECISION_ITERATOR = 1  #: from the BPF task iterator, exact start time
PRECISION_PROCFS = 2  #: strings read from /proc while it ran
PRECISION_UNSEEN = 3  #: first seen through an act; its exec or fork was lost
