"""The one table of fields. Arrow schemas, the lock, the fingerprint and docs/fields.md all come from here."""

from __future__ import annotations

from functools import partial

from kestrel_lab.schema.acts import fields_of_acts
from kestrel_lab.schema.columns import TABLE_COLUMNS
from kestrel_lab.schema.relatives import fields_of_relatives, of_arguments
from kestrel_lab.schema.types import (
    ByAction,
    Constant,
    Derived,
    Entity,
    EqlType,
    Field,
    Parent,
    Row,
    Source,
    Trust,
)

SCHEMA_VERSION = 2

_S, _I, _U, _IP = EqlType.STRING, EqlType.INT, EqlType.UINT, EqlType.IP
_K, _UM, _D = Trust.KERNEL, Trust.USER_MEMORY, Trust.DERIVED
_ALL = tuple(TABLE_COLUMNS)


def _f(
    name: str, kind: EqlType, tables: tuple[str, ...], source: Source, trust: Trust, read: str, doc: str,
    many: bool = False, since: int = 1,
) -> Field:  # fmt: skip
    return Field(name, kind, tables, source, trust, read, doc, many, since)


_new = partial(_f, since=2)


_CREDENTIALS = (
    ("user.effective.id", "user.id", _K, "The same as user.id."),
    ("user.name", "user.name", Trust.PROCFS, "Name of the effective user in the host's passwd, as of recording."),
    ("group.name", "group.name", Trust.PROCFS, "Name of the effective group in the host's group file."),
    ("process.user.name", "user.name", Trust.PROCFS, "The same as user.name."),
    ("process.group.name", "group.name", Trust.PROCFS, "The same as group.name."),
    ("process.real_user.name", "process.real_user.name", Trust.PROCFS, "Name of the real user."),
    ("process.real_group.name", "process.real_group.name", Trust.PROCFS, "Name of the real group."),
    ("process.saved_user.id", "process.saved_user.id", _K, "Saved user id."),
    ("process.saved_group.id", "process.saved_group.id", _K, "Saved group id."),
    ("user.Ext.real.id", "process.real_user.id", _K, "The same as process.real_user.id."),
    ("user.Ext.real.name", "process.real_user.name", Trust.PROCFS, "The same as process.real_user.name."),
    ("group.Ext.real.id", "process.real_group.id", _K, "The same as process.real_group.id."),
    ("group.Ext.real.name", "process.real_group.name", Trust.PROCFS, "The same as process.real_group.name."),
)

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
    *of_arguments("process.parent", _ALL, since=1),
    _f("process.parent.working_directory", _S, _ALL, Parent("working_directory"), _K, "at fork or exec",
       "The creator's working directory."),
    _new("process.parent.interactive", EqlType.BOOL, _ALL, Parent("interactive"), _D, "at fork or exec",
       "The creator's process.interactive."),
    _new("process.parent.user.id", _S, _ALL, Parent("user_id"), _K, "at fork or exec",
       "The creator's effective user id when its image began."),
    _new("process.parent.user.name", _S, _ALL, Parent("user_name"), Trust.PROCFS, "at fork or exec",
       "Name of that user."),
    _new("process.parent.group.id", _S, _ALL, Parent("group_id"), _K, "at fork or exec", "Effective group id then."),
    _new("process.parent.real_user.id", _S, _ALL, Parent("real_user_id"), _K, "at fork or exec", "Real user id then."),
    _new("process.parent.real_group.id", _S, _ALL, Parent("real_group_id"), _K, "at fork or exec",
       "Real group id then."),
    _new("process.interactive", EqlType.BOOL, _ALL, Entity("interactive"), _D, "at fork or exec",
       "Whether stdin and stderr are its controlling terminal."),
    _new("process.tty.char_device.major", _I, _ALL, Entity("tty_major"), _K, "at fork or exec",
       "Of its controlling terminal."),
    _new("process.tty.char_device.minor", _I, _ALL, Entity("tty_minor"), _K, "at fork or exec",
       "Of its controlling terminal."),
    _new("process.vpid", _I, _ALL, Entity("vpid"), _K, "at fork or exec", "Thread group id in its own pid namespace."),
    _new("process.entry_leader.entry_meta.type", _S, _ALL, Entity("entry_type"), _D, "at fork or exec",
       "How its session came to be: init, kthread, sshd, ssm, container, terminal, console."),
    _new("user.audit.id", _S, _ALL, Entity("audit_user_id"), _K, "at fork or exec", "Login user id, decimal."),
    _new("auditd.session", _S, _ALL, Entity("audit_session"), _K, "at fork or exec", "Audit session, decimal."),
    _f("process.exit_code", _I, ("process",), Row("process.exit_code"), _K, "at exit", "Exit status, 0 to 255."),
    _f("process.Ext.exit_signal", _I, ("process",), Row("process.Ext.exit_signal"), _K, "at exit",
       "The signal that ended it, 0 if none."),
    _f("process.Ext.filename", _S, ("process",), Row("process.Ext.filename"), _K, "at exec",
       "The file name as given to exec."),
    _new("process.Ext.stdin.type", _S, ("process",), Row("process.Ext.stdin.type"), _K, "after exec",
       "Kind of descriptor 0: file, directory, char_device, tty, pipe, socket, other, closed."),
    _new("process.Ext.stdout.type", _S, ("process",), Row("process.Ext.stdout.type"), _K, "after exec",
       "The same of descriptor 1."),
    _new("process.Ext.stderr.type", _S, ("process",), Row("process.Ext.stderr.type"), _K, "after exec",
       "The same of descriptor 2."),
    _f("user.id", _S, _ALL, Row("user.id"), _K, "at the act", "Effective user id, decimal."),
    _f("group.id", _S, _ALL, Row("group.id"), _K, "at the act", "Effective group id, decimal."),
    _f("process.user.id", _S, _ALL, Row("user.id"), _K, "at the act", "The same as user.id."),
    _f("process.group.id", _S, _ALL, Row("group.id"), _K, "at the act", "The same as group.id."),
    _f("process.real_user.id", _S, _ALL, Row("process.real_user.id"), _K, "at the act", "Real user id."),
    _f("process.real_group.id", _S, _ALL, Row("process.real_group.id"), _K, "at the act", "Real group id."),
    *(_new(name, _S, _ALL, Row(column), trust, "at the act", doc) for name, column, trust, doc in _CREDENTIALS),
    _new("process.thread.capabilities.permitted", _S, _ALL, Row("process.thread.capabilities.permitted"), _K,
       "at the act", "Names of the capabilities that the thread may take up.", many=True),
    _new("process.thread.capabilities.effective", _S, _ALL, Row("process.thread.capabilities.effective"), _K,
       "at the act", "Names of the capabilities in force.", many=True),
    *fields_of_relatives(_ALL),
    *fields_of_acts(),
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
    _new("file.target_path", _S, ("file",), Row("file.target_path"), _UM, "at entry",
       "What a link leads to: of a hard link the path, of a symbolic one the text as given."),
    _new("file.mode", _S, ("file",), Row("file.mode"), _K, "at exit of the act", "Permissions asked for, octal: 0755."),
    _new("file.uid", _S, ("file",), Row("file.uid"), _K, "at exit of the act", "Owner asked for, if any."),
    _new("file.gid", _S, ("file",), Row("file.gid"), _K, "at exit of the act", "Group asked for, if any."),
    _new("file.size", _U, ("file",), Row("file.size"), _K, "at exit of the act", "Size that a truncation asked for."),
    _new("kestrel.name", _S, ("process", "file"), Row("kestrel.name"), _UM, "at exit of the act",
       "Name of the memfd, the thread's new name, the name of the extended attribute."),
    _f("source.ip", _IP, ("network",), Row("source.ip"), _K, "at the state change", "Local, or peer of an accept."),
    _f("source.port", _I, ("network",), Row("source.port"), _K, "at the state change", "Port of source.ip."),
    _f("destination.ip", _IP, ("network",), Row("destination.ip"), _K, "at the state change",
       "Peer (connect) or local (accept)."),
    _f("destination.port", _I, ("network",), Row("destination.port"), _K, "at the state change",
       "Port of destination.ip."),
    _f("network.transport", _S, ("network",), Row("network.transport"), _K, "at the act", "tcp."),
    _f("network.type", _S, ("network",), Row("network.type"), _K, "at the act", "ipv4 or ipv6."),
    _f("network.direction", _S, ("network",), Row("network.direction"), _D, "-", "egress or ingress."),
    _f("kestrel.ret", _I, ("process", "network"), Row("kestrel.ret"), _K, "at the result",
       "What the act gave: 0, a number, or a negative errno."),
)  # fmt: skip
