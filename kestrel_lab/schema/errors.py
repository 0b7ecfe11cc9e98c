"""One error root and the exit codes. An error says what is wrong, where, and what to do."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes; part of the command line's contract. `meaning` is one sentence on each."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """Make a member: an int that knows what it means."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "fine, or the same"
    FINDINGS = 1, "findings, or a difference"
    USAGE = 2, "the command line or a rule is wrong"
    DAMAGED = 3, "the input is damaged, or of a version that is refused"
    DIVERGED = 4, "two modes of the engine disagree"
    LIMIT = 5, "a limit was reached: disk, fuel, size"
    UNAVAILABLE = 69, "no BPF, no BTF, no bcc"
    INTERNAL = 70, "an error nobody foresaw; KESTREL_LAB_DEBUG=1 shows the traceback"
    NO_PERMISSION = 77, "not root, or a capability is missing"
    INTERRUPTED = 130, "Ctrl-C"
    BROKEN_PIPE = 141, "the reader of stdout went away"


class KestrelError(Exception):
    """Root of every error a user may see.

    Args:
        what: what is wrong, one sentence without a full stop.
        where: the place: `path:line:column`, a segment and its event range, a file.
        do: what the user can do about it.
        detail: lines shown beneath (a source line and its caret).
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, what: str, *, where: str = "", do: str = "", detail: str = "") -> None:
        self.what, self.where, self.do, self.detail = what, where, do, detail
        super().__init__(self.render())

    def render(self) -> str:
        """Return the message as printed: where, what, detail lines, then what to do."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n".join(part for part in (head, self.detail, self.do) if part)


class UsageError(KestrelError):
    """The request itself cannot be carried out as asked."""


class RuleError(KestrelError):
    """A rule or a pack is wrong; `where` is path:line:column."""


class DamagedError(KestrelError):
    """A recording is damaged; `where` names segment and event_id range."""

    exit_code = ExitCode.DAMAGED


class IncompatibleError(KestrelError):
    """A recording of another format or schema version that is refused."""

    exit_code = ExitCode.DAMAGED


class DivergedError(KestrelError):
    """Two runs that must agree do not."""

    exit_code = ExitCode.DIVERGED


class LimitError(KestrelError):
    """A limit was reached: disk full, fuel, size."""

    exit_code = ExitCode.LIMIT


class UnavailableError(KestrelError):
    """The machine lacks what is needed: BPF, BTF, bcc, headers."""

    exit_code = ExitCode.UNAVAILABLE


class PermissionMissingError(KestrelError):
    """Not root, or a capability is missing."""

    exit_code = ExitCode.NO_PERMISSION
