"""What a recorder writes to the host is what `doctor --footprint` says: another recorder watches it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kestrel_lab.capture import CaptureConfig, footprint

from .support import capture, joining, own_cgroup, run

CHANGES = {b"creation", b"modification", b"rename", b"deletion", b"chmod", b"chown", b"setxattr", b"utimes", b"link",
           b"symlink", b"truncate", b"open"}  # fmt: skip


def test_recording_writes_the_recording_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "a.krec"
    command = [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(out), "--collect", "--keep", "1h"]
    subprocess.run([sys.executable, "-m", "kestrel_lab.cli.main", "doctor"], check=True, stdout=subprocess.DEVNULL)
    with own_cgroup() as cgroup:
        quiet = ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *command, "--", "/bin/true"]  # pytest's own files
        seen = capture(lambda s: run(s, *joining(cgroup, *quiet)), CaptureConfig(cgroup=cgroup))
    touched = {os.fsdecode(e["file.path"]) for e in seen.events() if e["event.action"] in CHANGES and "file.path" in e}
    inside = {path for path in touched if Path(path).is_relative_to(out)}
    assert str(out / "manifest.json.partial") in inside, "the recorder was watched"
    allowed = {one.where for one in footprint() if one.what in ("header files, merged as links", "Python's byte code")}
    outside = {p for p in touched - inside if not any(Path(p).is_relative_to(place) for place in allowed)}
    assert outside <= {"/dev/null", "/dev/tty", str(cgroup / "cgroup.procs")}


def test_byte_code_can_be_kept_away(tmp_path: Path) -> None:
    """A run that may not write byte code says that there is none to be written."""
    code = "from kestrel_lab.capture import footprint; print([o.there for o in footprint() if 'byte' in o.what])"
    done = subprocess.run([sys.executable, "-B", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[True]\n"
    moved = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    fresh = "import sys; sys.dont_write_bytecode = True; import kestrel_lab.capture as f; " \
            "sys.dont_write_bytecode = False; print([o.there for o in f.footprint() if 'byte' in o.what])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", fresh], check=True, capture_output=True, text=True, env=moved)
    assert done.stdout == "[False]\n"


def test_every_line_says_where_and_how_to_avoid_it() -> None:
    for one in footprint():
        assert one.where
        assert one.instead
        assert one.when
