"""Figures of a recorder that runs, and the unit that lets it run as a service."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kestrel_lab.cli.commands.record import command
from kestrel_lab.cli.metrics import serving
from kestrel_lab.schema.epoch import Ledger
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.session import RecordProgress

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "scripts/kestrel-lab.service"
NOW = RecordProgress(
    seconds=2.5, events=7, events_per_s=3, lost=1, alerts=2, bytes=4096, written=7,
    sources={"file0": Ledger(seen=9, filtered=1, lost_ring=1, received=7)},
    hooks={"sys_exit": True, "sys_enter": False}, expired=3, epochs_behind=4,
)  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def fetched(port: int) -> dict[tuple[str, ...], float]:
    """Return the samples as an OpenMetrics reader understands them."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, *dict(sorted(s.labels.items())).values()): s.value for family in families for s in family.samples}


def test_figures_are_those_of_the_last_progress() -> None:
    port = free_port()
    with serving(port) as told:
        assert fetched(port) == {}
        told(NOW)
        found = fetched(port)
    assert found["kestrel_events_total", "seen", "file0"] == 9
    assert found["kestrel_events_total", "lost_ring", "file0"] == 1
    assert found["kestrel_hook_attached", "sys_exit"] == 1
    assert found["kestrel_hook_attached", "sys_enter"] == 0
    assert found["kestrel_events_written_total",] == 7
    assert found["kestrel_alerts_total",] == 2
    assert found["kestrel_segments_expired_total",] == 3
    assert found["kestrel_recording_bytes",] == 4096
    assert found["kestrel_rules_up",] == 1
    assert found["kestrel_rules_epochs_behind",] == 4
    with pytest.raises(OSError, match="refused"):
        fetched(port)


def test_every_metric_is_in_the_documentation_and_none_else() -> None:
    port = free_port()
    with serving(port) as told:
        told(NOW)
        names = {name for name, *_ in fetched(port)}
    table = (ROOT / "docs/running.md").read_text().partition("## Figures")[2]
    assert set(re.findall(r"`(kestrel_[a-z_]+)", table)) == names


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        with pytest.raises(UsageError, match=f"port {port}"), serving(port):
            pass


def start_of_unit() -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.M)
    return shlex.split(line)


def test_the_units_command_is_one() -> None:
    _, name, *options = start_of_unit()
    assert name == "record"
    assert command.make_context("record", options).params["keep"] == 7200


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd to check the unit with")
def test_the_unit_is_sound(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(start_of_unit()[0], sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    own = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not own
    assert done.returncode == 0, done.stderr
