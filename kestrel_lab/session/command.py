"""The command that a recording is about."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from kestrel_lab.schema.errors import UsageError

#: How long a command may take to end once asked to, seconds.
_GRACE_S = 5.0


def require_command(arguments: Sequence[str]) -> None:
    """Do nothing if the command can be found.

    Raises:
        UsageError: if there is none of that name.
    """
    if arguments and shutil.which(arguments[0]) is None:
        raise UsageError(f"there is no command {arguments[0]!r}", do="Give one that is on the PATH.")


class Command:
    """A running command, with the environment, folder and terminal of the caller.

    Raises:
        UsageError: if it cannot be run.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(list(arguments))
        except OSError as error:
            raise UsageError(f"cannot run {arguments[0]}: {error.strerror}", do="Give a command that exists.") from None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def end(self) -> int:
        """Ask it to end if it has not, and return its exit code."""
        if not self.over:
            self._process.terminate()
        try:
            return self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
