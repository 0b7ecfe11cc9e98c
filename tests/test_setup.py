"""`make setup` is silent and instant when nothing is missing, wherever it is called from; wheels are whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("bpf", "rules", "recordings")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up already, as far as the script can tell."""
    top = tmp_path / "check out"
    shutil.copytree(ROOT / "scripts", top / "scripts")
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, top / name)
    venv.create(top / ".venv", with_pip=False)
    sums = [f"{hashlib.sha256((top / n).read_bytes()).hexdigest()}  {n}" for n in ("pyproject.toml", "setup.py")]
    (top / ".venv" / ".setup-stamp").write_text("\n".join([str(top), *sums]) + "\n")
    return top


def test_a_second_call_is_silent_and_instant(checkout: Path) -> None:
    began = time.monotonic()
    done = subprocess.run([checkout / "scripts" / "setup"], cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 2


def test_make_works_from_another_directory(checkout: Path, tmp_path: Path) -> None:
    command = checkout / ".venv" / "bin" / "kestrel-lab"
    command.write_text('#!/bin/sh\necho "$PWD $*"\n')
    command.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}  # `make test` may be what runs this
    make = ["make", "-f", checkout / "Makefile", "demo"]
    done = subprocess.run(make, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout == f"{checkout} demo\n", done.stderr


def test_ci_runs_make_test() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"


@pytest.mark.slow
def test_a_wheel_carries_bpf_rules_and_recordings(tmp_path: Path) -> None:
    source = tmp_path / "source"
    hidden = shutil.ignore_patterns("__pycache__", "*.krec")
    for name in ("kestrel_lab", *SHIPPED):
        shutil.copytree(ROOT / name, source / name, ignore=hidden)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("kestrel_lab-*.whl")
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "-q", "--no-deps", wheel], check=True)
    own = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    ours = next((Path(sys.prefix) / "lib").glob("python*/site-packages"))
    (own / "dependencies.pth").write_text(f"{ours}\n")
    code = "from kestrel_lab.schema.resources import resource; import sys; print(resource(sys.argv[1]))"
    for kind in SHIPPED:
        found = subprocess.run([python, "-c", code, kind], cwd=tmp_path, capture_output=True, text=True, check=True)
        folder = Path(found.stdout.strip())
        assert folder == own / "kestrel_lab" / f"_{kind}"
        assert {p.name for p in folder.iterdir()} == {p.name for p in (source / kind).iterdir()}
    shown = subprocess.run([tmp_path / "env" / "bin" / "kestrel-lab", "--version"], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
