"""The same scenario again and again: the same events, up to numbers that differ from run to run and to times; and each
time the same alerts live and on replay."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.engine import load_pack
from kestrel_lab.recording import Recording, open_recording
from kestrel_lab.schema.resources import resource
from kestrel_lab.session import diff_rules
from kestrel_lab.session.record_report import RecordOptions
from kestrel_lab.session.recording import record_from

from .support import Event, joining, kept_program, own_cgroup, rows_of

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
    "file.inode", "process.args", "process.command_line", "process.hash.sha256",
}  # fmt: skip
ENDINGS = (".pid", ".vpid", ".thread.id", "entity_id", ".args", ".command_line")


def plain(event: Event) -> dict[str, Any]:
    """Return what must be the same in every run; of numbers that a call gave, whether it failed and how."""
    kept = {name: value for name, value in event.items() if name not in DIFFER and not name.endswith(ENDINGS)}
    ret = event.get("kestrel.ret")
    return kept | {"failed": ret if ret is not None and ret < 0 else None}


def once(folder: Path, out: Path) -> Recording:
    """Record the scenario in a folder that is new each time, with the starter pack."""
    folder.mkdir()
    with own_cgroup() as cgroup:
        source = LiveSource(CaptureConfig(cgroup=cgroup), kept_program)
        command = joining(cgroup, "sh", "-c", SCRIPT, "sh", str(folder))
        report = record_from(source, out, load_pack([resource("rules")]), RecordOptions(command))
    shutil.rmtree(folder)
    assert report.engine_error is None
    assert report.command_exit == 0
    assert (report.ledger.lost_ring, report.ledger.recursion, len(report.skips)) == (0, 0, 0)
    return open_recording(out)


def test_ten_runs_of_one_scenario() -> None:
    """Hashes come from a thread that reads beside: what was read is the same, when it was may differ."""
    with tempfile.TemporaryDirectory() as name:
        runs, contents = [], []
        for number in range(RUNS):
            found = once(Path(name) / "work", Path(name) / f"{number}.krec")
            assert not found.gaps
            assert found.live_alerts, "the scenario raises some"
            assert diff_rules(found).equal
            events = sorted(
                (event for epoch in found.epochs() for event in rows_of(found.info, epoch)),
                key=lambda event: event["event.sequence"],
            )
            runs.append([plain(event) for event in events if event["event.action"] != b"content_hash"])
            contents.append({
                tuple(event.get(name) for name in ("file.path", "file.hash.sha256", "kestrel.content.role"))
                for event in events if event["event.action"] == b"content_hash"
            })  # fmt: skip
    actions = [event["event.action"] for event in runs[0]]
    for action in (b"exec_failed", b"kill", b"modification", b"disconnect_received", b"uid_change", b"unix_connect"):
        assert action in actions
    for other in runs[1:]:
        assert [event["event.action"] for event in other] == actions
        assert other == runs[0]
    assert all(digest for _, digest, _ in contents[0])
    assert contents == [contents[0]] * RUNS
