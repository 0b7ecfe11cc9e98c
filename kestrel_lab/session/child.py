"""A clean Python process that runs one function and talks over a socket.

Started with `exec`, never forked from a process that may hold threads, rings or locks. It leaves the terminal's
process group, so that a Ctrl-C reaches only the parent, and it ends when the parent does: the socket closes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from kestrel_lab.schema.errors import ExitCode, KestrelError

_BOOT = "import sys; sys.path[:] = {path!r}; from kestrel_lab.session.child import main; main({fd})"
_GRACE_S = 5.0


class ProcessDiedError(KestrelError):
    """A process of the session ended without an answer: killed, out of memory, or crashed in native code."""

    exit_code = ExitCode.LIMIT


class ProcessFailedError(ProcessDiedError):
    """A process of the session met an error that nobody foresaw; `detail` is its traceback."""

    exit_code = ExitCode.INTERNAL


class Child:
    """A running child process and its connection.

    Args:
        name: what error messages call it.
        target: a module-level function; it runs as `target(connection, *args)`, and what it returns is sent as
            `("result", value)`.
        env: environment variables to add; a value of None removes one.
        pass_fds: file descriptors the child inherits under the same numbers.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., Any],
        *args: Any,
        env: Mapping[str, str | None] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT.format(path=sys.path, fd=fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(env or {}),
                pass_fds=(fd, *pass_fds),
                process_group=0,
            )
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.send((target, args))

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            ProcessDiedError: if the child is gone; or the error that ended it, if it had time to say so.
        """
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._last_words() from None

    def recv(self) -> Any:
        """Return the next message, waiting for it.

        Raises:
            ProcessDiedError: if the child is gone.
            KestrelError: the error that ended the child's function.
        """
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._died() from None
        return self._checked(message)

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Return whether a message (or the end) can be received within `timeout_s` seconds."""
        return self.connection.poll(timeout_s)

    def result(self) -> Any:
        """Return what the child's function returned, passing over other messages; raises as `recv` does."""
        while True:
            message = self.recv()
            if isinstance(message, tuple) and message[0] == "result":
                return message[1]

    def close(self, grace_s: float = _GRACE_S) -> None:
        """Close the socket, wait up to `grace_s` seconds for the child to end by itself, then kill it."""
        self.connection.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _checked(self, message: Any) -> Any:
        if isinstance(message, tuple) and message[0] == "error":
            raise message[1]
        return message

    def _last_words(self) -> BaseException:
        try:
            while True:
                self._checked(self.connection.recv())
        except (EOFError, ConnectionResetError):
            return self._died()
        except Exception as error:
            return error

    def _died(self) -> ProcessDiedError:
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return ProcessDiedError(
            f"{self.name} (pid {self.pid}) {how}",
            do="What was committed to the recording is whole; if memory ran out, use fewer workers.",
        )


def main(fd: int) -> None:
    """Run in the child: receive `(target, args)` on the socket `fd`, run it, and send what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(fd)
    try:
        target, args = connection.recv()
        answer: tuple[str, Any] = ("result", target(connection, *args))
    except EOFError:
        return
    except Exception as error:
        answer = ("error", _portable(error))
    try:
        connection.send(answer)
    except (BrokenPipeError, ConnectionResetError):
        return


def _portable(error: Exception) -> Exception:
    """Return the error if it is one of ours; else one that carries its traceback as text."""
    if isinstance(error, KestrelError):
        return error
    import traceback

    text = "".join(traceback.format_exception(error)).rstrip()
    return ProcessFailedError(f"internal error: {error!r}", detail=text, do="This is a defect: please report it.")


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    env = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
