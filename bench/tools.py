"""What the benchmarks share: the storm, a cgroup of its own, and figures of a process tree."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
KESTREL = str(Path(sys.executable).with_name("kestrel-lab"))
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def build_storm(folder: Path) -> Path:
    """Compile storm.c into `folder` and return the program."""
    program = folder / "storm"
    subprocess.run(["gcc", "-O2", "-o", program, HERE / "storm.c"], check=True)
    return program


def make_files(folder: Path, count: int) -> Path:
    """Make the files that the storm opens and return their folder."""
    folder.mkdir()
    for i in range(count):
        (folder / f"file-{i}.dat").touch()
    return folder


@contextmanager
def cgroup() -> Iterator[Path]:
    """Make a cgroup (v2) of our own and remove it afterwards."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    top = next(Path(m[1]) for m in mounts if m[2] == "cgroup2")
    group = top / f"kestrel-bench-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        group.rmdir()


class Storm:
    """A storm in a cgroup: waiting once made, running after `go`."""

    def __init__(
        self, program: Path, files: Path, file_count: int, count: int, group: Path, rate: int = 0, fresh: int = 0
    ) -> None:
        """Start it; of a thousand opens `fresh` have a new name and fail."""
        enter = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
        numbers = [str(number) for number in (file_count, count, rate, fresh)]
        command: list[Any] = ["sh", "-c", enter, "sh", group, program, files, *numbers]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.path = str(program)
        while os.readlink(f"/proc/{self.pid}/exe") != str(program):
            time.sleep(0.01)

    def __enter__(self) -> Storm:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.communicate()

    def go(self) -> None:
        """Let it run."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def join(self) -> float:
        """Wait for its end and return the seconds its acts took."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the storm failed with {self._process.returncode}")
        return int(out) / 1e9


def tree(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of a process tree so far, ended children included."""
    total = 0
    for member in tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total * _TICK_S


def memory(pid: int, key: str) -> dict[int, int]:
    """Return bytes by process of a tree; `key` is a line of /proc/PID/status, such as VmHWM."""
    found = {}
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key + ":"):
                found[member] = int(line.split()[1]) * 1024
    return found


@dataclass
class Watch:
    """Samples the memory of a process tree until told to stop.

    Attributes:
        peaks: VmHWM of each process seen, bytes.
        resident: bytes of the whole tree at each sample, pages of mapped files and rings included.
        anonymous: the same without mapped files and rings.
    """

    pid: int
    every_s: float = 0.1
    peaks: dict[int, int] = field(default_factory=dict)
    resident: list[int] = field(default_factory=list)
    anonymous: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self.every_s):
            for member, peak in memory(self.pid, "VmHWM").items():
                self.peaks[member] = max(peak, self.peaks.get(member, 0))
            self.resident.append(sum(memory(self.pid, "VmRSS").values()))
            self.anonymous.append(sum(memory(self.pid, "RssAnon").values()))

    def stop(self) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()

    def figures(self) -> dict[str, Any]:
        """Return peak and resident bytes, and both kinds of resident bytes when a share of the watch was over."""
        shares = (0.1, 0.25, 0.5, 0.75, 0.95)
        marks = [int(share * len(self.resident)) for share in shares if self.resident]
        return {
            "peak": sum(self.peaks.values()),
            "resident": max(self.resident, default=0),
            "anonymous": max(self.anonymous, default=0),
            "resident_at": [self.resident[mark] for mark in marks],
            "anonymous_at": [self.anonymous[mark] for mark in marks],
        }


def megabytes(sizes: Iterable[int]) -> str:
    """Return sizes as megabytes: `12 / 13`."""
    return " / ".join(f"{size / 1e6:.0f}" for size in sizes)


def reap(process: subprocess.Popen[Any]) -> tuple[int, float]:
    """Wait for a process and return (its exit code, user and system seconds of it and the children it waited for)."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    model = next((x.split(":", 1)[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines()
                  if x.startswith("model name")), platform.machine())  # fmt: skip
    return {
        "cpus": os.cpu_count(), "cpu": model, "kernel": platform.release(), "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }  # fmt: skip


def keep(name: str, data: dict[str, Any]) -> Path:
    """Write results as JSON to bench/results/ and return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps({"machine": machine(), **data}, indent=2) + "\n")
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
