"""Names of files that come from outside: they must stay inside the folder they are put in."""

from __future__ import annotations

from kestrel_lab.schema.errors import UsageError


def safe_name(name: str) -> str:
    """Return a relative path with forward slashes as it is.

    Raises:
        UsageError: if it is empty, absolute, climbs out, or holds what no file name holds.
    """
    parts = name.split("/")
    if not name or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"the file name {name!r} would leave its folder", do="rename the file")
    return name
