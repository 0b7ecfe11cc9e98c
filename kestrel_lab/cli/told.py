"""What a line for people tells of an event, after who did what: by the kind of event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kestrel_lab.schema.schema import Schema

_TABLES: Mapping[str, tuple[str, ...]] = {
    "process": ("process.command_line", "process.exit_code"),
    "file": ("file.Ext.original.path", "file.path"),
    "network": ("source.ip", "source.port", "destination.ip", "destination.port"),
}
_TARGET = ("Target.process.pid", "Target.process.name")
_BEFORE = ("kestrel.before.real_user.id", "kestrel.before.user.id", "kestrel.before.saved_user.id")
_AFTER = ("process.real_user.id", "user.id", "process.saved_user.id")
_MOUNT = ("kestrel.mount.type", "kestrel.mount.source", "file.path", "kestrel.call_flags")
_LOCAL, _UNIX = ("source.ip", "source.port"), ("kestrel.socket.path",)
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "exec_failed": ("process.Ext.filename",),
    "uid_change": (*_BEFORE, *_AFTER),
    "gid_change": tuple(name.replace("user", "group") for name in (*_BEFORE, *_AFTER)),
    "ptrace": ("kestrel.request", *_TARGET),
    "kill": ("kestrel.signal", *_TARGET),
    "process_vm_writev": _TARGET,
    "pidfd_getfd": _TARGET,
    "memfd_create": ("kestrel.name", "kestrel.call_flags"),
    "name_change": ("kestrel.name",),
    "memory_executable": ("kestrel.memory.protection", "kestrel.memory.size"),
    "unshare": ("kestrel.call_flags",),
    "setns": ("kestrel.call_flags",),
    "bpf_load": ("kestrel.request", "kestrel.name"),
    "clock_change": ("kestrel.request", "kestrel.clock_ns"),
    "chmod": ("file.mode", "file.path"),
    "chown": ("file.uid", "file.gid", "file.path"),
    "setxattr": ("kestrel.name", "file.path"),
    "truncate": ("file.size", "file.path"),
    "link": ("file.target_path", "file.path"),
    "symlink": ("file.target_path", "file.path"),
    "pivot_root": ("file.target_path", "file.path"),
    "mount": _MOUNT,
    "unmount": _MOUNT,
    "unload_module": ("kestrel.name",),
    "unix_connect": _UNIX,
    "bind": (*_LOCAL, *_UNIX),
    "listen": (*_LOCAL, *_UNIX),
    "raw_socket": ("kestrel.socket.family", "kestrel.socket.type", "network.transport"),
    "disconnect_received": (*_TABLES["network"], "source.bytes", "destination.bytes", "event.duration"),
    "existing_socket": ("kestrel.socket.state", *_TABLES["network"], *_UNIX),
    "existing_mount": _MOUNT,
    "existing_module": ("kestrel.name", "file.size"),
    "existing_bpf": ("kestrel.request", "kestrel.name", "kestrel.bpf.id"),
    "content_hash": ("kestrel.content.role", "file.hash.sha256", "file.size", "file.path"),
    "lookup_requested": ("destination.ip", "destination.port", "dns.question.type", "dns.question.name"),
}
#: what is told of an event of which nothing of this is known: at most so many of its own fields, but not these
_MOST = 6
_DULL = {"@timestamp", "event.sequence", "event.category", "kestrel.source_id"}


def told(schema: Schema, table: str, action: str) -> Sequence[str]:
    """Return the fields that a line tells; an imported table may be of any name and have any fields."""
    cpu = schema.fields.get("kestrel.cpu")
    if table in _TABLES and cpu is not None and table in cpu.tables:  # of a recorder of any version
        return [name for name in _ACTIONS.get(action, _TABLES[table]) if name in schema.fields]
    known = ("event.type", *(name for names in _TABLES.values() for name in names))
    there = [name for name in known if table in schema.fields[name].tables]
    own = (field.name for field in schema.fields.values() if table in field.tables and field.name not in _DULL)
    return there or list(own)[:_MOST]
