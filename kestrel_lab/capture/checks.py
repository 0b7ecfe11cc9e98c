"""What capture needs of the machine: one function a requirement, none of which loads anything."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kestrel_lab.capture import bcc_module, headers
from kestrel_lab.capture.btf import VMLINUX
from kestrel_lab.capture.host import cgroup2_mounts
from kestrel_lab.schema.errors import KestrelError, PermissionMissingError, UnavailableError

_CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38, "CAP_DAC_READ_SEARCH": 2}
_CAP_SYS_ADMIN = 21
_RECORDING = "no recording of the live kernel; replay, diff and every other command work"


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement.

    Attributes:
        name: what is required.
        ok: whether it is there.
        found: what was found.
        costs: what its lack costs.
        mend: the command or step that mends it; empty if it is there.
        needed: whether recording is impossible without it.
    """

    name: str
    ok: bool
    found: str
    costs: str
    mend: str
    needed: bool = True


def _check(name: str, ok: bool, found: str, mend: str, costs: str = _RECORDING, needed: bool = True) -> Check:
    return Check(name, ok, found, costs, "" if ok else mend, needed)


def check_permission() -> Check:
    """Root, or the three capabilities that loading needs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    lacking = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    ok = not lacking or bool(effective >> _CAP_SYS_ADMIN & 1)
    found = f"uid {os.geteuid()}, " + ("all that is needed" if ok else "without " + ", ".join(lacking))
    return _check("permission", ok, found, "run it with sudo")


def check_machine() -> Check:
    """The one architecture whose system call numbers and registers are known."""
    machine = platform.machine()
    return _check("machine", machine == "x86_64", machine, "record on an x86-64 machine")


def check_btf() -> Check:
    """The kernel's own type information."""
    ok = VMLINUX.is_file()
    mend = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is)"
    return _check("BTF", ok, str(VMLINUX) if ok else f"no {VMLINUX}", mend)


def check_tracefs() -> Check:
    """The tracing file system. Capture itself does without."""
    places = [Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing")]
    found = next((place for place in places if os.path.isdir(place / "events")), None)  # False where unreadable
    return _check(
        "tracefs", found is not None, str(found or "not mounted, or not readable"),
        "mount -t tracefs tracefs /sys/kernel/tracing",
        "comparison with perf and bpftrace in `make bench`; capture uses raw tracepoints and does without", False,
    )  # fmt: skip


def check_bcc() -> Check:
    """The real bcc."""
    kind, place = bcc_module.locate_bcc()
    found = {"missing": "not found", "impostor": f"PyPI's unrelated bcc, at {place}", "real": place}[kind]
    return _check("bcc", kind == "real", found, bcc_module.MEND_IMPOSTOR if kind == "impostor" else bcc_module.MEND)


def check_headers() -> Check:
    """Kernel headers, in a place that only root can change."""
    try:
        return _check("headers", True, str(headers.find_headers(build=False)), "")
    except KestrelError as error:
        found = f"{error.where}: {error.what}" if error.where else error.what
        return _check("headers", False, found, error.do)
    except OSError as error:  # the merged tree is root's alone
        return _check("headers", False, f"{error.filename}: {error.strerror}", "run it with sudo")


def check_cgroups() -> Check:
    """A cgroup v2 hierarchy, to scope a recording to."""
    mounts = cgroup2_mounts()
    return _check(
        "cgroup v2", bool(mounts), ", ".join(map(str, mounts)) or "not mounted",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified", "recordings scoped to a cgroup", False,
    )  # fmt: skip


CHECKS: Sequence[Callable[[], Check]] = (
    check_permission,
    check_machine,
    check_btf,
    check_bcc,
    check_headers,
    check_tracefs,
    check_cgroups,
)


def probe() -> list[Check]:
    """Return every check, in the order in which recording would fail."""
    return [check() for check in CHECKS]


def require() -> None:
    """Raise for the first requirement that is not met.

    Raises:
        PermissionMissingError: without the capabilities, or with headers that others can change.
        UnavailableError: for everything else.
    """
    for check in probe():
        if check.needed and not check.ok:
            kind = PermissionMissingError if check.name == "permission" else UnavailableError
            raise kind(f"recording needs {check.name}: {check.found}", do=check.mend)
