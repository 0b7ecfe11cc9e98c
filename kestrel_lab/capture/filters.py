"""Filters that the kernel's programs apply: what a recording need not hold, said before it is made.

A filter is `WHAT=VALUES` (only these) or `WHAT!=VALUES` (all but these), VALUES separated by commas. A value that is
named keeps or drops what it fits; what fits no value is dropped if any filter of its kind says `only these`. Of paths
and cgroups the longest one decides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kestrel_lab.schema.errors import UsageError

COMM_SIZE, PATH_SIZE, MOST_CGROUPS, MOST = 16, 256, 4, 1024
_FORM = re.compile(r"(?P<what>[a-z]+)(?P<sign>!=|=)(?P<values>.*)", re.DOTALL)
#: bits of the programs' settings
BITS = {"comm": 1, "uid": 2, "port": 4, "path": 8, "cgroup": 16}
_KEEPS = 8  # this many bits further up: what fits no value stays


@dataclass(frozen=True, slots=True)
class Filters:
    """What to keep and to drop: by kind and value (as the kernel compares it) whether it stays.

    Attributes:
        texts: as they were given.
    """

    values: Mapping[str, Mapping[bytes, bool]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    @property
    def bits(self) -> int:
        """For the programs' settings: which kinds there are, and which of them keep what fits no value."""
        return sum(
            BITS[what] | (0 if any(values.values()) else BITS[what] << _KEEPS) for what, values in self.values.items()
        )

    def of(self, what: str) -> Iterator[tuple[bytes, bool]]:
        """Yield the values of a kind, and whether each stays."""
        yield from self.values.get(what, {}).items()


def parse_filters(texts: Iterable[str]) -> Filters:
    """Return the filters that texts like `comm!=postgres,redis`, `uid=1000`, `path=/etc/`, `port!=53` say.

    Raises:
        UsageError: for one that says nothing, contradicts another, or that the kernel could not apply; it names it.
    """
    texts, values = tuple(texts), dict[str, dict[bytes, bool]]()
    for text in texts:
        found = _FORM.fullmatch(text)
        read = _READ.get(found["what"]) if found else None
        if found is None or read is None:
            raise _wrong(text, "a filter is WHAT=VALUES or WHAT!=VALUES", "filter by " + ", ".join(BITS))
        known = values.setdefault(found["what"], {})
        for value in found["values"].split(","):
            key = read(text, value)
            if known.setdefault(key, found["sign"] == "=") != (found["sign"] == "="):
                raise _wrong(text, f"{value!r} is to be kept and to be dropped", "say one of the two")
        if len(known) > (MOST_CGROUPS if found["what"] == "cgroup" else MOST):
            raise _wrong(text, f"there are {len(known)} values, more than the kernel is given", "use fewer")
    return Filters(values, texts)


def _comm(text: str, value: str) -> bytes:
    name = os.fsencode(value)
    if not 0 < len(name) < COMM_SIZE:
        raise _wrong(
            text, f"{value!r} is no thread's name", f"a name has 1 to {COMM_SIZE - 1} bytes; longer ones are cut there"
        )
    return name.ljust(COMM_SIZE, b"\0")


def _number(most: int, size: int, what: str) -> Callable[[str, str], bytes]:
    def read(text: str, value: str) -> bytes:
        if not re.fullmatch(r"[0-9]{1,10}", value) or int(value) > most:
            raise _wrong(text, f"{value!r} is no {what}", f"give a number up to {most}")
        return int(value).to_bytes(size, "little")

    return read


def _path(text: str, value: str) -> bytes:
    path = os.fsencode(value)
    if not path.startswith(b"/") or len(path) >= PATH_SIZE or b"//" in path or b"/../" in path + b"/":
        raise _wrong(text, f"{value!r} is no beginning of a path", f"give one from / on, up to {PATH_SIZE - 1} bytes")
    return path


def _cgroup(text: str, value: str) -> bytes:
    from kestrel_lab.capture.host import cgroup_scope

    number, level = cgroup_scope(Path(value))
    return number.to_bytes(8, "little") + level.to_bytes(4, "little")


_READ: Mapping[str, Callable[[str, str], bytes]] = {
    "comm": _comm, "uid": _number(0xFFFF_FFFE, 4, "user id"), "port": _number(0xFFFF, 2, "port"), "path": _path,
    "cgroup": _cgroup,
}  # fmt: skip


def _wrong(text: str, what: str, do: str) -> UsageError:
    return UsageError(f"filter {text!r}: {what}", do=do)
