"""Identities that hold across segments, recordings and machines."""

from __future__ import annotations

from hashlib import blake2b


def entity_id(boot_id: bytes, tgid: int, start_boottime_ns: int) -> bytes:
    """Return the 16-byte identity of a process: blake2b-128 over (boot id, tgid, group leader's start_boottime).

    Args:
        boot_id: the kernel's boot id as 16 bytes.
        tgid: thread group id in the initial pid namespace.
        start_boottime_ns: `task_struct.start_boottime` of the group leader, ns.
    """
    return blake2b(
        boot_id + tgid.to_bytes(4, "little") + start_boottime_ns.to_bytes(8, "little"), digest_size=16
    ).digest()
