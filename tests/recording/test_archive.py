"""A recording as one file, there and back."""

from __future__ import annotations

import gc
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import zstandard

from kestrel_lab.recording import open_recording, pack, unpack, verify
from kestrel_lab.schema.errors import DamagedError, UsageError
from tests.recording.support import LEDGER, abandon, assert_all_same, record, small, write


def _files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    record(tmp_path / "a.krec", small().stored)
    return pack(tmp_path / "a.krec", tmp_path / "a.krec.tar.zst")


def test_there_and_back(packed: Path, tmp_path: Path) -> None:
    out = unpack(packed, tmp_path / "b.krec")
    assert _files(out) == _files(tmp_path / "a.krec")
    assert packed.stat().st_mode & 0o777 == 0o600
    assert (out / "manifest.json").stat().st_mode & 0o777 == 0o600
    assert verify(out).ok


def test_the_same_bytes_every_time(packed: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "a.krec").rglob("*"):
        os.utime(file, (1, 1))
    assert pack(tmp_path / "a.krec", tmp_path / "again").read_bytes() == packed.read_bytes()


def test_every_reader_reads_it(packed: Path) -> None:
    found = open_recording(packed)
    assert found.path == packed
    assert_all_same(found.epochs(), small().stored)
    assert verify(packed).ok
    folder = found.root
    assert folder.exists()
    found.close()
    assert not folder.exists()


def test_the_temporary_folder_goes_with_the_object(packed: Path) -> None:
    found = open_recording(packed)
    folder = found.root
    assert folder.stat().st_mode & 0o777 == 0o700
    del found
    assert not folder.exists()


def test_a_cut_recording_travels_too(tmp_path: Path) -> None:
    stored = small(4, 2).stored
    path = abandon(tmp_path / "whole.krec", stored, tmp_path / "cut.krec")
    found = open_recording(pack(path, tmp_path / "cut.krec.tar.zst"))
    assert found.end == "cut"
    assert_all_same(found.epochs(), stored)


def test_a_growing_one_does_not(tmp_path: Path) -> None:
    writer = write(tmp_path / "a.krec", small().stored)
    with pytest.raises(UsageError, match="growing"):
        pack(tmp_path / "a.krec", tmp_path / "a.krec.tar.zst")
    writer.close(LEDGER)


def test_targets_must_be_new(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        pack(tmp_path / "a.krec", packed)
    with pytest.raises(UsageError, match="exists"):
        unpack(packed, tmp_path / "a.krec")


def test_any_changed_or_missing_byte(packed: Path, tmp_path: Path) -> None:
    data = packed.read_bytes()
    for at in range(0, len(data), 101):
        bad = bytearray(data)
        bad[at] ^= 0x10
        packed.write_bytes(bad)
        try:
            same, code = unpack(packed, tmp_path / "b.krec"), None
        except (DamagedError, UsageError) as error:
            same, code = None, error.exit_code
        if same is None:
            assert code == (2 if at < 4 else 3)
        else:  # a bit that says nothing: some of zstd's are unused, or of a code that nothing is written in
            assert _files(same) == _files(tmp_path / "a.krec")
            shutil.rmtree(same)
        packed.write_bytes(data[:at])
        with pytest.raises((DamagedError, UsageError)):
            open_recording(packed)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.krec", "a.krec.tar.zst"]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_frame_that_lacks_its_last_bytes_is_cut(packed: Path, tmp_path: Path, cut: int) -> None:
    packed.write_bytes(packed.read_bytes()[:-cut])
    with pytest.raises(DamagedError, match="it is cut"):
        unpack(packed, tmp_path / "b.krec")


def test_what_follows_the_frame_is_damage(packed: Path, tmp_path: Path) -> None:
    packed.write_bytes(packed.read_bytes() + b"x")
    with pytest.raises(DamagedError, match="something follows"):
        unpack(packed, tmp_path / "b.krec")


def _tar(members: list[tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return zstandard.compress(out.getvalue())


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a//../evil"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(_tar([tarfile.TarInfo(name)]))
    with pytest.raises(DamagedError):
        unpack(tmp_path / "x", tmp_path / "in" / "b.krec")
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "in" / "b.krec").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_plain_files_only(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("a")
    member.type, member.linkname = kind, "/etc/passwd"
    (tmp_path / "x").write_bytes(_tar([member]))
    with pytest.raises(DamagedError, match="no plain file"):
        unpack(tmp_path / "x", tmp_path / "b.krec")


def test_some_other_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(UsageError, match="no packed recording"):
        open_recording(tmp_path / "x")
    with pytest.raises(UsageError, match="does not exist"):
        unpack(tmp_path / "y", tmp_path / "b.krec")


def test_epochs_outlive_the_recording_they_came_from(packed: Path) -> None:
    epochs = list(open_recording(packed).epochs())
    gc.collect()
    assert_all_same(epochs, small().stored)
