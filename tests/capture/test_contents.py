"""The thread that reads what was executed."""

from __future__ import annotations

import errno
import os
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kestrel_lab.capture.contents import Contents
from kestrel_lab.capture.executed import Wanted
from kestrel_lab.capture.made import FileFact
from kestrel_lab.capture.reading import Identity
from kestrel_lab.capture.records import WHO

NOBODY = np.zeros((), WHO)[()]


def image(path: Path, **more: Any) -> Wanted:
    """A file as the image of a process that has ended: only its path is left."""
    return Wanted(NOBODY, os.fsencode(path), True, more.pop("identity", None) or Identity.of(path.stat()), **more)


def script(path: Path, executed_ns: int) -> Wanted:
    return Wanted(NOBODY, os.fsencode(path), False, executed_ns=executed_ns)


def written(path: Path, data: bytes = b"content") -> Path:
    path.write_bytes(data)
    return path


def digest(data: bytes = b"content") -> bytes:
    return sha256(data).hexdigest().encode()


def results(contents: Contents, *wanted: Wanted) -> list[FileFact]:
    for one in wanted:
        contents.want(one)
    contents.start()
    contents.stop(20.0)
    return contents.facts()


class Kept:
    """Keeps contents in memory."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.all: dict[bytes, bytes] = {}
        self.begun = self.dropped = 0
        self._gate = gate

    def begin(self) -> _Blob:
        if self._gate:
            self._gate.wait()
        self.begun += 1
        return _Blob(self)


class _Blob:
    def __init__(self, kept: Kept) -> None:
        self._kept, self._data = kept, b""

    def write(self, chunk: bytes) -> None:
        self._data += chunk

    def keep(self, digest: bytes, size: int) -> bool:
        assert size == len(self._data)
        self._kept.all[digest] = self._data
        return True

    def drop(self) -> None:
        self._kept.dropped += 1


def test_an_image_is_hashed_and_told_of_once(tmp_path: Path) -> None:
    path = written(tmp_path / "file")
    contents = Contents()
    (fact,) = results(contents, image(path), image(path))
    assert list(fact.texts) == [os.fsencode(path), digest(), b"image"]
    assert (fact.number, fact.ret, fact.mark, fact.inode) == (7, 0, 0, path.stat().st_ino)
    assert contents.known(Identity.of(path.stat())) == digest()
    assert contents.facts() == []


def test_each_path_of_a_content_is_told_and_the_content_is_read_once(tmp_path: Path) -> None:
    one = written(tmp_path / "one")
    os.link(one, tmp_path / "two")
    contents, kept = Contents(), Kept()
    contents.keeper = kept
    now = time.time_ns()
    facts = results(contents, script(one, now), script(tmp_path / "two", now), script(one, now))
    assert [f.texts[0] for f in facts] == [os.fsencode(one), os.fsencode(tmp_path / "two")]
    assert {f.mark for f in facts} == {1}
    assert kept.all == {digest(): b"content"}
    assert kept.begun == 1


def test_a_file_that_is_not_the_one_that_was_executed_is_not_taken_for_it(tmp_path: Path) -> None:
    path, kept, contents = written(tmp_path / "file"), Kept(), Contents()
    contents.keeper = kept
    before = Identity.of(path.stat())
    moment = time.time_ns()
    time.sleep(0.02)
    path.write_bytes(b"another")
    facts = results(contents, image(path, identity=before), script(path, moment))
    assert [(f.ret, list(f.texts[1:]), f.number) for f in facts] == [
        (-errno.ESTALE, [b"", b"image"], None), (-errno.ESTALE, [b"", b"script"], None),
    ]  # fmt: skip
    assert contents.known(before) is None
    assert not kept.all


def test_a_path_of_other_mounts_is_not_followed_here(tmp_path: Path) -> None:
    path = written(tmp_path / "file")
    (fact,) = results(Contents(), image(path, near=False))
    assert fact.ret == -errno.ENOENT


@pytest.mark.parametrize(("limit", "code"), [(6, errno.EFBIG), (7, 0)])
def test_too_large(tmp_path: Path, limit: int, code: int) -> None:
    contents, kept = Contents(limit), Kept()
    contents.keeper = kept
    (fact,) = results(contents, image(written(tmp_path / "file")))
    assert fact.ret == -code
    assert kept.dropped == bool(code)


def test_a_failure_is_told_once_and_tried_again(tmp_path: Path) -> None:
    path = written(tmp_path / "file")
    gone = Wanted(NOBODY, os.fsencode(tmp_path / "later"), True, Identity.of(path.stat()))
    contents = Contents()
    contents.want(gone)
    contents.start()
    while not (facts := contents.facts()):
        time.sleep(0.001)
    assert [f.ret for f in facts] == [-errno.ENOENT]
    path.rename(tmp_path / "later")
    changed = Wanted(NOBODY, gone.path, True, Identity.of((tmp_path / "later").stat()))
    contents.want(gone)
    contents.want(changed)
    contents.stop(20.0)
    assert contents.facts()[-1].texts[1] == digest()


def test_an_epoch_waits_for_an_image_but_not_for_ever(tmp_path: Path) -> None:
    gate = threading.Event()
    contents = Contents()
    contents.keeper = Kept(gate)
    one, two = image(written(tmp_path / "one")), image(written(tmp_path / "two"))
    contents.want(one, 0.05)
    contents.start()
    contents.settle()  # comes back although nothing was read
    assert one.identity is not None
    assert contents.known(one.identity) is None
    contents.want(two, 60.0)
    threading.Timer(0.05, gate.set).start()
    contents.settle()
    assert two.identity is not None
    assert contents.known(two.identity) == contents.known(one.identity) == digest()
    contents.stop()


def test_an_image_that_is_executed_goes_before_those_that_run_already(tmp_path: Path) -> None:
    contents, gate = Contents(), threading.Event()
    contents.keeper = Kept(gate)
    images = [image(written(tmp_path / str(number), b"%d" % number)) for number in range(3)]
    for one in images:
        contents.want(one)
    contents.want(images[2], 60.0)
    contents.start()
    threading.Timer(0.05, gate.set).start()
    contents.settle()
    assert images[2].identity is not None
    assert contents.known(images[2].identity) == digest(b"2")
    contents.stop(20.0)
    assert len(contents.facts()) == 3


def test_an_image_under_another_name_is_told_and_not_read_again(tmp_path: Path) -> None:
    one = written(tmp_path / "one")
    os.link(one, tmp_path / "two")
    contents, kept = Contents(), Kept()
    contents.keeper = kept
    contents.want(image(one))
    contents.start()
    contents.stop(20.0)
    contents.want(image(tmp_path / "two"))
    contents.want(image(tmp_path / "two"))
    assert [f.texts[0] for f in contents.facts()] == [os.fsencode(tmp_path / name) for name in ("one", "two")]
    assert kept.begun == 1


def test_an_error_of_any_kind_ends_no_thread(tmp_path: Path) -> None:
    class Broken:
        def begin(self) -> Any:
            raise RuntimeError("no")

    contents = Contents()
    contents.keeper = Broken()
    contents.want(image(written(tmp_path / "one")), 60.0)
    contents.start()
    contents.settle()
    contents.keeper = None
    (fact,) = results(contents, image(written(tmp_path / "two", b"2")))[-1:]
    assert fact.texts[1] == digest(b"2")


def test_nobody_waits_for_what_is_not_urgent(tmp_path: Path) -> None:
    contents = Contents()
    contents.keeper = Kept(gate := threading.Event())
    contents.want(image(written(tmp_path / "file")))
    contents.start()
    contents.settle()
    gate.set()
    contents.stop(20.0)


def test_what_is_not_read_at_the_end_has_failed(tmp_path: Path) -> None:
    contents = Contents()
    contents.want(image(written(tmp_path / "file")))
    contents.stop(20.0)  # it was never started
    contents.start()
    assert [f.ret for f in contents.facts()] == [-errno.ETIMEDOUT]
