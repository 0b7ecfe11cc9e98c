"""The engine build: a hash of all code that can change answers."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

ENGINE_VERSION = 1

_PACKAGE = Path(__file__).resolve().parent.parent
_LAYERS = ("engine", "eql", "schema")
_LIBRARIES = ("ahocorasick_rs", "google-re2", "lark", "lupa", "numpy", "wasmtime")


@cache
def engine_build() -> str:
    """Return the sha256 (hex) of the sources of schema, compiler and engine and of the versions they rest on."""
    out = sha256(f"{ENGINE_VERSION}\n".encode())
    for name in _LIBRARIES:
        out.update(f"{name} {version(name)}\n".encode())
    for layer in _LAYERS:
        for path in sorted((_PACKAGE / layer).rglob("*")):
            if path.suffix in (".py", ".lark", ".lua", ".wat"):
                data = path.read_bytes()
                out.update(f"{path.relative_to(_PACKAGE).as_posix()} {len(data)}\n".encode() + data)
    return out.hexdigest()
