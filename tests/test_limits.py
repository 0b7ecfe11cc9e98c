"""docs/limits.md gives every limit its value, and nothing compiled is ever stored."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from wasmtime import Module

from kestrel_lab.engine import Limits
from kestrel_lab.engine import limits as engine_limits
from kestrel_lab.eql import limits as eql_limits
from tests.engine.support import MODES, QUERIES, random_events, run
from tests.engine.user_modules import EITHER, pack_with
from tests.support.epochs import source

DOCUMENT = Path(__file__).parents[1] / "docs" / "limits.md"
INTERNAL = {"MAX_CALLS", "MAX_ROWS", "HOST_FRAME_BYTES"}  # no limits of a rule


def numbers(module: ModuleType) -> dict[str, int]:
    found = {name: value for name, value in vars(module).items() if name.isupper() and name not in INTERNAL}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def test_the_page_lists_every_limit_with_its_value() -> None:
    listed = {name: int(value) for name, value in re.findall(r"^\| `([\w.]+)` \| (\d+) \|", DOCUMENT.read_text(), re.M)}
    ours = {f"Limits.{name}": value for name, value in asdict(Limits()).items()}
    assert listed == {**numbers(eql_limits), **numbers(engine_limits), **ours}


def test_compiled_code_is_neither_stored_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("compiled code was stored or read")

    for name in ("serialize", "deserialize", "deserialize_file"):
        monkeypatch.setattr(Module, name, fail)
    monkeypatch.setattr("wasmtime.Config.cache", property(None, fail))
    for mode in MODES:
        assert run(pack_with({"m": EITHER}, QUERIES), source(random_events(1, 30)), mode)
