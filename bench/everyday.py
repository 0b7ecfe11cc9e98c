"""What a recorder costs where little happens, and what a real build takes on disk."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import tools

IDLE_S = 30
UNITS = 150
_UNIT = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>
double work_{n}(int count) {{
  double sum = {n};
  for (int i = 0; i < count; i++) sum += sqrt(i + sum);
  return sum;
}}
"""


def _project(folder: Path) -> Path:
    """Write a C program of many units with its Makefile."""
    folder.mkdir()
    for n in range(UNITS):
        (folder / f"unit_{n}.c").write_text(_UNIT.format(n=n))
    calls = " + ".join(f"work_{n}(10)" for n in range(UNITS))
    heads = "\n".join(f"double work_{n}(int);" for n in range(UNITS))
    (folder / "main.c").write_text(f"#include <stdio.h>\n{heads}\nint main(void) {{ return ({calls}) < 0; }}\n")
    (folder / "Makefile").write_text(
        "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))\n"
        "program: $(OBJECTS)\n\tgcc -o $@ $(OBJECTS) -lm\n%.o: %.c\n\tgcc -O2 -c -o $@ $<\n"
    )
    return folder


def build() -> dict[str, Any]:
    """Record a build with make in its own cgroup, and return events and bytes on disk."""
    from kestrel_lab.recording import open_recording

    with tempfile.TemporaryDirectory(dir=tools.HERE) as name, tools.cgroup() as group:
        folder, out = Path(name), Path(name) / "out.krec"
        project = _project(folder / "project")
        enter = 'echo $$ > "$1/cgroup.procs"; exec make -s -j2 -C "$2"'
        command: list[Any] = [tools.KESTREL, "record", "-o", out, "--no-rules", "--cgroup", group]
        subprocess.run([*command, "--", "sh", "-c", enter, "sh", group, project], check=True, capture_output=True)
        ledger = open_recording(out).ledger
        assert ledger is not None
        size = tools.size_of(out)
    return {"events": ledger.written, "lost": ledger.lost_ring + ledger.lost_user, "bytes": size,
            "bytes_per_event": size / ledger.written}  # fmt: skip


def idle(seconds: int = IDLE_S) -> dict[str, Any]:
    """Record the machine while nothing is done on purpose; return the CPU that the whole tree took."""
    from kestrel_lab.recording import open_recording

    with tempfile.TemporaryDirectory(dir=tools.HERE) as name:
        out = Path(name) / "out.krec"
        process = subprocess.Popen([tools.KESTREL, "record", "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr
        while b"recording into" not in process.stderr.readline():
            time.sleep(0.01)
        time.sleep(3)  # what it found there is hashed by then
        before = tools.cpu_seconds(process.pid)
        time.sleep(seconds)
        cpu_s = tools.cpu_seconds(process.pid) - before
        process.send_signal(signal.SIGINT)
        process.communicate()
        ledger = open_recording(out).ledger
        assert ledger is not None
    return {"seconds": seconds, "events": ledger.written, "cpu": cpu_s / seconds}


def show(built: dict[str, Any], idled: dict[str, Any]) -> str:
    """Return the figures as Markdown tables."""
    first = tools.table(
        ("a build with make", "events", "lost", "bytes", "bytes/event"),
        [[f"{UNITS} units of C", f"{built['events']:,}", str(built["lost"]), f"{built['bytes']:,}",
          f"{built['bytes_per_event']:.1f}"]],
    )  # fmt: skip
    second = tools.table(
        ("idle", "seconds", "events", "CPU, % of a core"),
        [
            [
                "the whole machine, starter pack",
                str(idled["seconds"]),
                f"{idled['events']:,}",
                f"{100 * idled['cpu']:.2f}",
            ]
        ],
    )
    return f"{first}\n\n{second}"


def main() -> None:
    """Measure, print and keep."""
    built, idled = build(), idle()
    print(show(built, idled))
    tools.keep("everyday", {"build": built, "idle": idled})
