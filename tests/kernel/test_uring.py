"""What is done to files and sockets through io_uring, without a system call of its own."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from .actors import CALLS, Story
from .support import Event

ACTOR = (
    CALLS
    + r"""
import socket, struct
FULL = os.fsencode(sys.argv[1])
HERE = -100
ACCEPT, CONNECT, OPENAT, OPENAT2, RENAMEAT, UNLINKAT, SYMLINKAT, LINKAT = 13, 16, 18, 28, 35, 36, 38, 39
FSETXATTR, SETXATTR, SOCKET, FTRUNCATE, BIND, LISTEN = 41, 42, 45, 55, 56, 57
ASYNC = 16  # IOSQE_ASYNC: by a worker thread

class Ring:
    def __init__(self):
        params = ctypes.create_string_buffer(120)
        fd = call64(425, 4, ctypes.addressof(params))
        assert fd >= 0, fd
        p, sq, cq = (struct.unpack_from(*of) for of in (("=2I", params), ("=8I", params, 40), ("=7I", params, 80)))
        self.fd = fd
        self.sq = mmap.mmap(fd, sq[6] + 4 * p[0], offset=0)
        self.cq = mmap.mmap(fd, cq[5] + 16 * p[1], offset=0x8000000)
        self.sqes = mmap.mmap(fd, 64 * p[0], offset=0x10000000)
        self.sq_tail, self.sq_array, self.cq_head, self.cq_mask, self.cqes = sq[1], sq[6], cq[0], p[1] - 1, cq[5]

    def __call__(self, op, fd=0, off=0, addr=0, size=0, flags=0, addr3=0, how=0):
        sqe = struct.pack("=BBHiQQIIQHHiQQ", op, how, 0, fd, off, addr, size, flags, 7, 0, 0, 0, addr3, 0)
        self.sqes[0:64] = sqe
        self.sq[self.sq_array:self.sq_array + 4] = struct.pack("=I", 0)
        tail, = struct.unpack("=I", self.sq[self.sq_tail:self.sq_tail + 4])
        self.sq[self.sq_tail:self.sq_tail + 4] = struct.pack("=I", (tail + 1) & 0xFFFFFFFF)
        assert call64(426, self.fd, 1, 1, 1, 0, 0) == 1  # IORING_ENTER_GETEVENTS
        head, = struct.unpack("=I", self.cq[self.cq_head:self.cq_head + 4])
        at = self.cqes + 16 * (head & self.cq_mask)
        res, = struct.unpack("=i", self.cq[at + 8:at + 12])
        self.cq[self.cq_head:self.cq_head + 4] = struct.pack("=I", (head + 1) & 0xFFFFFFFF)
        return res

def inet(address, port):
    return put(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)), 16
def unix(name):
    raw = struct.pack("=H", socket.AF_UNIX) + name + b"\0"
    return put(raw), len(raw)

def files(how):
    folder = FULL + b"/%d" % how
    os.mkdir(folder)
    os.chdir(folder)
    ring, there = Ring(), os.open(folder, os.O_RDONLY)
    def do(op, *args, **more):
        return ring(op, *args, how=how, **more)
    name = text(b"a name\n\xff")
    got = []
    fd = do(OPENAT, HERE, addr=name, size=0o600, flags=os.O_CREAT | os.O_RDWR)
    got.append(fd >= 0)
    got += [
        do(OPENAT2, there, off=put(struct.pack("QQQ", os.O_WRONLY | os.O_TRUNC, 0, 0)), addr=name, size=24) >= 0,
        do(OPENAT, there, addr=text(b"none"), flags=os.O_WRONLY), do(OPENAT, HERE, addr=name, flags=os.O_RDONLY) >= 0,
        do(FTRUNCATE, fd, off=12345), do(FSETXATTR, fd, off=put(b"v"), addr=text(b"trusted.one"), size=1),
        do(SETXATTR, off=put(b"v"), addr=text(b"trusted.two"), size=1, addr3=name),
        do(LINKAT, HERE, addr=name, size=there & 0xFFFFFFFF, off=text(b"hard")),
        do(SYMLINKAT, there, addr=text(b"../any text"), off=text(b"soft")),
        do(RENAMEAT, there, addr=text(folder + b"/hard"), size=HERE & 0xFFFFFFFF, off=text(b"./moved")),
        do(UNLINKAT, there, addr=text(b"moved")), do(UNLINKAT, HERE, addr=text(b"not there")),
    ]
    return got

