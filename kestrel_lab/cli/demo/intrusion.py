"""A harmless scripted intrusion: every file is in a folder of its own, every connection goes to a listener of its own.

Run it by itself with `python -m kestrel_lab.cli.demo.intrusion [SECONDS BETWEEN ACTS]`. Tests and the shipped
recording use the same acts.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

#: Where rules look for droppers, so the folder is made there whatever TMPDIR says.
TEMP = Path("/tmp")

HIDE = "exec -a '[kworker/0:2-events]' sleep 0"
PAYLOAD = "#!/bin/sh\n# Harmless: the demo wrote this.\n/usr/bin/id\n"


@dataclass(slots=True)
class Act:
    """One thing the intruder does.

    Attributes:
        name: a short name.
        story: what happens, for people.
        began_ns: CLOCK_BOOTTIME when it began, ns; 0 until done.
    """

    name: str
    story: str
    do: Callable[[], None]
    began_ns: int = 0

    def run(self) -> None:
        """Do it."""
        self.began_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.do()


@dataclass(slots=True)
class Stage:
    """Where the intrusion happens: its folder, and on 127.0.0.1 the port of its listener and one that is closed."""

    folder: Path
    port: int
    closed: int
    acts: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        payload, loot, packed = (self.folder / name for name in ("update.sh", "notes.txt", "loot.tar.gz"))
        program, locked, note = (
            self.folder / name for name in ("updater", "notes.txt.locked", "README_TO_DECRYPT.txt")
        )
        connect = f"exec 3<>/dev/tcp/127.0.0.1/{self.port}; echo hello >&3; exec 3>&-"
        everything = [str(path) for path in (payload, program, packed, locked, note)]
        self.acts = [
            Act("drop", f"a script is dropped: {payload}", lambda: _write(payload)),
            Act("arm", "it is made executable", lambda: _run("chmod", "+x", str(payload))),
            Act("execute", "it is run", lambda: _run(str(payload))),
            Act("look", "a shell looks around", lambda: _run("bash", "-c", "id; whoami; uname -a; who; df; :")),
            Act("search", "keys are searched for, in its own folder", lambda: _search(self.folder)),
            Act("scan", f"a closed port of 127.0.0.1 is tried ten times: {self.closed}", lambda: _scan(self.closed)),
            Act("connect", f"a shell connects to 127.0.0.1:{self.port}", lambda: _run("bash", "-c", connect)),
            Act("hide", "a program passes for a kernel thread", lambda: _run("bash", "-c", HIDE)),
            Act("age", "the script is made to look old", lambda: _run("touch", "-r", "/usr/bin/id", str(payload))),
            Act("pack", f"a file is packed: {packed.name}", lambda: _pack(loot, packed)),
            Act("call", f"a dropped program connects to 127.0.0.1:{self.port}", lambda: _call(program, connect)),
            Act("rename", f"a file is renamed: {loot} to {locked.name}", lambda: _run("mv", str(loot), str(locked))),
            Act("note", f"a note is left: {note.name}", lambda: _echo("Harmless: the demo wrote this.", note)),
            Act("delete", "everything is deleted", lambda: _run("rm", *everything)),
        ]


@contextmanager
def stage(parent: Path = TEMP) -> Iterator[Stage]:
    """Make a folder and a listener for the intrusion, and take both away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="kestrel-lab-demo-", dir=parent))
    try:
        # Bound and not listening: nobody else can have the port, and whoever connects is refused.
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            yield Stage(folder, listener.getsockname()[1], closed.getsockname()[1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def intrude(place: Stage, *, pause_s: float = 0.0, on_act: Callable[[Act], None] | None = None) -> None:
    """Do every act in order.

    Args:
        pause_s: how long to wait after each.
        on_act: told of each act just before it happens.
    """
    for act in place.acts:
        if on_act:
            on_act(act)
        act.run()
        time.sleep(pause_s)


def _write(payload: Path) -> None:
    # By a shell of its own: the one that drops is not the one that runs.
    _run("sh", "-c", 'printf "%s" "$1" > "$0"', str(payload), PAYLOAD)


def _echo(text: str, path: Path) -> None:
    _run("sh", "-c", 'echo "$1" > "$0"', str(path), text)


def _search(folder: Path) -> None:
    _run("find", str(folder), "-name", "id_rsa*")


def _scan(port: int) -> None:
    for _ in range(10):
        with socket.socket() as attempt, suppress(ConnectionRefusedError):
            attempt.connect(("127.0.0.1", port))


def _pack(loot: Path, packed: Path) -> None:
    _echo("meeting at nine", loot)
    _run("tar", "-czf", str(packed), "-C", str(loot.parent), loot.name)


def _call(program: Path, connect: str) -> None:
    _run("cp", shutil.which("bash") or "/bin/bash", str(program))
    _run(str(program), "-c", connect)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main() -> None:
    """Do the intrusion once and say what it does."""
    pause_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    with stage() as place:
        intrude(place, pause_s=pause_s, on_act=lambda act: print(act.story, flush=True))


if __name__ == "__main__":
    main()
