from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.schema.columns import FLAG_RACED, FLAG_RELATIVE_PATH, FLAG_TRUNCATED_PATH
from kestrel_lab.schema.epoch import Epoch

from .support import Event, Seen, capture, run

NAMES = ["plain", "with space", "new\nline", "not-utf8-\udcff\udcfe", "-dash", "tab\there", "ü", "x" * 255]


def python(source: LiveSource, code: str, *args: str) -> list[Epoch]:
    """Run code in a process of its own (the recorder's own file acts are filtered), polling the while."""
    return run(source, sys.executable, "-c", "import os, sys\n" + code, *args)


def files(seen: Seen, folder: Path) -> list[Event]:
    below = bytes(folder)
    return [e for e in seen.events() if below in e.get("file.path", b"") + e.get("file.Ext.original.path", b"")]


def acts(events: Sequence[Event]) -> list[tuple[bytes, bytes]]:
    return [(e["event.action"], e["file.path"]) for e in events]


@pytest.mark.parametrize("name", NAMES, ids=[ascii(n)[:20] for n in NAMES])
def test_a_files_life(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    new = tmp_path / "renamed"
    code = """
p, new = (os.fsencode(a) for a in sys.argv[1:])
fd = os.open(p, os.O_CREAT | os.O_WRONLY, 0o600)
print(os.fstat(fd).st_ino, os.fstat(fd).st_dev); os.close(fd)
os.close(os.open(p, os.O_RDONLY))
os.close(os.open(p, os.O_RDWR | os.O_APPEND))
os.rename(p, new)
os.unlink(new)
"""
    seen = capture(lambda s: python(s, code, str(path), str(new)))
    own = files(seen, tmp_path)
    assert acts(own) == [
        (b"creation", bytes(path)), (b"open", bytes(path)), (b"rename", bytes(new)), (b"deletion", bytes(new)),
    ]  # fmt: skip
    assert own[2]["file.Ext.original.path"] == bytes(path)
    assert own[0]["file.name"] == bytes(path).rpartition(b"/")[2]
    assert own[0]["file.inode"] == own[1]["file.inode"] > 0
    assert own[0]["file.Ext.device"] == own[1]["file.Ext.device"]
    assert own[1]["file.Ext.open_flags"] & (os.O_RDWR | os.O_APPEND) == os.O_RDWR | os.O_APPEND
    assert not any(e["kestrel.flags"] for e in own)
    assert {e["event.outcome"] for e in own} == {b"success"}
    assert {e["process.pid"] for e in own} == {own[0]["process.thread.id"]}


def test_inode_and_device_are_those_of_stat(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    seen = capture(lambda s: python(s, "open(sys.argv[1], 'w').close()", str(path)))
    (created,) = files(seen, tmp_path)
    found = path.stat()
    assert created["file.inode"] == found.st_ino
    device = created["file.Ext.device"]
    assert (device >> 20, device & 0xFFFFF) == (os.major(found.st_dev), os.minor(found.st_dev))


def test_relative_names_start_from_the_directory_or_the_descriptor(tmp_path: Path) -> None:
    code = """
os.chdir(sys.argv[1])
os.mkdir("sub")
open("sub/../a", "w").close()
os.rename("./a", "sub//b")
fd = os.open("sub", os.O_RDONLY)
os.rename("b", "c", src_dir_fd=fd, dst_dir_fd=fd)
os.unlink("c", dir_fd=fd)
os.rmdir("sub/")
"""
    own = files(capture(lambda s: python(s, code, str(tmp_path))), tmp_path)
    base = bytes(tmp_path)
    assert acts(own) == [
        (b"creation", base + b"/a"),
        (b"rename", base + b"/sub/b"),
        (b"rename", base + b"/sub/c"),
        (b"deletion", base + b"/sub/c"),
        (b"deletion", base + b"/sub"),
    ]
    assert [e.get("file.Ext.original.path") for e in own[1:3]] == [base + b"/a", base + b"/sub/b"]
    assert not any(e["kestrel.flags"] & (FLAG_RACED | FLAG_RELATIVE_PATH) for e in own)


def test_an_open_is_named_by_what_it_reached_not_by_how(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    own = files(capture(lambda s: python(s, "open(sys.argv[1], 'w')", str(tmp_path / "link" / "f"))), tmp_path)
    assert acts(own) == [(b"creation", bytes(tmp_path / "real" / "f"))]


def test_what_fails_makes_no_row_but_an_open_for_writing_and_what_only_reads_none(tmp_path: Path) -> None:
    code = """
for act in (lambda: os.open("none", 1), lambda: os.open("none", 0), lambda: os.rename("none", "x"),
            lambda: os.unlink("none"), lambda: os.rmdir("none")):
    try: act()
    except OSError: pass
os.close(os.open(".", os.O_RDONLY))
"""
    seen = capture(lambda _: subprocess.run([sys.executable, "-c", "import os\n" + code], cwd=tmp_path, check=True))
    (refused,) = files(seen, tmp_path)
    assert acts([refused]) == [(b"open", bytes(tmp_path / "none"))]
    assert (refused["kestrel.ret"], refused["event.outcome"]) == (-errno.ENOENT, b"failure")


@pytest.mark.parametrize("length", [230, 256, 257, 1000, 4000])
def test_long_paths_are_whole(tmp_path: Path, length: int) -> None:
    code = """
os.chdir(sys.argv[1])
left = int(sys.argv[2]) - len(os.getcwd())
while left > 0:
    part = "p" * max(1, min(left - 1, 200))
    left -= len(part) + 1
    if left > 0: os.mkdir(part); os.chdir(part)
    else: open(part, "w").close(); os.rename(part, "r"); os.unlink("r")
"""
    own = files(capture(lambda s: python(s, code, str(tmp_path), str(length))), tmp_path)
    assert [e["event.action"] for e in own] == [b"creation", b"rename", b"deletion"]
    assert length <= len(own[0]["file.path"]) <= length + 1
    assert own[1]["file.Ext.original.path"] == own[0]["file.path"]
    assert own[1]["file.path"] == own[2]["file.path"] == own[0]["file.directory"] + b"/r"
    assert not any(e["kestrel.flags"] for e in own)


def test_a_path_of_many_short_parts(tmp_path: Path) -> None:
    code = """
os.chdir(sys.argv[1])
for _ in range(1900): os.mkdir("d"); os.chdir("d")
open("f", "w").close(); os.unlink("f")
for _ in range(1900): os.chdir(".."); os.rmdir("d")
"""
    roomy = CaptureConfig(ring_pages={"file1": 16_384})
    own = files(capture(lambda s: python(s, code, str(tmp_path)), roomy), tmp_path)
    assert acts(own)[0] == (b"creation", bytes(tmp_path) + b"/d" * 1900 + b"/f")
    assert acts(own)[1] == (b"deletion", bytes(tmp_path) + b"/d" * 1900 + b"/f")
    assert acts(own)[2:] == [(b"deletion", bytes(tmp_path) + b"/d" * n) for n in range(1900, 0, -1)]


def test_a_path_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    code = """
os.chdir(sys.argv[1])
for _ in range(25): os.mkdir("q" * 200); os.chdir("q" * 200)
open("leaf", "w").close()
"""
    seen = capture(lambda s: python(s, code, str(tmp_path)))
    (cut,) = [e for e in seen.of("creation") if e["file.path"].endswith(b"/leaf")]
    assert cut["kestrel.flags"] & FLAG_TRUNCATED_PATH
    assert len(cut["file.path"]) <= 4095


def test_paths_cross_mounts(tmp_path: Path) -> None:
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
os.unshare(0x00020000)  # CLONE_NEWNS
assert libc.mount(None, b"/", None, (1 << 18) | (1 << 14), None) == 0  # private
assert libc.mount(b"none", os.fsencode(sys.argv[1]), b"tmpfs", 0, None) == 0
os.mkdir(sys.argv[1] + "/in")
open(sys.argv[1] + "/in/side", "w").close()
os.chdir(sys.argv[1] + "/in"); os.unlink("side")
"""
    if not hasattr(os, "unshare"):
        code = code.replace("os.unshare(0x00020000)", "assert libc.unshare(0x00020000) == 0")
    own = files(capture(lambda s: python(s, code, str(tmp_path))), tmp_path)
    assert acts(own) == [
        (b"mount", bytes(tmp_path)), (b"creation", bytes(tmp_path) + b"/in/side"),
        (b"deletion", bytes(tmp_path) + b"/in/side"),
    ]  # fmt: skip


COMPAT = """
import ctypes, mmap
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
low = libc.mmap(None, 8192, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, -1, 0)  # MAP_32BIT
def call(nr, *args):
    regs = [0xBB, 0xB9, 0xBA]  # mov ebx, ecx, edx
    code = b"\\x53" + b"\\xb8" + nr.to_bytes(4, "little")
    for reg, value in zip(regs, args): code += bytes([reg]) + value.to_bytes(4, "little")
    code += b"\\xcd\\x80\\x5b\\xc3"  # int 0x80; pop rbx; ret
    ctypes.memmove(low, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(low)()
def text(at, value):
    ctypes.memmove(low + at, os.fsencode(value) + b"\\0", len(os.fsencode(value)) + 1)
    return low + at
a, b = text(1024, sys.argv[1]), text(2048, sys.argv[2])
fd = call(5, a, os.O_CREAT | os.O_WRONLY, 0o600)
assert fd >= 0, fd
assert call(38, a, b) == 0
assert call(10, b) == 0
"""


def test_calls_of_32_bits_are_seen(tmp_path: Path) -> None:
    seen = capture(lambda s: python(s, COMPAT, str(tmp_path / "a"), str(tmp_path / "b")))
    own = files(seen, tmp_path)
    assert acts(own) == [
        (b"creation", bytes(tmp_path / "a")), (b"rename", bytes(tmp_path / "b")), (b"deletion", bytes(tmp_path / "b")),
    ]  # fmt: skip


RACE = """
import ctypes, mmap, signal
page = mmap.mmap(-1, 4096)
page[:41] = b"a" * 40 + b"\\0"
libc = ctypes.CDLL(None)
other = os.fork()
while other == 0:
    page[0:1] = b"b"; page[0:1] = b"a"
os.chdir(sys.argv[1])
for _ in range(30):  # the pages of a large file take a while to free, and the name was read before
    for first in (b"a", b"b"):
        fd = os.open(first + b"a" * 39, os.O_CREAT | os.O_WRONLY)
        os.posix_fallocate(fd, 0, 64 << 20); os.close(fd)
    libc.unlink(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page))))
os.kill(other, signal.SIGKILL)
os.waitpid(other, 0)
"""


def test_a_name_changed_during_the_call_is_marked() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        own = files(capture(lambda s: python(s, RACE, folder)), Path(folder))
    assert any(e["kestrel.flags"] & FLAG_RACED for e in own if e["event.action"] == b"deletion")


def test_every_way_to_open_is_seen(tmp_path: Path) -> None:
    code = """
import ctypes, struct
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
for nr, args in ((2, (b"open", 0o101, 0o600)), (85, (b"creat", 0o600)), (257, (-100, b"openat", 0o101, 0o600)),
                 (437, (-100, b"openat2", struct.pack("<QQQ", 0o101, 0o600, 0), 24))):
    assert libc.syscall(nr, *args) >= 0
"""
    own = files(capture(lambda s: python(s, code, str(tmp_path))), tmp_path)
    names = [b"open", b"creat", b"openat", b"openat2"]
    assert acts(own) == [(b"creation", bytes(tmp_path) + b"/" + name) for name in names]
    assert stat.S_ISREG((tmp_path / "creat").stat().st_mode)
