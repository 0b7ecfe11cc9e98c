"""A process image, one row of the entity table, before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kestrel_lab.capture.standing import Key
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.types import Physical

#: columns of the entity table by what an image holds: codes, rows of the table, numbers stored plus one
STRINGS = tuple(c.name for c in ENTITY_COLUMNS if c.physical is Physical.CODE)
LINKS = tuple(c.name for c in ENTITY_COLUMNS if c.physical is Physical.REF)
LISTS = tuple(c.name for c in ENTITY_COLUMNS if c.physical is Physical.CODES)
COLUMNS = tuple(c.name for c in ENTITY_COLUMNS if c.physical is not Physical.CODES)


@dataclass(slots=True)
class Image:
    """One row of the entity table; strings are codes of the current segment."""

    key: Key
    entity_id: bytes
    parent: int
    first_event_id: int
    precision: int
    truncated: int = 0
    name: int = 0
    executable: int = 0
    working_directory: int = 0
    args: tuple[int, ...] = ()
    real_parent: int = 0
    previous: int = 0
    group_leader: int = 0
    session_leader: int = 0
    entry_leader: int = 0
    entry_type: int = 0
    user_id: int = 0
    group_id: int = 0
    real_user_id: int = 0
    real_group_id: int = 0
    user_name: int = 0
    audit_user_id: int = 0
    audit_session: int = 0
    vpid: int = 0
    tty_major: int = 0
    tty_minor: int = 0
    interactive: int = 0
    cgroup: int = 0
    container_id: int = 0
    ns_mnt: int = 0
    ns_pid: int = 0
    ns_net: int = 0
    ns_user: int = 0
    ns_uts: int = 0
    ns_ipc: int = 0
    ns_cgroup: int = 0
    ns_time: int = 0
    env: tuple[int, ...] = ()
    sha256: int = 0
    pgid: int = 0  #: process group and session, pids of the initial namespace
    sid: int = 0
    ref: int = 0
    gone_ns: int = 0  #: when it ended or was replaced; 0 while it runs

    @property
    def pid(self) -> int:
        """The thread group id."""
        return self.key[0]

    @property
    def start_ns(self) -> int:
        """The group leader's start time, boot ns."""
        return self.key[1]

    @property
    def exec_seq(self) -> int:
        """The process's self_exec_id."""
        return self.key[2]


@dataclass(frozen=True, slots=True)
class ImageTexts:
    """What an exec says of the new image; None or empty where it could not be read."""

    name: bytes | None
    executable: bytes | None
    working_directory: bytes | None
    args: Sequence[bytes]
    truncated: int = 0
    env: Sequence[bytes] = ()
    sha256: bytes | None = None
