"""Contents of executed files inside a recording."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.recording import Recording, RecordingWriter, open_recording, pack, read_content, repair, unpack, verify
from kestrel_lab.recording.contents import ContentStore
from kestrel_lab.recording.files import Appender
from kestrel_lab.recording.journal import JournalWriter
from kestrel_lab.schema.errors import DamagedError, LimitError
from tests.recording.support import LEDGER
from tests.support.epochs import INFO


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def keep(writer: RecordingWriter | ContentStore, *chunks: bytes) -> bool:
    content = writer.begin()
    for chunk in chunks:
        content.write(chunk)
    whole = b"".join(chunks)
    return content.keep(digest(whole).encode(), len(whole))


def recording(path: Path, *contents: bytes) -> Recording:
    writer = RecordingWriter(path, INFO)
    assert all(keep(writer, content) for content in contents)
    writer.close(LEDGER)
    return open_recording(path)


def stored(found: Recording) -> dict[str, bytes]:
    return {name: b"".join(read_content(found, name)) for name in found.contents}


@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.binary(max_size=4_000), max_size=8))
def test_what_was_kept_is_given_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    found = recording(tmp_path_factory.mktemp("contents") / "a.krec", b"".join(chunks), b"other")
    assert stored(found) == {digest(data): data for data in (b"".join(chunks), b"other")}
    assert verify(found.path).ok


def test_it_is_kept_once_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    found = recording(tmp_path / "a.krec", b"same", b"same")
    folder = found.root / "contents"
    assert [p.name for p in folder.iterdir()] == [digest(b"same") + ".zst"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert next(folder.iterdir()).stat().st_mode & 0o777 == 0o600
    assert found.contents == {digest(b"same"): 4}


def test_copies_have_it(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    found = recording(tmp_path / "a.krec", data)
    assert repair(found.path, tmp_path / "b.krec") == []
    unpack(pack(found.path, tmp_path / "c.krec.tar.zst"), tmp_path / "c.krec")
    for copy in ("b.krec", "c.krec", "c.krec.tar.zst"):
        assert stored(open_recording(tmp_path / copy)) == {digest(data): data}
        assert verify(tmp_path / copy).ok


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "is not what was stored"),
        (lambda path: path.write_bytes(b"no zstandard"), "is damaged"),
        (lambda path: path.write_bytes(b""), "is not what was stored"),
    ],
)
def test_damage_is_found_and_costs_nothing_else(tmp_path: Path, harm, what: str) -> None:
    found = recording(tmp_path / "a.krec", b"good", b"a content to be harmed")
    harm(found.root / "contents" / f"{digest(b'a content to be harmed')}.zst")
    (damage,) = verify(found.path).damage
    assert what in damage.reason
    with pytest.raises(DamagedError, match=what):
        list(read_content(found, digest(b"a content to be harmed")))
    (lost,) = repair(found.path, tmp_path / "b.krec")
    assert what in lost.reason
    assert stored(open_recording(tmp_path / "b.krec")) == {digest(b"good"): b"good"}
    assert verify(tmp_path / "b.krec").ok


def store(tmp_path: Path, budget: int) -> ContentStore:
    return ContentStore(tmp_path, JournalWriter(tmp_path / "journal"), budget)


def files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "contents").iterdir())


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    small = store(tmp_path, 10)
    assert keep(small, b"12345", b"6")
    assert not keep(small, b"abcde"), "only 4 bytes are left"
    assert keep(small, b"abcd")
    assert keep(small, b"123456"), "it is there already"
    assert files(tmp_path) == sorted(f"{digest(d)}.zst" for d in (b"123456", b"abcd"))


def test_a_full_disk_keeps_nothing_and_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = store(tmp_path, 1 << 30)

    def refuse(*_: object) -> None:
        raise LimitError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Appender, "append", refuse)
        assert not keep(full, b"unlisted")
    assert keep(full, b"then there is room")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    assert not keep(full, b"lost")
    assert files(tmp_path) == [f"{digest(b'then there is room')}.zst"]


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    closing = store(tmp_path, 1 << 30)
    late = closing.begin()
    late.write(b"late")
    closing.close()
    assert files(tmp_path) == []
    late.write(b"r")
    assert not late.keep(digest(b"later").encode(), 5)
    assert files(tmp_path) == []
