"""What is written is read back, to the last bit, in the open form and sealed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kestrel_lab.recording import RecordingWriter, open_recording
from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.build import DTYPES, ArrayRows, GrowingSegment
from kestrel_lab.schema.columns import COMMON_COLUMNS, TABLE_COLUMNS
from kestrel_lab.schema.epoch import Epoch, Gap
from kestrel_lab.schema.errors import DamagedError, UsageError
from kestrel_lab.schema.schema import BUILTIN
from tests.recording.support import LEDGER, assert_all_same, record, small, write
from tests.support.epochs import INFO, source

_TEXT = st.one_of(st.none(), st.just(b""), st.binary(max_size=6), st.sampled_from([b"/bin/sh", b"\xff\xfe", b"\0"]))


def _number(dtype: str) -> st.SearchStrategy[int]:
    info = np.iinfo(dtype)
    return st.one_of(st.integers(int(info.min), int(info.max)), st.sampled_from([int(info.min), int(info.max), 0]))


@st.composite
def _event(draw: st.DrawFn) -> dict[str, Any]:
    action = BUILTIN.action(draw(st.sampled_from([a.code for a in ACTIONS])))
    out: dict[str, Any] = {"table": action.table, "action": action.name, "pid": draw(st.integers(0, 3)),
                           "ppid": draw(st.integers(0, 3)), "name": draw(_TEXT), "executable": draw(_TEXT),
                           "start_ns": draw(_number("u8")), "args": draw(st.lists(_TEXT, max_size=3)),
                           "ts": draw(_number("u8")), "flags": draw(st.integers(0, 3))}  # fmt: skip
    for column in COMMON_COLUMNS[6:] + TABLE_COLUMNS[action.table]:
        if column.physical.coded:
            out[column.name] = draw(_TEXT)
        else:
            number = _number(DTYPES[column.physical])
            out[column.name] = draw(st.one_of(st.none(), number) if column.nullable else number)
    return out


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_event(), min_size=1, max_size=12), st.integers(1, 5), st.integers(1, 3))
def test_any_epochs_come_back(some: list[dict[str, Any]], rows: int, segment_epochs: int) -> None:
    stored = source(some, epoch_rows=rows, segment_epochs=segment_epochs).stored
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.krec"
        writer = write(path, stored)
        growing = open_recording(path)
        assert_all_same(growing.epochs(), stored)
        assert growing.end == "growing"
        writer.close(LEDGER)
        assert writer.unsealed == []
        # What was opened before sealing still reads, from the sealed files now.
        assert_all_same(growing.epochs(), stored)
        sealed = open_recording(path)
        assert sealed.end == "sealed"
        assert_all_same(sealed.epochs(), stored)


def test_a_recording_tells_what_it_is(tmp_path: Path) -> None:
    stored = small().stored
    head = record(tmp_path / "a.krec", stored, {"kernel": "6.18", 1: (2, 3)})  # type: ignore[dict-item]
    found = open_recording(tmp_path / "a.krec")
    assert (found.end, found.complete, found.head, found.ledger) == ("sealed", True, head, LEDGER)
    assert found.info == INFO
    assert found.missing == []
    assert found.manifest["facts"] == {"kernel": "6.18", "1": [2, 3]}
    assert found.manifest["head"] == head
    assert [s["seg"] for s in found.manifest["segments"]] == [0, 1, 2]
    assert [(e.number, e.segment, e.first_event_id, e.rows) for e in found.index] == [
        (e.number, e.segment.index, e.first_event_id, e.rows) for e in stored
    ]


def test_files_are_private_and_nothing_is_left_over(tmp_path: Path) -> None:
    record(tmp_path / "a.krec", small().stored)
    names = {p.relative_to(tmp_path / "a.krec").as_posix() for p in (tmp_path / "a.krec").rglob("*") if p.is_file()}
    assert not {n for n in names if n.endswith(".partial") or n in ("reserve", "lock")}
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in tmp_path.rglob("*") if p.is_file())


def test_epochs_start_anywhere(tmp_path: Path) -> None:
    stored = small(7, 3).stored
    record(tmp_path / "a.krec", stored)
    for start in range(9):
        assert_all_same(open_recording(tmp_path / "a.krec").epochs(start), stored[start:])


def test_lookups(tmp_path: Path) -> None:
    stored = small().stored
    record(tmp_path / "a.krec", stored)
    found = open_recording(tmp_path / "a.krec")
    for event_id in range(1, stored[-1].last_event_id + 1):
        at = found.at_id(event_id)
        assert stored[at].first_event_id <= event_id <= stored[at].last_event_id
    assert found.at_id(stored[-1].last_event_id + 1) == len(stored)
    assert [found.at_time(e.ts_min_ns) for e in stored] == [e.number for e in stored]
    assert found.at_time(0) == 0
    assert found.at_time(2**63) == len(stored)


def test_packs_and_gaps(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    files = {"rules/a.toml": b"a", "b.toml": b"\xff"}
    writer.add_pack(PackUse(0, "ab" * 32, (1, 2)), files)
    writer.add_pack(PackUse(5, "ab" * 32), files)
    gap = Gap("lost_ring", "exec", 1, 7, 3, 10, 20)
    writer.add_gaps([gap])
    writer.close(LEDGER)
    found = open_recording(tmp_path / "a.krec")
    assert found.packs == [(PackUse(0, "ab" * 32, (1, 2)), files), (PackUse(5, "ab" * 32), files)]
    assert found.gaps == [gap]
    assert list(found.epochs()) == []


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//b", "", "."])
def test_a_pack_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    with pytest.raises(UsageError, match="leave"):
        writer.add_pack(PackUse(0, "ab"), {name: b""})
    writer.close(LEDGER)


def test_a_changed_pack_is_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.krec", INFO)
    writer.add_pack(PackUse(0, "ab"), {"a.toml": b"x"})
    writer.close(LEDGER)
    (tmp_path / "a.krec/packs/ab/a.toml").write_bytes(b"y")
    with pytest.raises(DamagedError, match=r"a\.toml of pack ab is damaged"):
        _ = open_recording(tmp_path / "a.krec").packs


def test_what_lies_under_a_null_is_not_written(tmp_path: Path) -> None:
    secret = np.array([0x5EC2E7, 1], "u8")
    rows = ArrayRows("file", 2, {"event_id": np.array([1, 2], "u8"), "file.inode": secret},
                     {"file.inode": np.array([False, True])})  # fmt: skip
    epoch = Epoch(0, GrowingSegment(0), 1, 2, 0, 0, 0, 0, 0, {"file": rows}, {}, 1)
    writer = write(tmp_path / "a.krec", [epoch])
    for file in tmp_path.rglob("*.arrows"):
        assert bytes(secret[:1]) not in file.read_bytes()
    (found,) = open_recording(tmp_path / "a.krec").epochs()
    assert found.tables["file"].column("file.inode").tolist() == [0, 1]
    writer.close(LEDGER)


def test_the_folder_must_be_new(tmp_path: Path) -> None:
    path = tmp_path / "a.krec"
    writer = RecordingWriter(path, INFO)
    with pytest.raises(UsageError, match="another recorder"):
        RecordingWriter(path, INFO)
    writer.close(LEDGER)
    with pytest.raises(UsageError, match="exists"):
        RecordingWriter(path, INFO)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        RecordingWriter(tmp_path / "file" / "b.krec", INFO)


def test_epochs_come_in_order(tmp_path: Path) -> None:
    stored = small().stored
    writer = write(tmp_path / "a.krec", stored[:2])
    with pytest.raises(ValueError, match="epoch 1 after epoch 1"):
        writer.commit(stored[1])
    writer.close(LEDGER)
