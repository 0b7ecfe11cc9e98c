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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

#: Where rules look for droppers, so the folder is made there whatever TMPDIR says.
TEMP = Path("/tmp")

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
    """Where the intrusion happens: its folder and the port of its listener on 127.0.0.1."""

    folder: Path
    port: int
    acts: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        payload, loot = self.folder / "update.sh", self.folder / "notes.txt"
        locked = self.folder / "notes.txt.locked"
        connect = f"exec 3<>/dev/tcp/127.0.0.1/{self.port}; echo hello >&3; exec 3>&-"
        self.acts = [
            Act("drop", f"a script is dropped: {payload}", lambda: _write(payload)),
            Act("arm", "it is made executable", lambda: _run("chmod", "+x", str(payload))),
            Act("execute", "it is run", lambda: _run(str(payload))),
            Act("connect", f"a shell connects to 127.0.0.1:{self.port}", lambda: _run("bash", "-c", connect)),
            Act("rename", f"a file is renamed: {loot} to {locked.name}", lambda: _rename(loot, locked)),
            Act("delete", "it and the script are deleted", lambda: _run("rm", str(locked), str(payload))),
        ]


@contextmanager
def stage(parent: Path = TEMP) -> Iterator[Stage]:
    """Make a folder and a listener for the intrusion, and take both away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="kestrel-lab-demo-", dir=parent))
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        yield Stage(folder, listener.getsockname()[1])
    finally:
        listener.close()
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


def _rename(loot: Path, locked: Path) -> None:
    _run("sh", "-c", 'echo "meeting at nine" > "$0"', str(loot))
    _run("mv", str(loot), str(locked))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main() -> None:
    """Do the intrusion once and say what it does."""
    pause_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    with stage() as place:
        intrude(place, pause_s=pause_s, on_act=lambda act: print(act.story, flush=True))


if __name__ == "__main__":
    main()
