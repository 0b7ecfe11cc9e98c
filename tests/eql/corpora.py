"""Where test material written by others lies, beside the checkout; tests skip with words where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CORPORA = SHARED / "corpora"


def corpus(name: str) -> Path:
    """Return a file or folder of the corpora, or skip the test."""
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"{name} is not part of the project and not at ../shared/corpora")
    return path
