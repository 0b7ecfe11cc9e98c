"""What the texts of a record name, by the call they were given to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kestrel_lab.schema.schema import BUILTIN

CODES = {action.name: action.code for action in BUILTIN.actions_of("file")}
#: actions whose one text is the path of the file that was reached
REACHED = tuple(CODES[name] for name in ("open", "creation", "open_read", "modification", "cgroup_creation"))


@dataclass(frozen=True, slots=True)
class Named:
    """What the texts of a record name."""

    path: bytes | None
    original: bytes | None = None
    target: bytes | None = None
    name: bytes | None = None
    mount_source: bytes | None = None
    mount_type: bytes | None = None
    sha256: bytes | None = None
    role: bytes | None = None

    @property
    def texts(self) -> tuple[bytes | None, ...]:
        """Values of the columns of texts."""
        return (
            self.path, self.original, self.target, self.name, self.mount_source, self.mount_type, self.sha256,
            self.role,
        )  # fmt: skip

    @property
    def relative(self) -> bool:
        """Whether a path does not begin at the root."""
        return any(path is not None and not path.startswith(b"/") for path in (self.path, self.original))


def named(action: int, text: bytes, lens: Sequence[int], *, by_descriptor: bool) -> Named:
    """Return what the texts of a call name: a directory and a name, once or twice; a text has no directory, and what
    is known by a descriptor no name."""
    parts, at = [], 0
    for length in lens:
        parts.append(text[at : at + length])
        at += length
    if action in _MADE:
        return _MADE[action]([part or None for part in parts])
    first = parts[0] or None if by_descriptor else join_name(parts[0], parts[1])
    second = join_name(parts[2], parts[3])
    if action == CODES["mount"]:
        return _mount(second, first, parts[1])
    if action == CODES["pivot_root"]:
        return Named(first, target=second)
    if action == CODES["rename"]:
        return Named(second, original=first)
    if action == CODES["link"]:
        return Named(second, target=first)
    if action == CODES["symlink"]:
        return Named(second, target=parts[1] or None)
    return Named(first, name=parts[3] or None)


def _mount(path: bytes | None, moved: bytes | None, text: bytes) -> Named:
    """Return what was mounted where. A 0 byte tells the source from the type; without one a mount is moved."""
    source, zero, kind = text.partition(b"\0")
    return (
        Named(path, mount_source=source or None, mount_type=kind or None) if zero else Named(path, mount_source=moved)
    )


#: of what the recorder itself tells
_MADE = {
    CODES["existing_mount"]: lambda p: Named(p[0], target=p[3], mount_source=p[1], mount_type=p[2]),
    CODES["existing_module"]: lambda p: Named(None, name=p[0]),
    CODES["content_hash"]: lambda p: Named(p[0], sha256=p[1], role=p[2]),
}


def join_name(folder: bytes, name: bytes) -> bytes | None:
    """Return a name as given, in a folder: empty and `.` parts are left out, `..` stays (it may cross a link)."""
    if not name:
        return None
    whole = name if name.startswith(b"/") or not folder else folder + b"/" + name
    parts = [part for part in whole.split(b"/") if part not in (b"", b".")]
    return (b"/" if whole.startswith(b"/") else b"") + b"/".join(parts)
