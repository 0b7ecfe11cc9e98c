"""Who acted, as columns: user and group numbers, their names, capabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.intern import group
from kestrel_lab.capture.ring import Records
from kestrel_lab.capture.users import Names, groups, users
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.epoch import Array
from kestrel_lab.schema.values import array_text

#: columns and the fields of `records.WHO` whose number they hold as decimal text
_NUMBERS = {
    "user.id": "euid", "group.id": "egid", "process.real_user.id": "ruid", "process.real_group.id": "rgid",
    "process.saved_user.id": "suid", "process.saved_group.id": "sgid",
}  # fmt: skip
_USERS = {"user.name": "euid", "process.real_user.name": "ruid"}
_GROUPS = {"group.name": "egid", "process.real_group.name": "rgid"}
_SETS = {
    "process.thread.capabilities.permitted": "permitted", "process.thread.capabilities.effective": "effective",
}  # fmt: skip

_NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
#: capabilities by bit: include/uapi/linux/capability.h
CAPABILITIES = tuple(f"CAP_{name}".encode() for name in _NAMES.split())


def capability_names(bits: int) -> tuple[bytes, ...]:
    """Return the names of a set of capabilities, lowest bit first; one unknown to this version by its number."""
    return tuple(
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else b"CAP_%d" % bit for bit in range(64) if bits >> bit & 1
    )


class Credentials:
    """Columns of who acted, each distinct combination looked up once an epoch."""

    def __init__(self, of_users: Names | None = None, of_groups: Names | None = None) -> None:
        """Take the names; those of this host if none are given."""
        self.users, self.groups = of_users or users(), of_groups or groups()

    def columns(
        self, segment: GrowingSegment, table: str, who: Records, known: npt.NDArray[np.bool_]
    ) -> dict[str, Array]:
        """Return the user, group and capability columns; missing where nobody is `known` to have acted."""
        first, inverse = group(*(who[field] for field in (*_NUMBERS.values(), *_SETS.values())), known)
        present, one = known[first].tolist(), who[first]
        found: dict[str, Sequence[bytes | None]] = {}
        for column, field in _NUMBERS.items():
            found[column] = [b"%d" % number for number in one[field].tolist()]
        for names, columns in ((self.users, _USERS), (self.groups, _GROUPS)):
            for column, field in columns.items():
                found[column] = [names.of(number) for number in one[field].tolist()]
        for column, field in _SETS.items():
            found[column] = [array_text(capability_names(bits)) if bits else None for bits in one[field].tolist()]
        return {
            column: segment.strings(f"{table}:{column}").codes(
                [text if ok else None for text, ok in zip(texts, present, strict=True)]
            )[inverse]
            for column, texts in found.items()
        }
