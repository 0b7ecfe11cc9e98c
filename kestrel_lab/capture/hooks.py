"""Which hooks a kind of event needs."""

from __future__ import annotations

from kestrel_lab.capture.program import HOOKS
from kestrel_lab.schema.schema import BUILTIN

#: what no filter may take away: identities rest on them
ALWAYS = frozenset(BUILTIN.action_code("process", name) for name in ("fork", "exec", "end"))

#: what the recorder itself tells, without a hook
OWN = frozenset(a.name for a in BUILTIN.actions if a.kind == "state") | {"content_hash"}

_OTHER_HOOKS = ("modification", "cgroup_creation")
_EXIT_ONLY = ("creation", "open", "open_read", *_OTHER_HOOKS)
_DATAGRAMS = {("network", "datagram_sent"), ("network", "lookup_requested")}
_SOCKETS = ("unix_connect", "bind", "listen", "raw_socket")
_OF_RINGS = {
    ("file", name)
    for name in ("creation", "open", "open_read", "rename", "deletion", "link", "symlink", "setxattr", "truncate")
}
_HOOK_ACTIONS = {
    "inet_sock_set_state": {("network", f"connection_{name}") for name in ("attempted", "result")}
    | {("network", "disconnect_received")},
    "sock_send_length": _DATAGRAMS,
    "net_dev_queue": _DATAGRAMS,
    "signal_generate": {("process", "kill")},
    "io_uring_submit_req": _OF_RINGS,
    "io_uring_complete": _OF_RINGS
    | {("network", name) for name in ("connection_accepted", "disconnect_received", *_SOCKETS)},
    "cgroup_mkdir": {("file", "cgroup_creation")},
    "writeback_mark_inode_dirty": {("file", "modification")},
    "sys_enter": {("file", a.name) for a in BUILTIN.actions_of("file") if a.name not in _EXIT_ONLY}
    | {("process", "uid_change"), ("process", "gid_change")},
    "sys_exit": {("file", a.name) for a in BUILTIN.actions_of("file") if a.name not in _OTHER_HOOKS}
    | {("network", a.name) for a in BUILTIN.actions_of("network") if a.name != "connection_result"} - _DATAGRAMS
    | {("process", a.name) for a in BUILTIN.actions_of("process") if a.name not in ("fork", "exec", "end", "kill")},
}


def hooks_for(actions: frozenset[int]) -> frozenset[str]:
    """Return the hooks that these action codes need; a hook that none needs stays off and costs nothing."""
    words = {(a.table, a.name) for a in BUILTIN.actions if a.code in actions and a.name not in OWN}
    return frozenset(h for h in HOOKS if h not in _HOOK_ACTIONS or _HOOK_ACTIONS[h] & words)
