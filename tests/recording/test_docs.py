"""The format's text names all that the code writes."""

from __future__ import annotations

import json
from pathlib import Path

from kestrel_lab.recording import AlertLog, RecordingWriter, pack
from kestrel_lab.recording.layout import MAJOR, MINOR
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.epoch import Gap
from tests.recording.support import LEDGER, small
from tests.support.epochs import INFO

_TEXT = (Path(__file__).parents[2] / "docs" / "recording-format.md").read_text()


def test_every_file_and_every_key_is_described(tmp_path: Path) -> None:
    path = tmp_path / "a.krec"
    writer = RecordingWriter(path, INFO)
    writer.add_pack(PackUse(0, "ab"), {"x": b""})
    for epoch in small().stored:
        writer.commit(epoch)
    writer.add_gaps([Gap("lost_ring", "x", 0, 1, 1, 1, 1)])
    writer.note_missing((7, 8), (25, 28), "a test")
    log = AlertLog(path)
    log.progress(1)
    log.close()
    names = {p.name for p in path.rglob("*")}
    writer.close(LEDGER)
    pack(path, tmp_path / "a.krec.tar.zst")
    names |= {p.name for p in path.rglob("*") if p.parent.name != "ab"}
    for name in names - {"ab", "x"}:
        assert name.isdigit() or name.endswith(".partial") or name in _TEXT, name
    lines = [json.loads(line[33:]) for line in (path / "journal").read_text().splitlines()]
    keys = {record["k"] for record in lines} | {key for record in lines for key in record if key != "k"}
    seal = json.loads((path / "segments/000000/seal.json").read_bytes())
    keys |= set(seal) | set(seal["files"]["file"]) | set(json.loads((path / "manifest.json").read_bytes()))
    assert {key for key in keys if f"`{key}`" not in _TEXT} == set()


def test_the_version() -> None:
    assert f"version {MAJOR}.{MINOR}" in _TEXT.splitlines()[0]
