"""The tour of the README is run as it stands there, set-up apart: `make test` has done that."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tour() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## A five-minute tour")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S))


@pytest.mark.slow
def test_the_tour_works(tmp_path: Path) -> None:
    script = tour().replace("make setup\n", "").replace("mktemp -d", f"mktemp -d -p {tmp_path}")
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(set(re.findall(r"^digest ([0-9a-f]{64})$", done.stdout, re.M))) == 2, "the pack's and the own rule's"
    assert "configurations, one digest" in done.stdout
    assert "A file deleted by rm" in done.stdout
    assert re.search(r"^ok: ", done.stdout, re.M)
