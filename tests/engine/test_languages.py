"""Languages that bring further files: the pack holds them, the hash follows them, and none leaves its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.engine import load_pack, pack_from_files
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs import languages
from kestrel_lab.engine.packs.languages import Compiled, Language
from kestrel_lab.engine.packs.rulefile import RuleFile
from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema


def _attached(file: RuleFile) -> tuple[str, ...]:
    return (file.table["module"],)


def _compile(file: RuleFile, limits: Limits, schema: Schema) -> Compiled:
    program = compile_query(file.attached[file.table["module"]].decode(), schema=schema)
    return Compiled(program, lower_wasm(program))


@pytest.fixture(autouse=True)
def language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "LANGUAGES", {"beside": Language("module", _compile, _attached)})


def rule(module: str) -> bytes:
    return f'[rule]\nrule_id = "b"\nname = "B"\nseverity = "low"\nlanguage = "beside"\nmodule = "{module}"\n'.encode()


def test_further_files_are_part_of_the_pack(tmp_path: Path) -> None:
    (tmp_path / "deep" / "lib").mkdir(parents=True)
    (tmp_path / "deep" / "b.toml").write_bytes(rule("lib/code"))
    (tmp_path / "deep" / "lib" / "code").write_bytes(b"process where true")
    pack = load_pack([tmp_path])
    assert pack.files["deep/lib/code"] == b"process where true"
    assert pack.rules[0].program.stages[0].category == "process"
    assert pack_from_files(pack.files).hash == pack.hash
    (tmp_path / "deep" / "lib" / "code").write_bytes(b"file where true")
    assert load_pack([tmp_path]).hash != pack.hash


@pytest.mark.parametrize("name", ["/etc/passwd", "../code", "lib/../code", "./code", "", "absent"])
def test_a_file_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "code").write_bytes(b"process where true")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "b.toml").write_bytes(rule(name))
    with pytest.raises(RuleError):
        load_pack([tmp_path / "pack"])


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(RuleError, match="larger than"):
        pack_from_files({"b.toml": rule("code"), "code": bytes((1 << 20) + 1)})
