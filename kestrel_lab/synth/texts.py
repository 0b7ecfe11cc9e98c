"""Strings: standing ones in pools, fresh ones made of their number, both as codes of the segment's dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.synth import jobs, stories
from kestrel_lab.synth.dice import Array, Wheel, zipf
from kestrel_lab.synth.programs import USERS

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Pool:
    """Standing strings, chosen by index; an empty one is a missing value."""

    name: str
    values: tuple[bytes, ...]


def pool(name: str, values: Sequence[str]) -> Pool:
    """Return a pool of texts."""
    return Pool(name, tuple(value.encode() for value in values))


#: where files of each kind lie, and how a name looks there
FOLDERS = {
    "temporary": ("/tmp", "cc{}.s"),
    "built": ("/srv/build/out", "part-{}.o"),
    "data": ("/var/lib/app/data", "item-{}.json"),
    "log": ("/var/log/app", "app-{}.log"),
}
KINDS = tuple(FOLDERS)
_COUNTS = {"temporary": 400, "built": 900, "data": 900, "log": 40}
PATHS = pool("path", [
    *("/".join(FOLDERS[kind]).format(f"{i:04}") for kind in KINDS for i in range(_COUNTS[kind])),
    stories.DROPPED, stories.KEYS,
])  # fmt: skip
#: by kind: index of its first path, and the choice among them
FIRST_PATH = np.cumsum([0, *(_COUNTS[kind] for kind in KINDS)])[:-1]
PATH_WHEELS: tuple[Wheel, ...] = tuple(zipf(_COUNTS[kind]) for kind in KINDS)
PEERS = pool("peer", [*(f"10.20.{i // 200}.{i % 200 + 1}" for i in range(600)),
                      *(f"198.18.{i // 200}.{i % 200 + 1}" for i in range(1_000)), stories.PEER])  # fmt: skip
PEER_WHEEL = zipf(1_600)
DOMAINS = pool("domain", [f"{name}-{i:03}.example" for i in range(100) for name in ("api", "cdn", "db", "www")])
DOMAIN_WHEEL = zipf(400)
SOCKETS = pool("socket", ["/run/systemd/journal/socket", "/run/dbus/system_bus_socket", "/run/nscd/socket",
                          "/run/postgresql/.s.PGSQL.5432", "/run/user/1000/bus"])  # fmt: skip
MISSED = pool("missed", [f"{folder}/{program.name}" for program in jobs.PROGRAMS[:60]
                         for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin")])  # fmt: skip
MISSED_WHEEL = zipf(180)
FOLDER_OF_WORK = pool("folder", ["/", "/root", "/srv/build", "/srv/shop", "/var/lib/app",
                                 *(f"/home/{user[2]}" for user in USERS[7:])])  # fmt: skip
NAMES = pool("name", [program.name for program in jobs.PROGRAMS])
EXECUTABLES = pool("executable", [program.executable for program in jobs.PROGRAMS])
UIDS, GIDS, USER_NAMES, GROUP_NAMES = (
    pool(name, [user[i] for user in USERS]) for i, name in enumerate(("uid", "gid", "user", "group"))
)
OUTCOMES = pool("outcome", ["success", "failure", "unknown"])
#: arguments: those of the calls of all programs, each once, then names of files to add to them
_CALLS = [call for program in jobs.PROGRAMS for call in program.calls]
_WORDS = list(dict.fromkeys(word for call in _CALLS for word in call))
_NUMBER = {word: i for i, word in enumerate(_WORDS)}
EXTRA = 500
ARGUMENTS = pool("argument", [*_WORDS, *(f"file-{i:03}.txt" for i in range(EXTRA))])
FIRST_EXTRA = len(_WORDS)
EXTRA_WHEEL = zipf(EXTRA)
CALL_SIZES = np.array([len(call) for call in _CALLS])
CALL_STARTS = np.cumsum(CALL_SIZES) - CALL_SIZES
CALL_WORDS = np.array([_NUMBER[word] for call in _CALLS for word in call])
#: by program: its first call, how many it has, and whether a name of a file is added
CALLS = np.array([len(program.calls) for program in jobs.PROGRAMS])
FIRST_CALLS = np.cumsum(CALLS) - CALLS
OPEN_ENDED = np.array([program.open_ended for program in jobs.PROGRAMS])


class Coder:
    """Codes of one segment. What was looked up once costs an array look-up from then on."""

    def __init__(self, segment: GrowingSegment) -> None:
        self._segment = segment
        self._tables: dict[tuple[str, str], Codes] = {}

    def standing(self, key: str, source: Pool, index: Array) -> Codes:
        """Return the codes in dictionary `key` of strings of a pool, by index."""
        table = self._tables.get((key, source.name))
        if table is None:
            table = self._tables[key, source.name] = np.full(len(source.values), -1, np.int32)
        found = table[index]
        if len(found) and found.min() < 0:
            missing = np.unique(index[found < 0])
            texts = [source.values[i] or None for i in missing.tolist()]
            table[missing] = self._segment.strings(key).codes(texts)
            found = table[index]
        return found

    def one(self, key: str, text: str) -> int:
        """Return the code of one text."""
        return self._segment.strings(key).code(text.encode())

    def fresh(self, key: str, numbers: Array, text: Callable[[int], bytes]) -> Codes:
        """Return the codes of fresh strings by number. Python runs for each distinct one, as for any new string."""
        distinct, inverse = np.unique(numbers, return_inverse=True)
        return self._segment.strings(key).codes([text(number) for number in distinct.tolist()])[inverse]


def fresh_path(kind: int) -> Callable[[int], bytes]:
    """Return how a fresh path of a kind is made of its number."""
    folder, name = FOLDERS[KINDS[kind]]
    head, tail = f"{folder}/{name}".encode().split(b"{}")
    return lambda number: b"%b%012x%b" % (head, number, tail)


def fresh_argument(number: int) -> bytes:
    """Return a fresh argument."""
    return b"--input=file-%012x" % number


def fresh_peer(number: int) -> bytes:
    """Return a fresh address, of the range for documentation (RFC 3849)."""
    return b"2001:db8::%x:%x:%x" % (1 + (number >> 30), 1 + (number >> 15 & 0x7FFF), 1 + (number & 0x7FFF))


def fresh_domain(number: int) -> bytes:
    """Return a fresh name of a host."""
    return b"h%012x.example" % number


def fresh_program(number: int) -> bytes:
    """Return a fresh path of a program that is not there."""
    return b"/usr/local/bin/missing-%012x" % number
