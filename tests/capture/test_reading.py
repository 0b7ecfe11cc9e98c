"""Files that were executed are read: the very ones or none, without a trace."""

from __future__ import annotations

import errno
import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from kestrel_lab.capture.reading import CHUNK, Identity, opened, read_content


def name(path: Path) -> bytes:
    return os.fsencode(path)


def read(path: Path, limit: int = 1 << 30, take=lambda _: None) -> tuple[bytes, int]:
    with opened(name(path)) as fd:
        return read_content(fd, limit, take)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
def test_a_file_is_read_whole_and_leaves_no_trace(tmp_path: Path, size: int) -> None:
    path, data, chunks = tmp_path / "file", os.urandom(size), []
    path.write_bytes(data)
    os.utime(path, ns=(10**9, 2 * 10**9))
    before = path.stat()
    assert read(path, size, chunks.append) == (sha256(data).hexdigest().encode(), size)
    assert b"".join(chunks) == data
    assert path.stat().st_atime_ns == before.st_atime_ns == 10**9
    assert Identity.of(path.stat()) == Identity.of(before)


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    path, chunks = tmp_path / "file", []
    path.write_bytes(b"12345")
    with pytest.raises(OSError, match="too large") as failed:
        read(path, 4, chunks.append)
    assert failed.value.errno == errno.EFBIG
    assert not chunks


def test_what_grows_beyond_the_limit_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1" * CHUNK)

    def grow(chunk: bytes) -> None:
        with open(path, "ab") as file:
            file.write(chunk)

    with pytest.raises(OSError, match="too large") as failed:
        read(path, 3 * CHUNK, grow)
    assert failed.value.errno == errno.EFBIG


def test_what_changes_meanwhile_is_not_what_was_executed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def change(_: bytes) -> None:
        time.sleep(0.02)  # a tick of the clock that files are stamped with
        with open(path, "r+b") as file:
            file.write(b"after.")

    with pytest.raises(OSError, match="changed") as failed:
        read(path, take=change)
    assert failed.value.errno == errno.ESTALE


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="regular") as failed:
            read(path)
        assert failed.value.errno == errno.EINVAL
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


def test_links_do_not_lead_out_of_a_root(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    (root / "etc").mkdir(parents=True)
    secret.write_bytes(b"outside")
    (root / "etc/script").write_bytes(b"inside")
    (root / "absolute").symlink_to("/etc/script")
    (root / "climbing").symlink_to("../../../../etc/script")
    (root / "out").symlink_to(secret)
    (root / "magic").symlink_to("/proc/self/root/etc/passwd")
    with opened(name(root)) as folder:
        for link in (b"/absolute", b"absolute", b"/climbing", b"/../etc/script"):
            with opened(link, folder) as fd:
                assert read_content(fd, 100, lambda _: None)[0] == sha256(b"inside").hexdigest().encode()
        for link in (b"/out", b"/magic", b"/nowhere"):
            with pytest.raises(FileNotFoundError), opened(link, folder):
                pass


def test_an_identity_is_of_a_file_and_its_state(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"one")
    one = Identity.of(path.stat())
    assert one.same_file(Identity(one.device + 1, one.inode, one.changed_ns))
    assert not one.same_file(Identity.of(other.stat()))
    time.sleep(0.02)
    path.write_bytes(b"two")
    os.utime(path, (0, 0))  # the time of modification can be set back, the time of change cannot
    assert not one.same_file(Identity.of(path.stat()))
