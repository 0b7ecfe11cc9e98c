"""The command `kestrel-lab`: finds the commands, and turns every error into a message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

from kestrel_lab import __version__
from kestrel_lab.schema.errors import ExitCode, KestrelError

#: Commands in the order of `--help`, each with its module in `cli/commands/`.
COMMANDS = {
    "doctor": "doctor",
    "demo": "demo",
    "record": "record",
    "import": "import_",
    "synth": "synth",
    "replay": "replay",
    "diff": "diff",
    "search": "search",
    "info": "info",
    "dump": "dump",
    "contents": "contents",
    "rules": "rules",
    "verify": "verify",
    "repair": "repair",
    "pack": "pack",
    "unpack": "unpack",
}

DEBUG = "KESTREL_LAB_DEBUG"

_OS_CODES = {
    errno.ENOSPC: ExitCode.LIMIT,
    errno.EDQUOT: ExitCode.LIMIT,
    errno.EACCES: ExitCode.NO_PERMISSION,
    errno.EPERM: ExitCode.NO_PERMISSION,
    errno.EROFS: ExitCode.NO_PERMISSION,
}


class Cli(click.Group):
    """A group that imports a command's module when it is asked for, and never ends in a bare traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, importing its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kestrel_lab.cli.commands.{COMMANDS[cmd_name]}").command
        return command

    def invoke(self, ctx: click.Context) -> NoReturn:
        """Run a command and exit with its code; whatever ends it early becomes a message and a code."""
        for stream in (sys.stdout, sys.stderr):
            # What a rule or an event holds may not fit the terminal's encoding; it must not end the program.
            getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except click.exceptions.Exit:
            raise
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except Exception as error:
            ctx.exit(_report(error))
        ctx.exit(result if isinstance(result, int) else ExitCode.OK)


def _report(error: Exception) -> int:
    """Say what went wrong on stderr and return the exit code."""
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return ExitCode.BROKEN_PIPE
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    if isinstance(error, click.Abort):
        return ExitCode.INTERRUPTED
    if os.environ.get(DEBUG):
        traceback.print_exc()
    if isinstance(error, KestrelError):
        return _say(error.render(), error.exit_code)
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return _say(f"{place}{error.strerror}", _OS_CODES.get(error.errno or 0, ExitCode.USAGE))
    first_line = (str(error).splitlines() or [""])[0]
    hint = "" if os.environ.get(DEBUG) else f"\nThis is a defect; {DEBUG}=1 shows the traceback."
    return _say(f"unexpected {type(error).__name__}: {first_line}{hint}", ExitCode.INTERNAL)


def _say(message: str, code: ExitCode) -> int:
    from kestrel_lab.cli.output import note

    note(f"error: {message}")
    return code


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot complain about the pipe again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group("kestrel-lab", cls=Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="kestrel-lab", message="%(prog)s %(version)s")
def main() -> None:
    """Record what the Linux kernel does, raise alerts as it happens, and replay it to the same alerts.

    \b
    Examples:
      kestrel-lab doctor                           what this machine can do, and what is missing
      kestrel-lab demo                             the whole path in under two minutes
      sudo kestrel-lab record -o case.krec         record until Ctrl-C, alerts as they happen
      kestrel-lab replay case.krec --prove         the same alerts, proved
    """


if __name__ == "__main__":
    main()
