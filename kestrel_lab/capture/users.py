"""Names of users and groups, as the host's own files give them while it records."""

from __future__ import annotations

import os
import time
from pathlib import Path

_PASSWD, _GROUP = Path("/etc/passwd"), Path("/etc/group")
_CHECK_S = 1.0  #: how often it is looked whether a file has changed


class Names:
    """Names by number, from a file of lines `name:password:number:...`; read again when it has changed.

    No name service is asked: it could block the recorder, or talk to the network.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._names: dict[int, bytes] = {}
        self._checked = -_CHECK_S

    def of(self, number: int | None) -> bytes | None:
        """Return the first name of a number, None if it has none."""
        now = time.monotonic()
        if now - self._checked >= _CHECK_S:
            self._checked = now
            self._refresh()
        return None if number is None else self._names.get(number)

    def _refresh(self) -> None:
        try:
            found = os.stat(self._path)
            stamp = found.st_mtime_ns, found.st_ino, found.st_size
            if stamp != self._stamp:
                self._names, self._stamp = parse_names(self._path.read_bytes()), stamp
        except OSError:
            self._names, self._stamp = {}, None


def parse_names(text: bytes) -> dict[int, bytes]:
    """Return the names by number of a passwd or group file; lines that are none are passed over."""
    names: dict[int, bytes] = {}
    for line in text.splitlines():
        parts = line.split(b":")
        if len(parts) > 2 and parts[0] and parts[2].isdigit():
            names.setdefault(int(parts[2]), parts[0])
    return names


def users() -> Names:
    """Return the names of users."""
    return Names(_PASSWD)


def groups() -> Names:
    """Return the names of groups."""
    return Names(_GROUP)
