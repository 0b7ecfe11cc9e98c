"""Where the shipped BPF sources, rules and recordings lie: inside the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent.parent


def resource(kind: Literal["bpf", "rules", "recordings"]) -> Path:
    """Return the folder of shipped files of one kind.

    Raises:
        FileNotFoundError: if the installation lacks it.
    """
    for folder in (_PACKAGE / f"_{kind}", _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the installation lacks its {kind} folder")
