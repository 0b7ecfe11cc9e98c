"""Sealed files are plain Arrow files that others can read, and a small storm fits its budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kestrel_lab.recording import open_recording
from kestrel_lab.recording.decode import BatchColumns, MalformedError, dictionary_values
from kestrel_lab.recording.seal import BATCH_ROWS
from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.schema import BUILTIN
from tests.recording.support import events, record, small
from tests.support.epochs import source


def _open(path: Path) -> pa.RecordBatchFileReader:
    return pa.ipc.open_file(pa.py_buffer(path.read_bytes()))


def storm(epochs: int, rows: int) -> list[Epoch]:
    """Opens for writing of 500 files, as the kernel would report them."""
    chance = np.random.default_rng(7)
    segment = GrowingSegment(0)
    segment.entities.add({"pid": 7, "entity_id": bytes(range(16))})
    paths = segment.strings("file:file.path").codes(b"/tmp/storm/d%d/f%d" % (i % 9, i) for i in range(500))
    success = segment.strings("file:event.outcome").code(b"success")
    out, ts = [], 10**12
    for number in range(epochs):
        stamps = ts + np.cumsum(chance.integers(2000, 6000, rows)).astype("u8")
        ids = np.arange(1 + number * rows, 1 + (number + 1) * rows, dtype="u8")
        pick = chance.integers(0, 500, rows)
        columns = {"event_id": ids, "ts_boot_ns": stamps, "action": np.full(rows, 11, "u1"),
                   "cpu": chance.integers(0, 2, rows).astype("u2"), "entity": np.ones(rows, "u4"),
                   "process.thread.id": np.full(rows, 7, "u4"), "event.outcome": np.full(rows, success, "i4"),
                   "file.path": paths[pick], "file.inode": (pick + 10**6).astype("u8"),
                   "file.Ext.device": np.full(rows, 64, "u4"),
                   "file.Ext.open_flags": np.full(rows, 0o1101, "u4")}  # fmt: skip
        out.append(Epoch(number, segment, int(ids[0]), rows, int(stamps[0]), int(stamps[-1]), ts if number else 0, 0, 0,
                         {"file": ArrayRows("file", rows, columns)}, segment.string_counts(), 2))  # fmt: skip
        ts = int(stamps[-1])
    return out


def test_a_storm_takes_few_bytes_an_event(tmp_path: Path) -> None:
    stored = storm(20, 10_000)
    record(tmp_path / "a.krec", stored)
    size = sum(p.stat().st_size for p in (tmp_path / "a.krec").rglob("*") if p.is_file())
    assert size / 200_000 < 12
    found = [int(e.tables["file"].column("ts_boot_ns")[-1]) for e in open_recording(tmp_path / "a.krec").epochs()]
    assert found == [e.ts_max_ns for e in stored]


def test_others_can_read_it(tmp_path: Path) -> None:
    stored = storm(20, 10_000)
    record(tmp_path / "a.krec", stored)
    reader = _open(tmp_path / "a.krec/segments/000000/file.arrow")
    sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
    assert all(BATCH_ROWS <= size < BATCH_ROWS + 65_536 for size in sizes[:-1])
    assert sum(sizes) == 200_000
    assert reader.schema.metadata[b"fingerprint"] == BUILTIN.fingerprint.encode()
    left_out = {c.name for c in BUILTIN.columns_of("file")} - set(reader.schema.names)
    assert {"user.id", "process.thread.capabilities.effective", "file.Ext.original.path"} <= left_out
    assert not left_out & {"event_id", "ts_boot_ns", "action", "entity", "file.path", "file.inode"}
    batch = reader.get_batch(0)
    paths = batch.column("file.path")
    assert paths.type == pa.dictionary(pa.int32(), pa.binary())
    assert paths.dictionary[0].as_py() is None
    assert paths[0].as_py().startswith(b"/tmp/storm/")
    ids = np.cumsum(batch.column("event_id").to_numpy())
    assert ids.tolist() == list(range(1, len(ids) + 1))


def test_codes_of_missing_values_are_null_to_others(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small(9, 9).stored)
    values = _open(tmp_path / "a.krec/segments/000000/file.arrow").read_all().column("event.outcome").to_pylist()
    assert set(values) == {None, b""}
    entities = _open(tmp_path / "a.krec/segments/000000/entity.arrow").read_all()
    assert entities.column("args").to_pylist()[:2] == [[], [b"a", b"", b"0"]]
    assert entities.column("executable").to_pylist()[0] is None


def test_our_decoder_agrees_with_arrows(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", source(events(120), epoch_rows=10).stored)
    for file in (tmp_path / "a.krec/segments/000000").glob("*.arrow"):
        columns = {c.name: c for c in BUILTIN.columns_of(file.stem)}
        reader = _open(file)
        here = open_recording(tmp_path / "a.krec")
        seal = next(iter(here.journal.seals.values()))
        assert seal.files[file.name] == file.stat().st_size
        batch = reader.get_batch(0)
        message = memoryview(batch.serialize())
        found = BatchColumns(message, tuple(columns[name] for name in batch.schema.names))
        for name in batch.schema.names:
            array = batch.column(name)
            if isinstance(array, pa.ListArray):
                offsets, codes = found.lists(name)
                assert offsets.tolist() == array.offsets.to_pylist()
                assert codes.tolist() == array.values.indices.to_pylist()
            elif isinstance(array, pa.DictionaryArray):
                assert found.column(name).tolist() == array.indices.to_pylist()
            elif not columns[name].delta and array.type != pa.binary(16):
                assert found.column(name).tolist() == array.fill_null(0).to_pylist()
                valid = found.valid(name)
                assert (valid is None) == (array.null_count == 0)
                assert valid is None or valid.tolist() == array.is_valid().to_pylist()


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, bytes(64), b"\xff\xff\xff\xff" + bytes(60)])
def test_no_message(data: bytes) -> None:
    with pytest.raises(MalformedError):
        BatchColumns(memoryview(data), BUILTIN.columns_of("file"))
    with pytest.raises(MalformedError):
        dictionary_values(memoryview(bytes(8) + data))


def test_a_batch_of_other_columns() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1])], names=["x"])
    with pytest.raises(MalformedError, match="other columns"):
        BatchColumns(memoryview(batch.serialize()), ())
