"""The same scenario again and again: the same events, up to numbers that differ from run to run and to times."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from kestrel_lab.capture import CaptureConfig

from .support import Event, capture, joining, own_cgroup, run

RUNS = 10
SCRIPT = r"""
cd "$1"
echo one > a; echo two >> a; ln -s a b; ln a c; chmod 640 a; mv c d; rm b
printf '#!/bin/sh\nid > who\n' > run.sh; chmod +x run.sh; ./run.sh
./none 2>/dev/null
sh -c 'kill -CONT $PPID; exit 3'
python3 - <<'END'
import os, socket
with socket.create_server(("127.0.0.1", 0)) as server:
    client = socket.create_connection(server.getsockname())
    server.accept()[0].close()
    client.recv(1)
    client.close()
with socket.socket(socket.AF_UNIX) as named:
    named.connect_ex("/no/such")
os.close(os.memfd_create("m"))
if not os.fork():
    os.setresuid(1001, 1001, 1001)
    os._exit(0)
os.wait()
END
true
"""
#: what is another number, or another time, in each run
DIFFER = {
    "event.sequence", "ts", "kestrel.cpu", "process.entity_id", "event.duration", "kestrel.clock_ns", "kestrel.cgroup",
    "kestrel.executable.changed_ns", "kestrel.memory.address", "source.port", "destination.port", "kestrel.ret",
    "file.inode", "process.args", "process.command_line",
}  # fmt: skip
ENDINGS = (".pid", ".vpid", ".thread.id", "entity_id", ".args", ".command_line")


def plain(event: Event) -> dict[str, Any]:
    """Return what must be the same in every run; of numbers that a call gave, whether it failed and how."""
    kept = {name: value for name, value in event.items() if name not in DIFFER and not name.endswith(ENDINGS)}
    ret = event.get("kestrel.ret")
    return kept | {"failed": ret if ret is not None and ret < 0 else None}


def test_ten_runs_of_one_scenario() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, runs = Path(name) / "work", []
        for _ in range(RUNS):
            folder.mkdir()
            with own_cgroup() as cgroup:
                command = joining(cgroup, "sh", "-c", SCRIPT, "sh", str(folder))
                seen = capture(lambda s, c=command: run(s, *c), CaptureConfig(cgroup=cgroup))  # type: ignore[misc]
            assert (seen.ledger.lost_ring, seen.ledger.recursion, seen.gaps) == (0, 0, [])
            runs.append([plain(event) for event in seen.events()])
            shutil.rmtree(folder)
    actions = [event["event.action"] for event in runs[0]]
    for action in (b"exec_failed", b"kill", b"modification", b"disconnect_received", b"uid_change", b"unix_connect"):
        assert action in actions
    for other in runs[1:]:
        assert [event["event.action"] for event in other] == actions
        assert other == runs[0]
