"""Versions, unknown keys, and manifests that are not what they were."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.recording import open_recording, pack, repair
from kestrel_lab.schema.errors import DamagedError, IncompatibleError, PermissionMissingError, UsageError
from kestrel_lab.schema.lock import fingerprint
from kestrel_lab.schema.schema import BUILTIN
from tests.recording.support import assert_all_same, record, small


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "a.krec", small().stored)
    return tmp_path / "a.krec"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((path / "manifest.json").read_bytes())
    edit(data)
    (path / "manifest.json").write_text(json.dumps(data))


def test_a_newer_major_version_is_refused(path: Path) -> None:
    change(path, lambda m: m["format"].update(major=2, minor=7))
    with pytest.raises(IncompatibleError, match=r"format 2\.7; this version reads 1\.x") as found:
        open_recording(path)
    assert found.value.exit_code == 3


def test_a_newer_minor_version_is_read(path: Path) -> None:
    change(path, lambda m: m["format"].update(minor=99))
    assert_all_same(open_recording(path).epochs(), small().stored)


def test_another_schema_is_refused_with_both_named(path: Path) -> None:
    change(path, lambda m: m["schema"].update(fingerprint="00ff"))
    with pytest.raises(IncompatibleError, match=f"schema 00ff; this version has {BUILTIN.fingerprint}") as found:
        open_recording(path)
    assert found.value.exit_code == 3


def test_unknown_keys_are_kept(path: Path, tmp_path: Path) -> None:
    change(path, lambda m: m.update(colour={"deep": [1, None]}))
    assert open_recording(path).manifest["colour"] == {"deep": [1, None]}
    repair(path, tmp_path / "b.krec")
    assert open_recording(tmp_path / "b.krec").manifest["colour"] == {"deep": [1, None]}


def test_a_manifest_cut_anywhere(path: Path) -> None:
    data = (path / "manifest.json").read_bytes().rstrip()
    for size in range(0, len(data), 13):
        (path / "manifest.json").write_bytes(data[:size])
        with pytest.raises(DamagedError, match="manifest is cut or damaged") as found:
            open_recording(path)
        assert found.value.exit_code == 3


def test_a_missing_manifest(path: Path, tmp_path: Path) -> None:
    (path / "manifest.json").unlink()
    with pytest.raises(DamagedError, match="manifest is missing"):
        open_recording(path)
    with pytest.raises(UsageError, match="no recording"):
        open_recording(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        open_recording(tmp_path / "nothing")


@pytest.mark.parametrize("section", ["source", "facts"])
def test_what_rules_can_see_cannot_be_changed(path: Path, section: str) -> None:
    change(path, lambda m: m[section].update(host={"host.name": "another"}))
    with pytest.raises(DamagedError, match=f"section '{section}' is not what was recorded"):
        open_recording(path)


def test_the_schema_lies_beside_it(path: Path) -> None:
    assert fingerprint(json.loads((path / "schema.json").read_bytes())) == BUILTIN.fingerprint


def test_another_users_recording() -> None:
    """Root may read everything, so a child becomes somebody else."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: its parents are closed to others
        Path(folder).chmod(0o755)
        path = Path(folder) / "a.krec"
        record(path, small().stored)
        packed = pack(path, Path(folder) / "a.krec.tar.zst")
        pid = os.fork()
        if not pid:
            os._exit(_refused_to_others([path, packed]))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2


def _refused_to_others(paths: list[Path]) -> int:
    refused = 0
    try:
        os.setuid(65534)
        for path in paths:
            with pytest.raises(PermissionMissingError, match="as the user who recorded it"):
                open_recording(path)
            refused += 1
    finally:
        return refused  # noqa: B012 - a forked child must not run the rest of the tests