def sockets():
    os.chdir(FULL)
    ring = Ring()
    server = ring(SOCKET, 2, off=1)
    got = [ring(BIND, server, off=16, addr=inet("127.0.0.1", 0)[0]), ring(LISTEN, server, size=1)]
    port = socket.socket(fileno=os.dup(server)).getsockname()[1]
    client = ring(SOCKET, 2, off=1)
    got.append(ring(CONNECT, client, off=16, addr=inet("127.0.0.1", port)[0]))
    got.append(ring(ACCEPT, server) >= 0)
    with socket.socket(socket.AF_UNIX) as named:
        named.bind("served")
        named.listen()
        address, size = unix(b"./served")
        got.append(ring(CONNECT, ring(SOCKET, 1, off=1), off=size, addr=address))
    got.append(ring(SOCKET, 17, off=3, size=0x300) >= 0)
    return {"port": port, "got": got}

child("inline", lambda: files(0))
child("worker", lambda: files(ASYNC))
child("sockets", sockets)
tell()
"""
)
HOWS = pytest.mark.parametrize(("child", "folder"), [("inline", "0"), ("worker", "16")])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"), ACTOR, reads=True)


def values(events: list[Event], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(event.get(name) for name in names) for event in events]


@HOWS
def test_files(story: Story, child: str, folder: str) -> None:
    assert story.told[child + " gave"] == [True, True, -errno.ENOENT, True, 0, 0, 0, 0, 0, 0, 0, -errno.ENOENT]

    def path(name: bytes) -> bytes:
        return os.fsencode(story.folder / folder) + b"/" + name

    name, inode = path(b"a name\n\xff"), os.stat(path(b"a name\n\xff")).st_ino
    assert values(story.acts(child, "creation"), "file.path", "file.inode") == [(name, inode)]
    done, failed = [e for e in story.acts(child, "open") if e["file.path"].startswith(path(b""))]
    assert values([done, failed], "file.path", "file.inode", "kestrel.ret") == [
        (name, inode, 0), (path(b"none"), None, -errno.ENOENT),
    ]  # fmt: skip
    assert done["file.Ext.open_flags"] & os.O_TRUNC
    assert values(story.acts(child, "open_read"), "file.path").count((name,)) == 1
    assert values(story.acts(child, "truncate"), "file.path", "file.size") == [(name, 12345)]
    assert values(story.acts(child, "setxattr"), "file.path", "kestrel.name", "file.inode") == [
        (name, b"trusted.one", inode), (name, b"trusted.two", None),
    ]  # fmt: skip
    assert values(story.acts(child, "link"), "file.path", "file.target_path") == [(path(b"hard"), name)]
    assert values(story.acts(child, "symlink"), "file.path", "file.target_path") == [(path(b"soft"), b"../any text")]
    assert values(story.acts(child, "rename"), "file.path", "file.Ext.original.path") == [
        (path(b"moved"), path(b"hard")),
    ]  # fmt: skip
    assert values(story.acts(child, "deletion"), "file.path") == [(path(b"moved"),)]
    acts = [e for e in story.seen.events() if e["process.pid"] == story.told[child] and "file.path" in e]
    assert not any(e["kestrel.flags"] for e in acts)


def test_sockets(story: Story) -> None:
    told = story.told["sockets gave"]
    assert told["got"] == [0, 0, 0, True, 0, True]
    assert values(story.acts("sockets", "listen"), "source.port", "kestrel.socket.path") == [
        (told["port"], None), (None, b"served"),
    ]  # fmt: skip
    assert values(story.acts("sockets", "bind"), "source.port", "kestrel.ret") == [(told["port"], 0), (None, 0)]
    for action in ("connection_attempted", "connection_result", "connection_accepted"):
        assert values(story.acts("sockets", action), "destination.port") == [(told["port"],)]
    assert values(story.acts("sockets", "unix_connect"), "kestrel.socket.path", "kestrel.ret") == [(b"served", 0)]
    assert values(story.acts("sockets", "raw_socket"), "kestrel.socket.family") == [(b"packet",)]
