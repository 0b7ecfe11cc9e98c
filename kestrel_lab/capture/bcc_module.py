"""Finding the real `bcc`: PyPI's package of that name is a lattice library and owns the module name."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Literal

from kestrel_lab.schema.errors import UnavailableError

MEND = "apt-get install python3-bpfcc, then make setup (it gives the system's bcc to the virtual environment)"
MEND_IMPOSTOR = "pip uninstall bcc, then apt-get install python3-bpfcc and make setup"


def locate_bcc() -> tuple[Literal["real", "impostor", "missing"], str]:
    """Say which `bcc` Python would import, without importing it, and where it lies.

    The real one carries `libbcc.py`, the bindings to libbcc.
    """
    spec = importlib.util.find_spec("bcc")
    if spec is None:
        return "missing", ""
    folders = [Path(p) for p in spec.submodule_search_locations or ()]
    if any((folder / "libbcc.py").is_file() for folder in folders):
        return "real", str(folders[0])
    return "impostor", spec.origin or str(folders[0] if folders else "bcc")


def import_bcc() -> ModuleType:
    """Return the real `bcc`.

    Raises:
        UnavailableError: if it is missing, an impostor, or its library does not load.
    """
    kind, place = locate_bcc()
    if kind == "missing":
        raise UnavailableError("Python finds no bcc", do=MEND)
    if kind == "impostor":
        raise UnavailableError(
            "the bcc that Python finds is PyPI's package of that name, which has nothing to do with BPF",
            where=place, do=MEND_IMPOSTOR,
        )  # fmt: skip
    try:
        return importlib.import_module("bcc")
    except (ImportError, OSError) as error:
        raise UnavailableError("bcc does not load", where=place, detail=str(error), do=MEND) from error
