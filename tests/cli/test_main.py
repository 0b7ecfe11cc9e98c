"""The frame around every command: errors, exit codes, pipes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kestrel_lab.cli import docs
from kestrel_lab.cli.main import COMMANDS, Cli, main
from kestrel_lab.schema.errors import (
    DamagedError,
    DivergedError,
    ExitCode,
    KestrelError,
    LimitError,
    PermissionMissingError,
    RuleError,
    UnavailableError,
    UsageError,
)

Run = Callable[[BaseException], tuple[int, str]]


class _Raising(Cli):
    error: BaseException

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        @click.command()
        def raises() -> None:
            raise self.error

        return raises


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("KESTREL_LAB_DEBUG", raising=False)

    def invoke(error: BaseException) -> tuple[int, str]:
        group = _Raising("kestrel-lab")
        group.error = error
        result = CliRunner().invoke(group, ["raises"])
        assert result.stdout == ""
        return result.exit_code, result.stderr

    return invoke


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KestrelError("x"), ExitCode.USAGE),
        (UsageError("x"), ExitCode.USAGE),
        (RuleError("x"), ExitCode.USAGE),
        (DamagedError("x"), ExitCode.DAMAGED),
        (DivergedError("x"), ExitCode.DIVERGED),
        (LimitError("x"), ExitCode.LIMIT),
        (UnavailableError("x"), ExitCode.UNAVAILABLE),
        (PermissionMissingError("x"), ExitCode.NO_PERMISSION),
        (OSError(errno.ENOSPC, "No space left on device", "/full"), ExitCode.LIMIT),
        (OSError(errno.EROFS, "Read-only file system", "/ro"), ExitCode.NO_PERMISSION),
        (OSError(errno.ENOENT, "No such file or directory", "/none"), ExitCode.USAGE),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), ExitCode.BROKEN_PIPE),
    ],
)
def test_each_error_has_its_code(run: Run, error: BaseException, code: ExitCode) -> None:
    found, text = run(error)
    assert found == code
    assert "Traceback" not in text
    assert (text == "") == isinstance(error, (KeyboardInterrupt, BrokenPipeError))


def test_an_error_says_where_what_and_what_to_do(run: Run) -> None:
    error = RuleError("unknown field", where="a.toml:3:9", detail="process.nam == 1\n        ^", do="Did you mean x?")
    assert run(error)[1] == "error: a.toml:3:9: unknown field\nprocess.nam == 1\n        ^\nDid you mean x?\n"


def test_an_error_cannot_steer_the_terminal(run: Run) -> None:
    assert run(UsageError("bad name \x1b[2J"))[1] == "error: bad name \\x1b[2J\n"


def test_what_nobody_foresaw_is_one_line_and_a_hint(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(ValueError("first\nsecond"))[1] == (
        "error: unexpected ValueError: first\nThis is a defect; KESTREL_LAB_DEBUG=1 shows the traceback.\n"
    )
    monkeypatch.setenv("KESTREL_LAB_DEBUG", "1")
    code, text = run(ValueError("first"))
    assert code == ExitCode.INTERNAL
    assert "Traceback" in text
    assert text.endswith("error: unexpected ValueError: first\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["info"], ["info", "/nonexistent"]])
def test_a_wrong_command_line_is_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["-h"], ["--help"], ["info", "-h"]])
def test_asking_is_fine(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "kestrel-lab" in result.stdout


def test_the_reader_of_a_pipe_may_go_away() -> None:
    script = (
        "from kestrel_lab.cli import output, main as m\n"
        "import click\n"
        "@click.command()\n"
        "def talk():\n"
        "    for i in range(100_000): output.emit({'i': i})\n"
        "m.Cli.get_command = lambda self, ctx, name: talk\n"
        "m.main(['talk'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b'{"i":0}\n'
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == ExitCode.BROKEN_PIPE


def test_text_that_the_encoding_lacks_does_not_end_the_program() -> None:
    script = "from kestrel_lab.cli.main import main; main(['info', '/none/\\u6f22\\udcff'])"
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert run.returncode == ExitCode.USAGE
    assert b"\\u6f22" in run.stderr


def test_help_imports_no_core() -> None:
    script = (
        "import sys\n"
        "from kestrel_lab.cli import docs\n"
        "docs.document()\n"
        "heavy = {'bcc', 'pyarrow', 'wasmtime', 'lupa', 'lark', 'numpy', 'rich', 'zstandard'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(("path", "text"), [*docs.helps(main, "kestrel-lab")])
def test_every_help_has_an_example(path: str, text: str) -> None:
    assert "Examples:" in text
    assert f"{path} " in text.partition("Examples:")[2]


def test_every_command_is_documented() -> None:
    assert docs.TARGET.read_text("utf-8") == docs.document(), "run python -m kestrel_lab.cli.docs"
    for name in COMMANDS:
        assert f"## `kestrel-lab {name}`" in docs.TARGET.read_text("utf-8")


def test_every_command_has_a_file_of_its_own() -> None:
    folder = Path(docs.__file__).parent / "commands"
    groups = [c for name in COMMANDS if isinstance(c := main.get_command(click.Context(main), name), click.Group)]
    parts = {f"{group.name}_{name}" for group in groups for name in group.commands}
    files = {p.stem for p in folder.glob("*.py")} - {"__init__"}
    assert set(COMMANDS.values()) <= files <= set(COMMANDS.values()) | parts
